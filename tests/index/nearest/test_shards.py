from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import CatalogError, Query, Recall, RecallRequest, VectorIndex
from index.built.embeddings import open_embeddings
from index.encoders.encoder import unit_rows
from index.nearest.shards import Shards

if TYPE_CHECKING:
    from pathlib import Path

    from index.encoders.encoder import Vectors
    from tests.index.conftest import WordEncoder


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


class Broken:
    """A part that cannot be reached."""

    dimensions = 16
    build_id = ""
    added = np.empty((0, 16), np.float32)

    def __len__(self) -> int:
        return 5

    def search(self, queries: object, k: int) -> Any:
        raise ConnectionError


def some(n: int, d: int = 16) -> Vectors:
    return unit_rows(np.random.default_rng(0).normal(size=(n, d)))


def test_a_part_that_fails_fails_the_whole() -> None:
    with pytest.raises(ConnectionError):
        Shards([VectorIndex.build(some(4)), Broken()]).search(some(1), 2)


def test_no_parts_and_parts_that_do_not_belong_together_are_refused() -> None:
    other = VectorIndex.build(some(4, 8))
    for parts in ([], [VectorIndex.build(some(4)), other]):
        with pytest.raises(CatalogError, match="cannot be searched as one"):
            Shards(parts)


def test_recall_over_parts_answers_as_over_the_whole(shop: Path, encoder: WordEncoder) -> None:
    whole = Recall.open(shop, encoder)
    vectors = open_embeddings(shop).astype(np.float32)
    build = whole.vectors.build_id
    parts = [VectorIndex.build(part) for part in np.array_split(vectors, 3)]
    for part in parts:
        part.build_id = build
    sharded = Recall(whole.catalog, encoder, Shards(parts), beside=whole.beside)  # type: ignore[arg-type]  # it reads no more than VectorSearch has
    request = RecallRequest((Query("oat milk"), Query("rye bread")), limit=5)
    found, expected = (each.recall([request]).candidates[0] for each in (sharded, whole))
    assert found
    assert [one.item for one in found] == [one.item for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-3)
