"""Choosing an index by measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import CatalogError, Manifest, Recall, VectorIndex, build_catalog
from index.built.embeddings import open_embeddings
from index.encoders.encoder import unit_rows
from index.nearest.choice import IndexChoice, cells_for
from index.tuning import Candidate, Measured, adopt, candidates, exact_neighbours, measure, pick

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.conftest import WordEncoder, WriteItems


def some(n: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, 32)))


def test_exact_neighbours_read_in_parts_are_those_of_one_sort() -> None:
    vectors, queries = some(120_000), some(3, 1)
    wanted = np.argsort(-(queries @ vectors.T), axis=1)[:, :50]
    assert exact_neighbours(vectors.astype(np.float32), queries, 50).tolist() == wanted.tolist()


def test_more_breadth_finds_more_and_flat_finds_all() -> None:
    vectors, queries = some(5_000), some(40, 1)
    tried = [Candidate("Flat"), Candidate("IVF64,SQ8", (1, 8, 64))]
    found = list(measure(vectors, queries, tried, calls=5))
    assert [one.choice.breadth for one in found] == [0, 1, 8, 64]
    assert found[0].recall == 1.0
    assert found[1].recall < found[2].recall < found[3].recall
    assert found[3].recall > 0.95
    assert found[1].mb < found[0].mb
    assert all(0 < one.p50_ms <= one.p99_ms for one in found)


def test_every_type_that_is_tried_can_be_built_and_opened() -> None:
    vectors, queries = some(6_000), some(20, 1)
    found = list(measure(vectors, queries, candidates(6_000, 32), calls=3))
    assert [one.problem for one in found] == [""] * len(found)
    assert {one.choice.kind for one in found} == {"flat", "hnsw", "ivf"}
    by_kind = {
        refine: max(
            one.recall for one in found if one.choice.kind == "ivf" and bool(one.choice.refine) is refine
        )
        for refine in (False, True)
    }
    assert by_kind[True] > by_kind[False] - 0.1


def test_a_type_that_cannot_be_built_is_told_and_the_others_are_measured() -> None:
    found = list(measure(some(50), some(9, 1), [Candidate("IVF4096,SQ8", (1,)), Candidate("Flat")], calls=2))
    assert found[0].problem
    assert found[1].recall == 1.0


def test_a_type_with_two_passes_is_measured_at_each_breadth_with_each_share_scored_again() -> None:
    vectors, queries = some(6_000), some(60, 1)
    (one,) = (each for each in candidates(6_000, 32) if "Refine" in each.factory)
    found = list(measure(vectors, queries, [replace(one, breadths=(64, 512), refines=(1, 20))], calls=2))
    assert [(each.choice.breadth, each.choice.refine) for each in found] == [
        (64, 1),
        (64, 20),
        (512, 1),
        (512, 20),
    ]
    recall = [each.recall for each in found]
    assert recall[0] < recall[1]
    assert recall[2] < recall[3]
    assert recall[3] > 0.97


def test_too_few_queries_are_an_error() -> None:
    with pytest.raises(CatalogError, match="too few"):
        list(measure(some(50), some(2, 1), [Candidate("Flat")]))


def test_the_quickest_that_is_good_enough_is_picked_and_of_equals_the_smallest() -> None:
    def one(factory: str, recall: float, ms: float, mb: float) -> Measured:
        return Measured(IndexChoice(factory=factory), recall, recall, ms, ms * 2, ms, ms, mb)

    found = [
        one("Flat", 1.0, 9, 150),
        one("A", 0.97, 2.0, 80),
        one("B", 0.96, 2.05, 40),
        one("C", 0.9, 1, 10),
    ]
    found.append(Measured(IndexChoice(factory="D"), problem="no"))
    picked = {recall: pick(found, recall) for recall in (0.95, 0.85, 0.99)}
    assert [one.choice.factory for one in picked.values() if one] == ["B", "C", "Flat"]
    assert pick(found, 0.99, most_mb=100) is None
    assert pick(found, 0.95, most_ms=3) is None


def test_cells_grow_with_the_root_of_the_texts() -> None:
    assert [cells_for(n) for n in (10_000, 100_000, 1_000_000)] == [512, 2048, 4096]


def test_the_choice_is_in_the_catalogue_and_builds_that_follow_use_it(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    source = write_items({"item_id": f"i{n}", "title": f"lamp number{n}"} for n in range(300))
    out = tmp_path / "out"
    build_catalog(source, out, encoder)
    before = Recall.open(out, encoder)
    tried = [Candidate("HNSW8,SQ8", (64,))]
    (measured,) = measure(
        open_embeddings(out),
        encoder.encode([f"number{n}" for n in range(9)]),
        tried,
        folder=tmp_path,
        calls=2,
    )
    adopt(out, measured.choice, tmp_path / "0.faiss")
    assert VectorIndex.open(out, encoder, verify=True).choice == measured.choice
    assert Manifest.load(out).build_id == before.catalog.manifest.build_id
    assert len(Recall.open(out, encoder).vectors) == 300
    build_catalog(source, out, encoder)
    assert VectorIndex.open(out, encoder).choice == measured.choice
