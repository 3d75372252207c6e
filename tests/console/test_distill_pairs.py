"""From purchases to pairs: items of one title, and some of the moments."""

import numpy as np

from console.verbs.distill_pairs import Teaching, by_title
from index.channels.purchases import DAY_MS, Purchases
from index.teaching import TeacherSettings

_TITLES = ["Rye Bread", "Oat Drink", "Rye Bread", "", "", "Dish Soap"]


def _log() -> Purchases:
    lines = [
        (f"u{user}", f"i{(user + day) % 6}", (15_000 + day) * DAY_MS, 1.0, 1.0)
        for user in range(8)
        for day in range(4)
    ]
    return Purchases.of(lines, [f"i{at}" for at in range(6)])


def test_items_of_one_title_become_the_first_of_them_and_items_without_one_stay() -> None:
    log = _log()
    merged, titles = by_title(log, _TITLES)
    assert titles == ["Rye Bread", "Oat Drink", "", "", "Dish Soap"]
    assert merged.items == ("i0", "i1", "i3", "i4", "i5")
    named = {"i2": "i0"}
    assert [merged.items[one] for one in merged.item] == [
        named.get(log.items[one], log.items[one]) for one in log.item
    ]
    assert np.array_equal(merged.time, log.time)


def test_only_so_many_moments_are_taught() -> None:
    merged, titles = by_title(_log(), _TITLES)
    teaching = Teaching(merged, titles, 15_010 * DAY_MS, TeacherSettings())
    assert len(teaching.moments) > 5
    some = list(teaching.pairs(history=10, taken=0.2, seed=1, moments=5))
    again = list(teaching.pairs(history=10, taken=0.2, seed=1, moments=5))
    whole = list(teaching.pairs(history=10, taken=0.2, seed=1))
    assert some == again
    assert 0 < len(some) <= 10
    assert len(some) < len(whole)
