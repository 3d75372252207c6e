from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.channels.following import next_weights
from index.channels.purchases import DAY_MS, Purchases
from index.errors import CatalogError


def log(*lines: tuple[str, str, int]) -> Purchases:
    return Purchases.of(
        [(user, item, day * DAY_MS, 1.0, 1.0) for user, item, day in lines], ["a", "b", "c", "d", "e"]
    )


def by_hand(history: Purchases, now: int, regularisation: float, half_life: float) -> np.ndarray:
    """The same, day by day and shopper by shopper."""
    items = len(history.items)
    x, y = [], []
    for user in range(len(history.users)):
        mine = history.user == user
        had: dict[int, int] = {}
        for number, day in enumerate(np.unique(history.day[mine])):
            bought = set(history.item[mine & (history.day == day)].tolist())
            new = bought - set(had)
            if number and new:
                weight = np.sqrt(0.5 ** ((now / DAY_MS - day) / 120.0))
                line, target = np.zeros(items), np.zeros(items)
                for item, when in had.items():
                    line[item] = weight * 0.5 ** ((number - 1 - when) / half_life)
                target[list(new)] = weight
                x.append(line)
                y.append(target)
            had |= dict.fromkeys(bought, number)
    if not x:
        return np.zeros((items, items))
    before, after = np.array(x), np.array(y)
    there = before.any(axis=0)
    gram = before.T @ before + regularisation * np.eye(items)
    return np.where(there[:, None], np.linalg.solve(gram, before.T @ after), 0.0)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("uvw"), st.sampled_from("abcde"), st.integers(0, 20)),
        min_size=1,
        max_size=40,
    )
)
def test_the_weights_are_those_worked_out_day_by_day(lines: list[tuple[str, str, int]]) -> None:
    history = log(*lines)
    found = next_weights(history, 30 * DAY_MS, regularisation=2.0, half_life=3.0)
    np.testing.assert_allclose(found, by_hand(history, 30 * DAY_MS, 2.0, 3.0), atol=1e-4)


def test_they_look_one_way() -> None:
    history = log(*[(f"u{user}", item, day) for user in range(9) for item, day in (("a", 1), ("b", 5))])
    weights = next_weights(history, 10 * DAY_MS, regularisation=1.0)
    assert weights[0, 1] > 0.5
    assert weights[1, 0] == 0.0


def test_only_the_latest_days_are_learnt_from_where_there_are_many() -> None:
    old = [("ann", "a", 1), ("ann", "b", 2)]
    late = [("bob", "c", 1), ("bob", "d", 9)]
    weights = next_weights(log(*old, *late), 10 * DAY_MS, regularisation=1.0, most=1)
    assert weights[2, 3] > 0
    assert not weights[0].any()


def test_a_regularisation_that_is_not_above_nought_is_an_error() -> None:
    history = log(("ann", "a", 1), ("ann", "b", 1), ("ann", "c", 2))
    with pytest.raises(CatalogError, match=r"regularisation 0\.0"):
        next_weights(history, 10 * DAY_MS, regularisation=0.0)
