"""Queries, the items they bring, and what was then bought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.channels.channel import Scored
from index.channels.purchases import DAY_MS, Purchases
from index.errors import CatalogError
from index.evaluate.demand import (
    Answers,
    exclusive,
    fused,
    measure,
    new_task,
    slates,
    some,
    swapped,
    thin_task,
    times,
    with_new,
)
from index.evaluate.slate import split

if TYPE_CHECKING:
    from collections.abc import Sequence

ITEMS = ("a", "b", "c", "d", "e", "f")


def log(*lines: tuple[str, str, float]) -> Purchases:
    return Purchases.of(((user, item, int(day * DAY_MS), 1, 1.0) for user, item, day in lines), ITEMS)


LOG = log(
    ("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 10), ("ann", "e", 10),
    ("bob", "b", 1), ("bob", "c", 3), ("bob", "d", 11),
    ("cat", "d", 4), ("cat", "f", 90),
)  # fmt: skip
CUT = split(LOG, 10 * DAY_MS)


class Letters:
    """Answers a query such as ``cab`` with the items c, a, b in this order."""

    name = "letters"
    needs = frozenset[str]()

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, queries: Sequence[str], depth: int) -> Scored:
        self.asked += queries
        rows = np.full((len(queries), depth), -1, dtype=np.int64)
        for at, query in enumerate(queries):
            rows[at, : len(query)] = [ITEMS.index(letter) for letter in query]
        return Scored(rows, np.zeros(rows.shape, dtype=np.float32))


def names(rows: np.ndarray) -> list[str]:
    return ["".join(ITEMS[row] for row in one if row >= 0) for one in rows]


def test_a_slate_takes_the_lists_in_turns_without_what_was_bought_or_is_not_on_offer() -> None:
    task = CUT.task("novel")
    channel = Letters()
    rows = slates(Answers(channel), [["acd", "dbe"], ["cba", "a"]], task)
    # ann has a and b; e is first sold after the cutoff. bob has b and c.
    assert names(rows) == ["cd", "a"]
    assert channel.asked == ["acd", "dbe", "cba", "a"]


def test_an_equal_query_is_asked_once() -> None:
    channel = Letters()
    answers = Answers(channel)
    assert [one.tolist() for one in answers(["ab", "ab"])] == [[0, 1], [0, 1]]
    answers(["ab"])
    assert channel.asked == ["ab"]


def test_listed_offers_what_is_first_sold_soon_after_and_nothing_later() -> None:
    listed = with_new(CUT, LOG)
    assert "".join(np.array(ITEMS)[listed.offered]) == "abcde"
    assert CUT.task("novel").offered.tolist() == [True, True, True, True, False, False]


def test_new_has_only_targets_that_were_never_sold_before() -> None:
    listed = with_new(CUT, LOG)
    task, kept = new_task(listed, CUT.task("novel").offered)
    assert kept.tolist() == [0]
    assert names(np.stack(task.targets)) == ["e"]
    assert task.shoppers.count == 1
    with pytest.raises(CatalogError, match="first sold within 30 days"):
        new_task(listed, listed.offered)


def test_thin_forgets_older_products_and_still_offers_none_of_them() -> None:
    task, bought = thin_task(CUT.task("novel"), 1)
    assert names(np.array([task.shoppers.item])) == ["bc"]
    assert names(slates(Answers(Letters()), [["abcd"], ["abcd"]], task, bought=bought)) == ["cd", "ad"]


def test_some_keeps_shoppers_with_their_own_histories_and_targets() -> None:
    task = some(CUT.task("novel"), np.array([1]))
    assert [LOG.users[user] for user in task.users] == ["bob"]
    assert names(np.array([task.shoppers.item])) == ["bc"]
    assert names(np.stack(task.targets)) == ["d"]


def test_fusion_prefers_what_both_lists_have() -> None:
    rows = fused([np.array([[0, 1, 2]]), np.array([[3, 1, -1]])], (1.0, 1.0), len(ITEMS))
    assert names(rows)[0][0] == "b"
    assert set(names(rows)[0]) == set("abcd")


def test_a_swap_gives_nobody_their_own_queries() -> None:
    for n in (2, 3, 50):
        other = swapped(n, seed=n)
        assert sorted(other.tolist()) == list(range(n))
        assert not (other == np.arange(n)).any()
    with pytest.raises(CatalogError, match="two shoppers"):
        swapped(1)


def test_exclusive_hits_are_those_of_no_other_list() -> None:
    mine, other = np.array([[0, 1, 2]]), np.array([[1, 5, -1]])
    assert exclusive(mine, [other], [np.array([0, 1])]).tolist() == [1.0]
    assert exclusive(mine, [other], [np.array([0, 1])], cut=0).tolist() == [0.0]


def test_measured_are_recall_breadth_and_coverage() -> None:
    task = CUT.task("novel")
    rows = np.full((2, 50), -1)
    rows[0, :2], rows[1, 0] = (2, 3), 0
    category = np.array([0, 0, 1, 1, 1, 1])
    measured = measure(rows, task, category=category)
    assert measured.values["Recall@50"].mean == pytest.approx((0.5 + 0.0) / 2)
    assert measured.categories == 1.0
    assert measured.coverage == 3 / 4


def test_how_many_times_one_mean_is_another_comes_with_an_interval_around_it() -> None:
    random = np.random.default_rng(1)
    other = random.random(400)
    found = times(3 * other, other)
    assert (found.mean, found.low, found.high) == (pytest.approx(3.0), pytest.approx(3.0), pytest.approx(3.0))
    found = times(3 * random.random(400), other)
    assert found.low < 3.0 < found.high
    assert found.high - found.low < 0.6
