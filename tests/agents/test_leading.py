"""A history as its leading titles."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.leading import keep_leading, leading
from agents.short_names import ShortNames
from agents.token_count import estimate

_TITLES = tuple(f"title number {at} of kind {at % 7}" for at in range(60))
_NAMES = ShortNames(_TITLES)


def says(n: int, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=(n, 30)).astype(np.float32)


def test_the_second_title_is_one_that_says_what_the_first_does_not() -> None:
    rows = np.array([[9, 1, 0], [8, 0, 0], [0, 8, 0]], dtype=np.float32)
    assert leading(rows, 2) == [0, 2]


def test_few_leading_titles_point_closer_to_all_of_them_than_the_newest_as_many() -> None:
    rows = says(60)
    goal = rows - rows.mean(axis=1, keepdims=True)

    def closeness(chosen: list[int]) -> float:
        part, whole = goal[chosen].sum(axis=0), goal.sum(axis=0)
        return float(part @ whole / np.linalg.norm(part) / np.linalg.norm(whole))

    assert closeness(leading(rows, 10)) > closeness(list(range(50, 60))) + 0.2


def test_a_history_that_fits_is_told_whole() -> None:
    kept = keep_leading(_TITLES[:3], says(3), _NAMES, tokens=100, count=estimate)
    assert kept.titles == _TITLES[:3]
    assert kept.left_out == 0
    assert kept.tokens == estimate(kept.text)


def test_a_shopper_of_whom_nothing_is_known_has_an_empty_history() -> None:
    kept = keep_leading((), says(0), _NAMES, tokens=100, count=estimate)
    assert (kept.titles, kept.text, kept.tokens, kept.left_out) == ((), "", 0, 0)


def test_the_newest_titles_have_their_share_and_the_rest_is_of_those_before() -> None:
    def kept(newest: float) -> tuple[str, ...]:
        return keep_leading(_TITLES, says(60), _NAMES, tokens=60, count=estimate, newest=newest).titles

    none, half, every = kept(0.0), kept(0.5), kept(1.0)
    assert every == _TITLES[-len(every) :]
    fresh = len(every) // 2
    assert half[-fresh:] == _TITLES[-fresh:]
    before = half[:-fresh]
    assert before
    assert before != _TITLES[-len(half) : -fresh]
    assert none[-fresh:] != _TITLES[-fresh:]


@given(n=st.integers(1, 60), tokens=st.integers(4, 80), seed=st.integers(0, 5), newest=st.floats(0, 1))
def test_what_is_kept_fits_its_room_stays_in_order_and_is_read_back_whole(
    n: int, tokens: int, seed: int, newest: float
) -> None:
    kept = keep_leading(_TITLES[:n], says(n, seed), _NAMES, tokens=tokens, count=estimate, newest=newest)
    assert kept.tokens == estimate(kept.text) <= tokens
    assert len(kept.titles) + kept.left_out == n
    places = [_TITLES.index(title) for title in kept.titles]
    assert places == sorted(places)
    assert tuple(_NAMES.whole(name) for name in kept.text.split(", ") if name) == kept.titles
