from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.channels.purchases import DAY_MS, Purchases
from index.encoders.encoder import unit_rows
from index.errors import CatalogError
from index.evaluate.encoder import measure_reach, measure_words, slates_of, wants_of
from index.evaluate.slate import split

if TYPE_CHECKING:
    from index.evaluate.slate import Task
    from tests.index.conftest import WordEncoder


@pytest.fixture
def cut() -> tuple[Purchases, Task]:
    dice = np.random.default_rng(2)
    lines = [
        (f"u{user}", f"i{item}", day * DAY_MS, 1.0, 1.0)
        for user in range(30)
        for day in (1, 5, 12)
        for item in dice.choice(90, 6, replace=False)
    ]
    made = split(Purchases.of(lines, [f"i{item}" for item in range(95)]), 10 * DAY_MS)
    return made.history, made.task("novel")


def directions(items: int, name: str = "") -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return unit_rows(np.random.default_rng(seed).normal(size=(items, 16)))


def test_slates_hold_ten_a_query_at_most_nothing_twice_bought_or_not_on_offer(
    cut: tuple[Purchases, Task],
) -> None:
    history, task = cut
    titled = np.ones(95, dtype=bool)
    titled[7] = False
    wants = wants_of(history, task)
    slates = slates_of(directions(95), wants, task, titled=titled)
    bought = task.shoppers.bought(95)
    assert slates.shape == (len(task.users), 50)
    for shopper, slate in enumerate(slates):
        items = slate[slate >= 0]
        assert len(set(items)) == len(items) <= 50
        assert not bought[shopper, items].any()
        assert task.offered[items].all()
        assert titled[items].all()
        asked = [item for item in wants[shopper] if titled[item]]
        assert set(asked) <= set(items)


def test_vectors_that_put_what_was_bought_next_around_the_queries_reach_it_and_others_do_not(
    cut: tuple[Purchases, Task],
) -> None:
    history, task = cut
    wants = wants_of(history, task)
    one = task.targets[0]
    here = one[task.offered[one]]
    vectors = directions(95)
    vectors[here] = unit_rows(vectors[wants[0, 0]] + 0.01 * vectors[here])
    titled = np.ones(95, dtype=bool)
    reach = measure_reach(slates_of(vectors, wants, task, titled=titled), task)
    plain = measure_reach(slates_of(directions(95), wants, task, titled=titled), task)
    share = len(here) / len(one)
    assert reach.shopper_values["Recall@50"][0] == pytest.approx(share)
    assert plain.shopper_values["Recall@50"][0] <= share
    assert 10 <= reach.items <= 50


def test_words_find_their_title_by_an_encoder_of_words_and_not_by_one_of_noise(encoder: WordEncoder) -> None:
    titles = [f"kind{at} colour{at % 7} size{at % 5} thing" for at in range(60)]
    parts = [(f"kind{at} size{at % 5}", at) for at in range(60)]
    good = measure_words(encoder, titles, encoder.encode(titles), parts)
    noise = measure_words(encoder, titles, unit_rows(np.random.default_rng(1).normal(size=(60, 64))), parts)
    assert good.mean > 0.9
    assert noise.mean < 0.5
    with pytest.raises(CatalogError, match="three words"):
        measure_words(encoder, titles, encoder.encode(titles), [])
