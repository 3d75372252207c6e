from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.fusion import fuse
from index.popular import interleave

RANKINGS = st.lists(st.lists(st.integers(0, 30), unique=True, max_size=12), min_size=1, max_size=5)


def arrays(lists: list[list[int]]) -> list[np.ndarray]:
    return [np.array(one, dtype=np.int64) for one in lists]


def test_the_score_is_the_formula_of_the_article() -> None:
    fused = fuse(arrays([[10, 20], [20, 30]]), [1.0, 2.0])
    assert fused.rows.tolist() == [20, 30, 10]
    assert fused.scores.tolist() == pytest.approx([1 / 62 + 2 / 61, 2 / 62, 1 / 61])


@given(RANKINGS, st.data())
def test_every_score_is_the_sum_of_its_parts_and_falls(lists: list[list[int]], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 5), min_size=len(lists), max_size=len(lists)))
    fused = fuse(arrays(lists), weights, 60)
    assert sorted(fused.rows.tolist()) == sorted({row for one in lists for row in one})
    for row, score, ranks in zip(
        fused.rows.tolist(), fused.scores.tolist(), fused.ranks.tolist(), strict=True
    ):
        assert [one.index(row) + 1 if row in one else 0 for one in lists] == ranks
        assert score == pytest.approx(sum(w / (60 + r) for w, r in zip(weights, ranks, strict=True) if r))
    assert all(a >= b - 1e-12 for a, b in zip(fused.scores, fused.scores[1:], strict=False))


@given(RANKINGS, st.randoms())
def test_the_order_of_equally_weighted_lists_does_not_matter(lists: list[list[int]], dice: object) -> None:
    shuffled = lists.copy()
    dice.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    ones = [1.0] * len(lists)
    assert fuse(arrays(lists), ones).rows.tolist() == fuse(arrays(shuffled), ones).rows.tolist()


def test_equal_scores_are_ordered_by_row() -> None:
    assert fuse(arrays([[9, 4], [4, 9], [7]]), [1.0, 1.0, 1.0]).rows.tolist() == [4, 9, 7]


def test_nothing_fuses_to_nothing() -> None:
    assert fuse([], []).rows.size == 0
    assert fuse(arrays([[], []]), [1, 1]).ranks.shape == (0, 2)


def test_categories_take_turns_and_the_rest_follows() -> None:
    picked = interleave([("a", [1, 2, 3]), ("b", [4, 1])], ("all", [1, 8, 9]), {2}, 5)
    assert picked == [(1, "a"), (4, "b"), (3, "a"), (8, "all"), (9, "all")]


@given(
    st.lists(st.lists(st.integers(0, 9)), max_size=3),
    st.lists(st.integers(0, 9)),
    st.sets(st.integers(0, 9)),
    st.integers(0, 12),
)
def test_interleaving_takes_each_allowed_row_once_and_as_many_as_it_can(
    lists: list[list[int]], rest: list[int], excluded: set[int], limit: int
) -> None:
    rows = [row for row, _ in interleave([("c", one) for one in lists], ("all", rest), excluded, limit)]
    available = {row for one in [*lists, rest] for row in one} - excluded
    assert len(set(rows)) == len(rows) == min(limit, len(available))
    assert set(rows) <= available
