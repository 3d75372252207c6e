"""Behaviour and words in one slate, by a ranker that learnt at earlier moments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.channels.channel import Scored
from index.channels.purchases import DAY_MS, Purchases
from index.errors import CatalogError
from index.evaluate.demand import Answers, measure, with_new
from index.evaluate.demand_fusion import PARTS, Scene, brought, learn, slates_of
from index.evaluate.slate import split
from index.ranking.features import Knowledge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.channels.channel import Need
    from index.evaluate.slate import Task

_BEHAVIOUR, _, _WORDS = PARTS
_OLD, _EACH = 40, 10
"""Items sold from the beginning; items that are first sold after the first moment, and after the second."""
_ITEMS = tuple(f"i{item}" for item in range(_OLD + 2 * _EACH))
_FIRST, _SECOND = 30, 60


def log() -> Purchases:
    """Everybody buys some of the old items twice, and after each moment one of its new items, which nobody had, and an old one."""
    random = np.random.default_rng(5)
    lines = []
    for shopper in range(150):
        name = f"u{shopper:03}"
        for day in (5 + shopper % 20, 25, 50):
            lines += [(name, _ITEMS[item], day) for item in random.integers(0, _OLD, 3).tolist()]
        for at, day in enumerate((_FIRST, _SECOND)):
            new = _OLD + at * _EACH + int(random.integers(_EACH))
            old = int(random.integers(_OLD))
            lines += [(name, _ITEMS[item], day + 1 + shopper % 3) for item in (new, old)]
    return Purchases.of(((user, item, day * DAY_MS, 1, 1.0) for user, item, day in lines), _ITEMS)


LOG = log()


class Numbers:
    """Answers a query such as ``3 4`` with the items 3 and 4 in this order."""

    name = "numbers"
    needs: frozenset[Need] = frozenset()

    def answer(self, queries: Sequence[str], depth: int) -> Scored:
        rows = np.full((len(queries), depth), -1, dtype=np.int64)
        for at, query in enumerate(queries):
            named = [int(one) for one in query.split()]
            rows[at, : len(named)] = named
        return Scored(rows, np.zeros(rows.shape, dtype=np.float32))


def task_of(day: int, until: int | None = None) -> Task:
    known = LOG if until is None else LOG.before(until * DAY_MS)
    return with_new(split(known, day * DAY_MS), known)


def scene(day: int, task: Task, *, knowing: bool) -> Scene:
    """A moment whose demands name what each shopper buys next, or what another one does."""
    wanted = [*task.targets] if knowing else [*task.targets[1:], task.targets[0]]
    queries = [[" ".join(map(str, one.tolist()))] for one in wanted]
    words = brought(Answers(Numbers()), queries, [[0.5]] * len(queries), task)
    return Scene(Knowledge(LOG.before(day * DAY_MS), day * DAY_MS), task, words)


def test_items_come_with_their_place_their_votes_and_the_first_demands_confidence() -> None:
    task = task_of(_FIRST)
    shopper = 0
    had = task.shoppers.bought(len(_ITEMS))[shopper]
    free = [item for item in np.flatnonzero(task.offered).tolist() if not had[item]][:3]
    own = int(np.flatnonzero(had)[0])
    queries = [[f"{own} {free[0]} {free[1]}", f"{free[1]} {free[2]}"]] + [["0"]] * (len(task.users) - 1)
    sure = [[0.5, None]] + [[1.0]] * (len(task.users) - 1)
    found = brought(Answers(Numbers()), queries, sure, task)
    assert found.rows[shopper, :4].tolist() == [free[0], free[1], free[2], -1]
    first, second, third = found.columns[shopper, :3]
    assert first.tolist() == pytest.approx([0, 1.0, np.log(0.5), 0])
    assert second[1] == pytest.approx(0.5 + 1.0)
    assert third[:2].tolist() == pytest.approx([2, 0.5])
    assert np.isnan(third[2])
    assert third[3] == 1


def test_new_titles_enter_a_slate_by_words_alone_and_nothing_bought_or_not_offered_does() -> None:
    earlier, task = scene(_FIRST, task_of(_FIRST, _SECOND), knowing=True), task_of(_SECOND)
    now = scene(_SECOND, task, knowing=True)
    (slates,) = slates_of([earlier], [now])
    out = ~task.offered | task.shoppers.bought(len(_ITEMS))
    for rows in slates.values():
        for at, row in enumerate(rows):
            shown = row[row >= 0]
            assert len(shown)
            assert not out[at, shown].any()
            assert len(set(shown.tolist())) == len(shown)
    newest = _OLD + _EACH
    assert (slates[_BEHAVIOUR] < newest).all()
    by_words = measure(slates[_WORDS], task, cuts=(20,)).values["Recall@20"].mean
    by_behaviour = measure(slates[_BEHAVIOUR], task, cuts=(20,)).values["Recall@20"].mean
    assert by_words > by_behaviour + 0.2


def test_moments_that_teach_nothing_are_refused_with_a_way_out() -> None:
    task = task_of(_SECOND)
    nobody = replace(task, targets=tuple(np.empty(0, dtype=np.int64) for _ in task.targets))
    with pytest.raises(CatalogError, match="At none of the 1 earlier moments"):
        learn([scene(_SECOND, nobody, knowing=True)], _WORDS)


def test_demands_that_were_wrong_before_are_not_trusted_now() -> None:
    task = task_of(_SECOND)
    now = scene(_SECOND, task, knowing=True)
    earlier = task_of(_FIRST, _SECOND)
    (trusted,) = slates_of([scene(_FIRST, earlier, knowing=True)], [now])
    (doubted,) = slates_of([scene(_FIRST, earlier, knowing=False)], [now])
    first = [measure(one[_WORDS], task, cuts=(20,)).values["NDCG@20"].mean for one in (trusted, doubted)]
    assert first[0] > first[1]
