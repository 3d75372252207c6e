"""Moments and what the teachers say of them."""

from __future__ import annotations

import numpy as np
import pytest

from index.channels.purchases import DAY_MS, Purchases
from index.teaching import Moments, Shares, Teacher, TeacherSettings, mix

pytest.importorskip("scipy")


def log(*lines: tuple[str, str, float]) -> Purchases:
    return Purchases.of((user, item, int(day * DAY_MS), 1, 1.0) for user, item, day in lines)


def shop() -> Purchases:
    """Forty shoppers of two kinds; each kind buys its own five items."""
    random = np.random.default_rng(0)
    lines = []
    for user in range(40):
        kind = "gk"[user % 2]
        for day in (1, 5, 9):
            lines += [(f"u{user}", f"{kind}{item}", day + user / 100) for item in random.permutation(5)[:2]]
    return log(*lines, ("u0", "rare", 2.0))


def test_every_day_of_a_shopper_is_a_moment_and_the_last_has_nothing_after_it() -> None:
    history = log(("ann", "a", 1), ("ann", "b", 1.1), ("bob", "a", 2), ("ann", "c", 4), ("ann", "a", 4.2))
    moments = Moments.of(history)
    assert len(moments) == 3
    ((chosen, had),) = moments.blocks(10)
    assert chosen.tolist() == [0, 1, 2]
    seen = [sorted({history.items[item] for item in had.item[had.shopper == at]}) for at in range(3)]
    assert seen == [["a", "b"], ["a", "b", "c"], ["a"]]
    assert [moments.bought_next(at).tolist() for at in range(3)] == [[history.items.index("c")], [], []]


def test_the_teachers_want_for_a_shopper_what_others_like_them_bought_and_never_what_they_have() -> None:
    history = shop()
    teacher = Teacher(history, 10 * DAY_MS, TeacherSettings(breadth=2.0, items=11))
    shoppers = log(("new", "g0", 1), ("new", "g1", 2))
    number = {item: at for at, item in enumerate(history.items)}
    mapped = Purchases.of(
        (("new", item, int(day * DAY_MS), 1, 1.0) for item, day in (("g0", 1), ("g1", 2))), history.items
    )
    lists = teacher.lists(mapped.histories([0], 10 * DAY_MS))
    assert len(shoppers) == 2
    first = [history.items[item] for item in lists.items[0][:3]]
    assert set(first) == {"g2", "g3", "g4"}
    shares = dict(zip(lists.items[0].tolist(), lists.shares[0].tolist(), strict=True))
    assert shares[number["g0"]] == shares[number["g1"]] == 0.0
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)


def test_every_list_hesitates_among_as_many_items_as_it_is_told_to() -> None:
    history = shop()
    moments = Moments.of(history)
    ((_, had),) = moments.blocks(1_000)
    for breadth in (1.5, 2.0):
        shares = Teacher(history, 10 * DAY_MS, TeacherSettings(breadth=breadth, items=11)).lists(had).shares
        entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1)
        # Where more items than that tie for the first place, nothing tells them apart.
        assert np.exp(entropy).min() == pytest.approx(breadth, rel=0.02)
        assert np.median(np.exp(entropy)) == pytest.approx(breadth, rel=0.02)


def test_what_rises_is_wanted_more() -> None:
    old = [(f"u{at}", "a", 1.0) for at in range(30)] + [(f"u{at}", "b", 1.0) for at in range(30, 60)]
    new = [(f"u{at}", "c", 80.0) for at in range(60, 90)]
    history = log(*old, *new)
    teacher = Teacher(history, 81 * DAY_MS, TeacherSettings(ease=0.0, item_knn=0.0, rising=1.0, items=10))
    scores = teacher.scores(history.histories([0], 81 * DAY_MS))[0]
    by_name = dict(zip(history.items, scores.tolist(), strict=True))
    assert by_name["c"] > by_name["b"]
    assert by_name["a"] == -np.inf


def test_a_mix_has_both_lists_with_their_parts() -> None:
    one = Shares(np.array([[0, 1]]), np.array([[0.75, 0.25]], dtype=np.float32))
    other = Shares(np.array([[1, 2]]), np.array([[1.0, 0.0]], dtype=np.float32))
    ((items, shares),) = mix(one, other, 0.5)
    assert items.tolist() == [0, 1]
    assert shares.tolist() == pytest.approx([0.375, 0.625])
