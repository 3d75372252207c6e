from __future__ import annotations

import numpy as np
import pytest

from index.channels.purchases import DAY_MS, Purchases
from index.ranking.item_facts import FRESH, ITEM, ItemFacts

NOW = 100 * DAY_MS


def facts(lines: list[tuple[str, str, float]], items: list[str], vectors: np.ndarray | None) -> ItemFacts:
    log = Purchases.of([(user, item, int(day * DAY_MS), 2.0, 6.0) for user, item, day in lines], items)
    pairs = np.unique(log.user * len(items) + log.item) % len(items)
    return ItemFacts.learn(log, NOW, np.bincount(pairs, minlength=len(items)).astype(float), vectors)


def test_what_was_bought_before_counts_as_a_sale_and_not_as_a_first() -> None:
    found = facts([("ann", "a", 10), ("ann", "a", 95), ("bob", "a", 96)], ["a", "b"], None)
    row = dict(zip(ITEM, found.table[0].tolist(), strict=True))
    assert row["sales_14"] == 2
    assert row["firsts_14"] == 1
    assert row["firsts_share"] == 0.5
    assert row["sales_3"] == 0
    assert row["age"] == 90
    assert row["last_sold"] == 4
    assert row["price"] == pytest.approx(np.log(3))
    assert row["pieces"] == pytest.approx(np.log1p(2))
    assert np.isnan(row["near_trend"])


def test_an_item_takes_the_trend_of_items_of_like_titles() -> None:
    lines = [(f"u{at}", "a", 95.0) for at in range(20)] + [("ann", "b", 50.0)]
    lines += [(f"u{at}", "c", 60.0) for at in range(20)]
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    found = facts(lines, ["a", "b", "c"], vectors)
    assert found.near_trend[0] == pytest.approx(found.near_trend[1])
    assert found.near_trend[1] > 0 > found.near_trend[2]


def test_fresh_are_new_items_and_rising_ones_that_sold_lately_and_no_more_than_so_many() -> None:
    lines = [("ann", "old", 1.0), ("ann", "slow", 90.0), ("bob", "rising", 40.0)]
    lines += [(f"u{at}", "rising", 97.0) for at in range(8)]
    found = facts(lines, ["old", "slow", "rising", "never"], None)
    assert found.fresh.tolist() == [1, 2]
    many = [(f"u{at}", f"i{at}", 95.0) for at in range(2 * FRESH)]
    assert len(facts(many, [f"i{at}" for at in range(2 * FRESH)], None).fresh) == FRESH
