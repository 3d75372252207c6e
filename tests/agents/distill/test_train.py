"""Training a student from nothing, really: a small one on a shop with two kinds of shoppers."""

import json
import math
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from agents import AgentSettings, open_runtime, prompts
from agents.distill.export import CHECKPOINT, NOTICE, export
from agents.distill.form import PROMPT
from agents.distill.held_out import Bought, held_out
from agents.distill.pairs import Pairs
from agents.distill.train import Progress, train
from agents.distill.usual import PHRASES as SHARES
from agents.distill.usual import write_usual
from agents.errors import DistillError, ModelError
from agents.runtime.protocol import Generation, Request
from agents.structured import queries
from agents.words import normal
from tests.agents.distill.shop import GARDEN, KITCHEN, PHRASES, SETTINGS

pytestmark = pytest.mark.real


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
    rows = (student / SHARES).read_text(encoding="utf-8").splitlines()
    shares = {phrase: float(share) for phrase, share in (row.split("\t") for row in rows)}
    assert list(shares) == list(pairs.phrases)
    # Probabilities of the titles that may be written add up to 1 for each shopper, so their means do too.
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.02)
    # Half of the shoppers are gardeners, who have one or two of eight things and want the others.
    assert 0.4 < sum(shares[phrase] for phrase in GARDEN) < 0.6
    before = (student / SHARES).read_bytes()
    write_usual(student, pairs, newest=SETTINGS.history, seed=SETTINGS.seed)
    assert (student / SHARES).read_bytes() == before


async def test_the_student_wants_for_each_shopper_what_shoppers_like_them_wanted(student: Path) -> None:
    garden, kitchen = await _asked(
        student,
        PHRASES,
        _request("bought: garden spade; garden rake"),
        _request("bought: kitchen whisk; kitchen jars"),
    )
    assert set(garden) == set(GARDEN) - {"garden spade", "garden rake"}
    assert set(kitchen) == set(KITCHEN) - {"kitchen whisk", "kitchen jars"}


async def test_only_titles_of_the_catalogue_are_written(student: Path) -> None:
    (written,) = await _asked(student, GARDEN[:4], _request("bought: kitchen whisk"))
    assert set(written) == set(GARDEN[:4])


async def test_titles_that_came_later_have_their_share(student: Path) -> None:
    (written,) = await _asked(
        student, [*PHRASES, "garden swing", "kitchen clock"], _request("bought: garden spade; garden rake", 5),
        new_share=0.2,
    )  # fmt: skip
    assert len(written) == 5
    assert [one for one in written if one not in PHRASES] == ["garden swing"]


async def test_unconstrained_it_writes_valid_answers_too(student: Path) -> None:
    settings = AgentSettings.model_validate({"runtime": "student", "student": {"model": str(student)}})
    runtime = open_runtime(settings, PHRASES)
    share = runtime.valid_share([f"bought: {phrase}" for phrase in PHRASES], queries(5, 48))  # type: ignore[attr-defined]
    await runtime.close()
    assert share == 1.0


def test_an_export_answers_chats_as_it_does_completions(student: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    files = export(student, tmp_path / "given")
    assert NOTICE not in {file.name for file in files}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "given")
    prompt, structure = prompts.load(PROMPT), queries(4, 48)
    messages = prompt.chat("bought: garden spade", structure)
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == prompt.static(structure) + prompt.turn("bought: garden spade")


def test_only_a_whole_and_finished_student_is_exported(student: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / CHECKPOINT).write_bytes(b"half way")
    with pytest.raises(DistillError, match=r"config\.json.* missing") as refused:
        export(begun, tmp_path / "out")
    assert "interrupted" in refused.value.way_out
    mixed = tmp_path / "mixed"
    shutil.copytree(student, mixed)
    config = json.loads((mixed / "config.json").read_text())
    (mixed / "config.json").write_text(json.dumps({**config, "vocab_size": 7}))
    with pytest.raises(DistillError, match="not of one piece"):
        export(mixed, tmp_path / "out")
    with pytest.raises(DistillError, match=r"notice .*none\.txt"):
        export(student, tmp_path / "out", notices=[tmp_path / "none.txt"])
    assert not (tmp_path / "out").exists()


def test_what_was_bought_next_is_likelier_after_the_shoppers_own_history(student: Path) -> None:
    shoppers = [
        Bought((f"{kind} {one}",), (f"{kind} {other}",))
        for kind, one, other in (
            ("garden", "spade", "gnome"), ("kitchen", "whisk", "knife"), ("garden", "rake", "hose"), ("kitchen", "jars", "tins"),
        )
    ]  # fmt: skip
    found = held_out(
        student, [*shoppers, Bought(("garden spade",), ("a boat",)), Bought((), ("garden gnome",))], newest=8
    )
    assert found.shoppers == 4
    # Of the seven others of the shopper's kind each is as likely, of the sixteen of everybody's too.
    assert found.nats_a_title == pytest.approx(math.log(7), abs=0.5)
    assert found.by_what_everybody_wants == pytest.approx(math.log(16), abs=0.5)
    assert found.nats_a_piece < found.nats_a_title < found.swapped
    with pytest.raises(DistillError, match="hardly anybody"):
        held_out(student, shoppers[:1], newest=8)


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

    often = SETTINGS.model_copy(update={"checkpoint_s": 1e-6})
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
        train(pairs, SETTINGS, tmp_path)
    with pytest.raises(DistillError, match="cuda:7"):
        train(pairs, SETTINGS.model_copy(update={"device": "cuda:7"}), tmp_path)


def test_a_folder_that_is_no_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"student\.json"):
        open_runtime(
            AgentSettings.model_validate({"runtime": "student", "student": {"model": str(tmp_path)}})
        )
    with pytest.raises(ModelError, match="no student is named"):
        open_runtime(AgentSettings.model_validate({"runtime": "student"}), ["spade of another shop"])
