"""Training a student from nothing, really: a small one on a shop with two kinds of shoppers."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from agents import AgentSettings, open_runtime, prompts
from agents.distill.card import write_card
from agents.distill.form import PROMPT
from agents.distill.pairs import Pair, Pairs, read_pairs, write_pairs
from agents.distill.settings import TrainSettings
from agents.distill.train import CHECKPOINT, Progress, train
from agents.distill.usual import PHRASES, write_usual
from agents.errors import DistillError, ModelError
from agents.runtime.protocol import Generation, Request
from agents.structured import queries
from agents.words import normal

pytestmark = pytest.mark.real

_GARDEN = [
    f"garden {thing}" for thing in ("spade", "rake", "hose", "gloves", "pots", "seeds", "gnome", "bench")
]
_KITCHEN = [
    f"kitchen {thing}" for thing in ("scales", "whisk", "jars", "apron", "timer", "bowls", "tins", "knife")
]
_PHRASES = [*_GARDEN, *_KITCHEN]
_SETTINGS = TrainSettings(
    vocabulary=600, hidden=64, layers=1, feed_forward=64, warm_steps=120, warm_batch=64, steps=160, batch=32, answers=3,
    threads=1, seed=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    folder = tmp_path_factory.mktemp("pairs")
    made = []
    for start in (0, 8):
        for at in range(120):
            had = [start + at % 8, start + (at * 3 + 1) % 8]
            wants = [start + each for each in range(8) if start + each not in had]
            made.append(Pair(tuple(dict.fromkeys(had)), tuple(wants), (1.0,) * len(wants)))
    write_pairs(folder, dict.fromkeys(_PHRASES, 10), made, {"cutoff": "2011-08-01"})
    return read_pairs(folder)


@pytest.fixture(scope="module")
def student(pairs: Pairs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    train(pairs, _SETTINGS, folder)
    write_card(folder)
    return folder


def _request(text: str, at_most: int = 6) -> Request:
    banned = frozenset(normal(label) for label in text.partition(": ")[2].split("; "))
    return Request(prompts.load(PROMPT), text, queries(at_most, 48), 64, 0.3, 1, banned)


async def _asked(folder: Path, titles: list[str], *requests: Request, **more: object) -> list[list[str]]:
    settings = AgentSettings.model_validate({"runtime": "student", "student": {"model": str(folder), **more}})
    runtime = open_runtime(settings, titles)
    answers = await runtime.generate(requests)
    await runtime.close()
    assert all(isinstance(answer, Generation) for answer in answers), answers
    return [
        request.structure.parse(answer.text)
        for request, answer in zip(requests, answers, strict=True)
        if isinstance(answer, Generation)
    ]


def test_what_it_writes_for_everybody_is_kept_beside_it(student: Path, pairs: Pairs) -> None:
    rows = (student / PHRASES).read_text(encoding="utf-8").splitlines()
    shares = {phrase: float(share) for phrase, share in (row.split("\t") for row in rows)}
    assert list(shares) == list(pairs.phrases)
    # Probabilities of the titles that may be written add up to 1 for each shopper, so their means do too.
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.02)
    # Half of the shoppers are gardeners, who have one or two of eight things and want the others.
    assert 0.4 < sum(shares[phrase] for phrase in _GARDEN) < 0.6
    before = (student / PHRASES).read_bytes()
    write_usual(student, pairs, newest=_SETTINGS.history, seed=_SETTINGS.seed)
    assert (student / PHRASES).read_bytes() == before


async def test_the_student_wants_for_each_shopper_what_shoppers_like_them_wanted(student: Path) -> None:
    garden, kitchen = await _asked(
        student,
        _PHRASES,
        _request("bought: garden spade; garden rake"),
        _request("bought: kitchen whisk; kitchen jars"),
    )
    assert set(garden) == set(_GARDEN) - {"garden spade", "garden rake"}
    assert set(kitchen) == set(_KITCHEN) - {"kitchen whisk", "kitchen jars"}


async def test_only_titles_of_the_catalogue_are_written(student: Path) -> None:
    (written,) = await _asked(student, _GARDEN[:4], _request("bought: kitchen whisk"))
    assert set(written) == set(_GARDEN[:4])


async def test_titles_that_came_later_have_their_share(student: Path) -> None:
    (written,) = await _asked(
        student, [*_PHRASES, "garden swing", "kitchen clock"], _request("bought: garden spade; garden rake", 5),
        new_share=0.2,
    )  # fmt: skip
    assert len(written) == 5
    assert [one for one in written if one not in _PHRASES] == ["garden swing"]


async def test_unconstrained_it_writes_valid_answers_too(student: Path) -> None:
    settings = AgentSettings.model_validate({"runtime": "student", "student": {"model": str(student)}})
    runtime = open_runtime(settings, _PHRASES)
    share = runtime.valid_share([f"bought: {phrase}" for phrase in _PHRASES], queries(5, 48))  # type: ignore[attr-defined]
    await runtime.close()
    assert share == 1.0


def test_the_folder_holds_what_a_server_and_a_reader_need(student: Path) -> None:
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {
        one.name for one in student.iterdir()
    }
    assert not (student / CHECKPOINT).exists()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(student)
    assert tokenizer.decode(tokenizer("garden spade")["input_ids"]) == "garden spade"


def test_an_interrupted_training_goes_on_and_ends_where_an_undisturbed_one_does(
    pairs: Pairs, student: Path, tmp_path: Path
) -> None:
    class Stop(Exception):  # noqa: N818
        pass

    def stop(done: Progress) -> None:
        if done.stage == "student" and done.step == 80:
            raise Stop

    often = _SETTINGS.model_copy(update={"checkpoint_s": 1e-6})
    with pytest.raises(Stop):
        train(pairs, often, tmp_path, tell=stop)
    assert (tmp_path / CHECKPOINT).is_file()
    steps: list[int] = []
    train(pairs, often, tmp_path, tell=lambda done: steps.append(done.step))
    assert steps[0] == 80
    assert (tmp_path / "model.safetensors").read_bytes() == (student / "model.safetensors").read_bytes()


def test_a_broken_checkpoint_and_a_missing_device_are_told(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(DistillError, match="checkpoint"):
        train(pairs, _SETTINGS, tmp_path)
    with pytest.raises(DistillError, match="cuda:7"):
        train(pairs, _SETTINGS.model_copy(update={"device": "cuda:7"}), tmp_path)


def test_a_folder_that_is_no_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"student\.json"):
        open_runtime(
            AgentSettings.model_validate({"runtime": "student", "student": {"model": str(tmp_path)}})
        )
    with pytest.raises(ModelError, match="no student is named"):
        open_runtime(AgentSettings.model_validate({"runtime": "student"}), ["spade of another shop"])
