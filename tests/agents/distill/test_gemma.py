"""The pruned Gemma: its vocabulary against the whole one's, and a training, on a Gemma of toy size."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tokenizers import AddedToken, Tokenizer, models, normalizers  # noqa: E402

from agents import AgentSettings, open_runtime, prompts  # noqa: E402
from agents.distill.form import BETWEEN, END, PROMPT, START  # noqa: E402
from agents.distill.gemma import Gemma  # noqa: E402
from agents.distill.gemma_vocabulary import cut_tokenizer, rows_of  # noqa: E402
from agents.distill.pairs import Pairs  # noqa: E402
from agents.distill.settings import GemmaSettings  # noqa: E402
from agents.distill.tokenizer import words_only  # noqa: E402
from agents.distill.train import Progress, train  # noqa: E402
from agents.errors import DistillError  # noqa: E402
from agents.runtime.protocol import Generation, Request  # noqa: E402
from agents.structured import queries  # noqa: E402
from tests.agents.distill.shop import GARDEN, KITCHEN, PHRASES  # noqa: E402

pytestmark = pytest.mark.real


_MERGED = [
    "ga",
    "rd",
    "rde",
    "gard",
    "garde",
    "garden",
    "\u2581s",
    "\u2581sp",
    "ad",
    "ade",
    "\u2581spade",
    "un",
    "uns",
    "sp",
]


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gemma of two layers with a tokenizer of Gemma's kind."""
    folder = tmp_path_factory.mktemp("gemma")
    letters = [chr(one) for one in range(33, 127)] + ["\u2581"]
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    pieces = [*special, *(f"<0x{one:02X}>" for one in range(256)), *letters, *_MERGED]
    merges = [
        ("g", "a"), ("r", "d"), ("ga", "rd"), ("gard", "e"), ("garde", "n"), ("\u2581", "s"),
        ("\u2581s", "p"), ("a", "d"), ("ad", "e"), ("\u2581sp", "ade"), ("u", "n"), ("un", "s"), ("s", "p"),
    ]  # fmt: skip
    vocabulary = {piece: at for at, piece in enumerate(pieces)}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.add_special_tokens([AddedToken(one, normalized=False) for one in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(1)
    config = transformers.Gemma3TextConfig(
        vocab_size=len(pieces), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, query_pre_attn_scalar=32, max_position_embeddings=512, sliding_window=256,
        layer_types=["sliding_attention", "full_attention"], pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    model = transformers.Gemma3ForCausalLM(config)
    with torch.no_grad():
        model.get_input_embeddings().weight.normal_(0.0, 0.1)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def settings(gemma: Path) -> GemmaSettings:
    return GemmaSettings(
        model=str(gemma), steps=220, batch=16, answers=3, rank=8, rate=8e-3, commonest=0, joined=30, usual=40, threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(pairs: Pairs, settings: GemmaSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(pairs, settings, folder)
    return folder


def _whole(gemma: Path) -> Tokenizer:
    return Tokenizer.from_file(str(gemma / "tokenizer.json"))


def test_phrases_are_split_as_by_the_whole_tokenizer_and_foreign_ones_come_back_too(gemma: Path) -> None:
    whole = _whole(gemma)
    cut = cut_tokenizer(whole, dict.fromkeys(PHRASES, 3), commonest=0, more=0)
    assert cut.get_vocab_size() < whole.get_vocab_size() + 13
    for phrase in PHRASES:
        assert cut.encode(phrase).tokens == whole.encode(phrase).tokens
    assert cut.token_to_id("uns") is None
    for text in ("unsold gnome", "z\u00fcrich \u00f6l"):
        assert cut.decode(cut.encode(text).ids) == text


def test_what_sells_is_one_piece_and_falls_apart_into_words(gemma: Path) -> None:
    cut = cut_tokenizer(_whole(gemma), dict.fromkeys(PHRASES, 50), commonest=0, more=300)
    assert cut.encode("garden spade").tokens == ["garden\u2581spade"]
    assert words_only(cut).encode("garden spade").tokens == ["garden", "\u2581spade"]


def test_rows_begin_as_the_mean_of_what_they_are_made_of(gemma: Path) -> None:
    whole = _whole(gemma)
    cut = cut_tokenizer(whole, dict.fromkeys(PHRASES, 50), commonest=0, more=300)
    rows = rows_of(cut, whole)
    named = {cut.id_to_token(at): [whole.id_to_token(one) for one in ids] for at, ids in enumerate(rows)}
    assert named["garden\u2581spade"] == ["garden", "\u2581spade"]
    assert named[START] == ["<bos>"]
    assert named[END] == ["<eos>"]
    assert named[BETWEEN] == ['"', ",", '"']
    assert all(rows)


def test_before_training_it_says_of_kept_pieces_what_the_whole_one_says(
    gemma: Path, pairs: Pairs, settings: GemmaSettings
) -> None:
    whole = _whole(gemma)
    course = Gemma(settings.model_copy(update={"joined": 0}))
    cut = course.tokenizer(pairs)
    (stage,) = course.stages(cut)
    rows = rows_of(cut, whole)
    ids = cut.encode("garden spade").ids
    model = transformers.AutoModelForCausalLM.from_pretrained(gemma, dtype=torch.float32)
    with torch.inference_mode():
        mine = stage.model(torch.tensor([ids])).logits[0]
        theirs = model(torch.tensor([[rows[one][0] for one in ids]])).logits[0]
    alone = [at for at, own in enumerate(rows) if len(own) == 1]
    torch.testing.assert_close(mine[:, alone], theirs[:, [rows[at][0] for at in alone]], atol=1e-4, rtol=1e-4)


async def test_it_wants_for_each_shopper_what_shoppers_like_them_wanted(trained: Path) -> None:
    runtime = open_runtime(
        AgentSettings.model_validate({"runtime": "student", "student": {"model": str(trained)}}), PHRASES
    )
    structure = queries(6, 48)
    texts = ("bought: garden spade; garden rake", "bought: kitchen whisk; kitchen jars")
    answers = await runtime.generate(
        [Request(prompts.load(PROMPT), text, structure, 64, 0.0, 1) for text in texts]
    )
    await runtime.close()
    garden, kitchen = (structure.parse(one.text) for one in answers if isinstance(one, Generation))
    assert set(garden) == set(GARDEN) - {"garden spade", "garden rake"}
    assert set(kitchen) == set(KITCHEN) - {"kitchen whisk", "kitchen jars"}


def test_what_is_saved_is_a_plain_gemma_with_its_terms(trained: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(trained)
    assert type(model).__name__ == "Gemma3ForCausalLM"
    facts = json.loads((trained / "student.json").read_text())
    assert "Gemma Terms of Use" in facts["made_from"]
    assert facts["settings"]["rank"] == 8
    assert facts["loss"]["student"] < 2.5


def test_interrupted_it_goes_on_and_ends_where_it_would_have(
    pairs: Pairs, settings: GemmaSettings, tmp_path: Path
) -> None:
    class Stop(Exception):  # noqa: N818
        pass

    def stop(done: Progress) -> None:
        if done.step == 8:
            raise Stop

    often = settings.model_copy(update={"checkpoint_s": 1e-6, "steps": 16})
    undisturbed, resumed = tmp_path / "undisturbed", tmp_path / "resumed"
    train(pairs, often, undisturbed)
    with pytest.raises(Stop):
        train(pairs, often, resumed, tell=stop)
    steps: list[int] = []
    train(pairs, often, resumed, tell=lambda done: steps.append(done.step))
    assert steps[0] == 8
    assert (resumed / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()


def test_a_model_that_is_no_gemma_is_refused(student: Path, pairs: Pairs, tmp_path: Path) -> None:
    with pytest.raises(DistillError, match="none of Gemma"):
        train(pairs, GemmaSettings(model=str(student), threads=1), tmp_path)
