from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.channels.channel import Scored
from index.recall import pool
from index.recall.lists import PLACES, best_lists
from index.recall.words import LexicalChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.recall.channel import Listed


@given(st.lists(st.lists(st.sampled_from([0.1, 0.25, 0.5, 1.0]), max_size=9), min_size=1, max_size=5))
def test_each_query_gets_its_best_rows_and_of_equal_ones_the_first(worths: list[list[float]]) -> None:
    query = np.repeat(np.arange(len(worths)), [len(one) for one in worths])
    rows = np.arange(100, 100 + len(query))
    found = best_lists(rows, np.array([w for one in worths for w in one]), query, len(worths), 4)
    for number, (one, listed) in enumerate(zip(worths, found, strict=True)):
        order = np.argsort([-worth for worth in one], kind="stable")[:4].tolist()
        assert listed.rows.tolist() == rows[query == number][order].tolist()
        falling = [one[at] * PLACES / (PLACES + place) for place, at in enumerate(order)]
        assert listed.values.tolist() == pytest.approx(falling)


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(0, 1))
def test_items_are_told_apart_in_a_table_as_by_sorting(keys: list[int], room: int) -> None:
    given_keys = np.array(keys, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_ROOM", 100 * room)
        different, where = pool._different(given_keys, 31)
    assert different.tolist() == sorted(set(keys))
    assert different[where].tolist() == keys


@dataclass
class Titles:
    """Items of some titles, one in seven of them not offered."""

    text_of: np.ndarray
    popularity: np.ndarray
    hidden: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.hidden = np.arange(len(self.text_of)) % 7 == 3

    def offered_mask(self, rows: np.ndarray) -> np.ndarray:
        mask: np.ndarray = ~self.hidden[rows]
        return mask

    def texts_of(self, rows: np.ndarray) -> np.ndarray:
        texts: np.ndarray = self.text_of[rows]
        return texts

    def text_sizes(self, texts: np.ndarray) -> np.ndarray:
        sizes: np.ndarray = np.bincount(self.text_of)[texts]
        return sizes

    def liked(self, rows: np.ndarray) -> np.ndarray:
        liked: np.ndarray = self.popularity[rows]
        return liked


def plainly(
    titles: Titles, rows: Sequence[int], values: Sequence[float], wanted: int, out: set[int]
) -> list[int]:
    """The list of one query, row by row: a row counts less for each three of its title before it."""
    left = [
        (row, value)
        for row, value in zip(rows, values, strict=True)
        if row not in out and not titles.hidden[row]
    ]
    left.sort(key=lambda one: (titles.text_of[one[0]], -round(one[1], 9), -titles.popularity[one[0]]))
    met: dict[int, int] = {}
    worths = []
    for row, value in left:
        text = int(titles.text_of[row])
        worths.append((row, value / (1 + met.get(text, 0) // 3)))
        met[text] = met.get(text, 0) + 1
    return [row for row, _ in sorted(worths, key=lambda one: -one[1])[:wanted]]


@dataclass
class Answers:
    """In the place of the words: the same rows with the same scores for every query, as many as are asked for."""

    scored: Scored

    def answer(self, queries: Sequence[str], depth: int) -> Scored:
        del depth
        return type(self.scored)(self.scored.rows[: len(queries)], self.scored.scores[: len(queries)])


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 40))
def test_a_list_of_words_is_that_of_all_rows_looked_at_one_by_one(seed: int, wanted: int, texts: int) -> None:
    chance = np.random.default_rng(seed)
    titles = Titles(chance.integers(0, texts, 60), chance.integers(0, 4, 60).astype(float))
    rows = np.stack([chance.permutation(60)[:40] for _ in range(3)])
    scores = -np.sort(-chance.choice([1.0, 1.5, 2.0, 2.25, 3.0], (3, 40)), axis=1).astype(np.float32)
    rows[2, 25:], scores[2, 25:] = -1, -np.inf
    channel: Any = LexicalChannel(Answers(Scored(rows, scores)), 3)  # type: ignore[arg-type]  # in the words' place
    batch = SimpleNamespace(catalog=titles, queries=("a", "b", "c"))
    out = [np.empty(0, np.int64), np.sort(chance.choice(60, 8, replace=False)), np.empty(0, np.int64)]
    found: list[Listed] = channel._lists(batch, [0, 1, 2], [SimpleNamespace(wanted=wanted)] * 3, out)
    for number, listed in enumerate(found):
        known = rows[number] >= 0
        mine = scores[number][known].astype(float)
        if known.all() and mine[-1] < mine[0]:
            mine = mine - mine[-1]
        values = np.maximum(mine / max(mine[0], 1e-12), 1e-3).tolist()
        expected = plainly(titles, rows[number][known].tolist(), values, wanted, set(out[number].tolist()))
        assert listed.rows.tolist() == expected
