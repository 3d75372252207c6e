from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.encoder_training import Recipe, learn_from, parts_of, train_projection
from index.encoders.encoder import unit_rows
from index.encoders.shop_memory import MemoryRecord
from index.errors import CatalogError, EncoderUnavailableError
from tests.index.encoder_training.conftest import NOW

if TYPE_CHECKING:
    from typing import Any

    from index.channels.purchases import Purchases
    from index.encoders.shop_memory import ShopMemory
    from tests.index.conftest import WordEncoder

pytest.importorskip("torch")

RECORD = MemoryRecord(base=None, base_fingerprint="f", sharpness=1, sink=1, nearest=1, digest="")


def learn(
    log: Purchases, titles: list[str], encoder: WordEncoder, seed: int = 0, **recipe: Any
) -> tuple[ShopMemory, dict[str, Any]]:
    lessons = learn_from(log, titles, NOW)
    parts = parts_of(lessons.texts, 40, seed)
    vectors = encoder.encode(lessons.asked)
    words = encoder.encode([text for text, _ in parts])
    return train_projection(
        lessons, vectors, parts, words, RECORD, recipe=Recipe(steps=40, shoppers=32, **recipe), seed=seed
    )


@pytest.mark.parametrize("columns", [4_096, 64])
def test_titles_bought_together_move_together_and_words_still_find_their_title(
    log: Purchases, titles: list[str], encoder: WordEncoder, columns: int
) -> None:
    memory, figures = learn(log, titles, encoder, columns=columns, rate=0.01)
    general = encoder.encode(titles)
    learnt = memory.lay_over(general)
    same = np.equal.outer(np.arange(80) % 2, np.arange(80) % 2) & ~np.eye(80, dtype=bool)

    def apart(vectors: np.ndarray) -> float:
        cosines = vectors @ vectors.T
        return float(cosines[same].mean() - cosines[~same].mean())

    assert apart(learnt) > apart(general) + 0.1
    assert figures["loss_last"] < figures["loss_first"]
    assert figures["mined"] > 0
    found = memory.lay_over(encoder.encode([" ".join(title.split()[:2]) for title in titles])) @ learnt.T
    ahead = (found > found.diagonal()[:, None]).sum(axis=1)
    assert np.mean(ahead < 10) > 0.7


def test_a_text_like_none_of_the_shop_stays_where_it_was(
    log: Purchases, titles: list[str], encoder: WordEncoder
) -> None:
    memory, _ = learn(log, titles, encoder)
    other = encoder.encode(["gaming laptop 16 GB", "laser printer"])
    assert memory.lay_over(other) == pytest.approx(other, abs=0.01)


def test_the_same_seed_gives_the_same_memory(log: Purchases, titles: list[str], encoder: WordEncoder) -> None:
    one, other = (learn(log, titles, encoder, seed=4)[0] for _ in range(2))
    assert (one.shifts == other.shifts).all()


def test_a_loss_that_is_no_number_ends_training_with_a_way_out(
    log: Purchases, titles: list[str], encoder: WordEncoder
) -> None:
    with pytest.raises(CatalogError, match="no number any more") as caught:
        learn(log, titles, encoder, rate=float("inf"))
    assert "smaller rate" in caught.value.way_out


def test_vectors_that_are_no_numbers_are_refused(
    log: Purchases, titles: list[str], encoder: WordEncoder
) -> None:
    lessons = learn_from(log, titles, NOW)
    broken = unit_rows(np.ones((len(lessons.asked), 4)))
    broken[3] = np.nan
    with pytest.raises(EncoderUnavailableError, match="no numbers"):
        train_projection(lessons, broken, [], broken[:0], RECORD)
