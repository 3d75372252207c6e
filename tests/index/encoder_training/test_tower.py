from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from index.encoder_training import TowerRecipe, learn_from, parts_of, train_tower
from index.encoders.local import SentenceTransformerEncoder, packaged_model
from index.errors import CatalogError
from tests.index.encoder_training.conftest import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from index.channels.purchases import Purchases
    from index.encoder_training import Lessons

pytestmark = pytest.mark.real

RECIPE = TowerRecipe(steps=6, batch=8, part=8, save_every=2)


Train = Callable[..., tuple[Any, dict[str, Any]]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one layer with the packaged model's words: the real thing, and quick to train."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("small")
    tokenizer = AutoTokenizer.from_pretrained(packaged_model(), local_files_only=True)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    words = Transformer(str(folder / "bert"))
    model = SentenceTransformer(modules=[words, Pooling(32)], device="cpu")
    model.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture
def train(small: Path) -> Train:
    def run(
        lessons: Lessons, work: Path, recipe: TowerRecipe = RECIPE, **more: Any
    ) -> tuple[Any, dict[str, Any]]:
        return train_tower(lessons, small, parts_of(lessons.texts, 20, 0), work, recipe=recipe, **more)

    return run


class KilledError(Exception):
    pass


def killed_at(step: int) -> Any:
    def tell(line: str) -> None:
        if line.startswith(f"fine-tuning: step {step} "):
            raise KilledError

    return tell


def test_a_run_cut_off_goes_on_and_ends_where_one_run_ends_and_its_model_opens(
    log: Purchases, titles: list[str], tmp_path: Path, train: Train, small: Path
) -> None:
    lessons = learn_from(log, titles, NOW)
    with pytest.raises(KilledError):
        train(lessons, tmp_path / "work", tell=killed_at(5))
    model, figures = train(lessons, tmp_path / "work")
    assert figures["resumed_at"] == 4
    whole, uncut = train(lessons, tmp_path / "other")
    assert uncut["resumed_at"] == 0
    assert figures["mined"] == uncut["mined"] > 0
    some = titles[:5]
    resumed, straight = (one.encode(some, normalize_embeddings=True) for one in (model, whole))
    # Dropout is drawn anew after a break, so the two agree closely and not to the last digit.
    assert (resumed * straight).sum(axis=1) == pytest.approx(1.0, abs=0.01)

    model.save(str(tmp_path / "out"), create_model_card=False)
    opened = SentenceTransformerEncoder(tmp_path / "out")
    assert opened.encode(some) == pytest.approx(resumed, abs=1e-4)
    assert opened.fingerprint != SentenceTransformerEncoder(small).fingerprint
    assert np.abs(opened.encode(some) - SentenceTransformerEncoder(small).encode(some)).max() > 1e-4


def test_a_checkpoint_that_is_damaged_or_of_other_lessons_is_set_aside_and_training_begins_anew(
    log: Purchases, titles: list[str], tmp_path: Path, train: Train, small: Path
) -> None:
    lessons = learn_from(log, titles, NOW)
    work = tmp_path / "work"
    work.mkdir()
    (work / "state.pt").write_bytes(b"cut short")
    with pytest.raises(KilledError):
        train(lessons, work, tell=killed_at(3))
    assert (work / "state.pt.unusable").read_bytes() == b"cut short"
    _, figures = train(lessons, work, RECIPE.model_copy(update={"steps": 2}))
    assert figures["resumed_at"] == 0


def test_a_loss_that_is_no_number_ends_training_and_leaves_no_checkpoint(
    log: Purchases, titles: list[str], tmp_path: Path, train: Train, small: Path
) -> None:
    lessons = learn_from(log, titles, NOW)
    work = tmp_path / "work"
    with pytest.raises(CatalogError, match="no number any more"):
        train(lessons, work, RECIPE.model_copy(update={"rate": 1e30, "save_every": 1}))
    assert not work.exists()
