from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import CatalogError, VectorIndex
from index.encoder import unit_rows
from index.shards import Shards


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    k=st.integers(1, 60),
    threads=st.integers(1, 3),
)
def test_parts_searched_together_give_the_answer_of_the_whole(sizes: list[int], k: int, threads: int) -> None:
    vectors = unit_rows(np.random.default_rng(0).normal(size=(sum(sizes), 16)))
    queries = unit_rows(np.random.default_rng(1).normal(size=(3, 16)))
    cuts = np.cumsum(sizes)[:-1]
    parts = [VectorIndex.build(part) for part in np.split(vectors, cuts)]
    scores, numbers = Shards(parts, threads).search(queries, k)
    whole, expected = VectorIndex.build(vectors).search(queries, k)
    assert numbers.tolist() == expected.tolist()
    assert scores == pytest.approx(whole, abs=1e-6)


def test_a_part_that_fails_fails_the_whole() -> None:
    class Broken:
        def __len__(self) -> int:
            return 5

        def search(self, queries: object, k: int) -> object:
            raise ConnectionError

    good = VectorIndex.build(unit_rows(np.random.default_rng(0).normal(size=(4, 16))))
    with pytest.raises(ConnectionError):
        Shards([good, Broken()]).search(unit_rows(np.ones((1, 16))), 2)  # type: ignore[list-item]
    with pytest.raises(CatalogError):
        Shards([])
