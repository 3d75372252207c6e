from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import CatalogDamagedError, CatalogMissingError, EncoderMismatchError, Manifest, VectorIndex
from index.built.manifest import FileRecord, file_sha256
from index.encoders.encoder import unit_rows
from index.nearest.choice import EXACT_UP_TO, IndexChoice, default_choice
from index.nearest.vectors import read_index

if TYPE_CHECKING:
    from pathlib import Path

    from index.encoders.encoder import Vectors
    from tests.index.conftest import WordEncoder


def directions(n: int, d: int = 32, seed: int = 0) -> Vectors:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, d)))


@pytest.mark.parametrize("queries", [1, 5, 80])
def test_a_flat_index_gives_the_exact_answer_for_one_query_and_for_many(queries: int) -> None:
    vectors = directions(3_000)
    wanted = directions(queries, seed=1)
    scores, numbers = VectorIndex.build(vectors).search(wanted, 20)
    exact = wanted @ vectors.T
    assert numbers.tolist() == np.argsort(-exact, axis=1)[:, :20].tolist()
    assert scores == pytest.approx(-np.sort(-exact, axis=1)[:, :20], abs=1e-5)


def test_a_graph_finds_most_of_the_exact_answer(tmp_path: Path) -> None:
    vectors = directions(3_000)
    graph = VectorIndex.build(vectors, IndexChoice(factory="HNSW32", breadth=256))
    _, found = graph.search(directions(50, seed=1), 20)
    _, exact = VectorIndex.build(vectors, IndexChoice(factory="Flat")).search(directions(50, seed=1), 20)
    shared = [len(set(a) & set(b)) / 20 for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    assert np.mean(shared) > 0.9


def test_the_type_goes_by_how_many_texts_there_are_and_by_what_their_dimensions_allow() -> None:
    assert default_choice(EXACT_UP_TO, 384).kind == "flat"
    many = default_choice(1_000_000, 384)
    assert (many.factory, many.kind) == ("IVF4096,PQ128x4fsr,Refine(SQ8)", "ivf")
    assert many.refine > 1
    assert default_choice(1_000_000, 1024).factory == "IVF4096,PQ256x4fsr,Refine(SQ8)"
    assert default_choice(1_000_000, 385).factory == "IVF4096,SQ8"
    assert default_choice(200_000, 384).breadth < many.breadth


@pytest.mark.parametrize("dimensions", [30, 32, 35])
def test_what_is_chosen_for_many_texts_finds_most_of_the_exact_answer_from_its_file(
    dimensions: int, tmp_path: Path
) -> None:
    vectors, queries = directions(6_000, dimensions), directions(50, dimensions, 1)
    choice = default_choice(1_000_000, dimensions)
    choice = choice.model_copy(update={"factory": choice.factory.replace("4096", "64"), "breadth": 64})
    VectorIndex.build(vectors, choice).save(tmp_path / "index")
    _, found = VectorIndex(read_index(tmp_path / "index"), choice).search(queries, 20)
    _, exact = VectorIndex.build(vectors).search(queries, 20)
    shared = [len(set(a) & set(b)) / 20 for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    assert np.mean(shared) > 0.8  # directions at random are the hardest to shorten


@pytest.mark.parametrize("factory", ["Flat", "SQ8", "HNSW8,SQ8", "IVF16,SQ8", "IVF16,PQ8x4fsr,Refine(SQ8)"])
def test_an_open_index_answers_as_the_built_one_even_when_its_file_is_gone(
    factory: str, tmp_path: Path
) -> None:
    built = VectorIndex.build(directions(2_000), IndexChoice(factory=factory, breadth=8))
    built.save(tmp_path / "index")
    opened = VectorIndex(read_index(tmp_path / "index"), built.choice)
    (tmp_path / "index").unlink()
    gc.collect()
    queries = directions(5, seed=1)
    assert opened.search(queries, 20)[1].tolist() == built.search(queries, 20)[1].tolist()


def test_a_search_for_more_than_there_is_gives_all_there_is() -> None:
    scores, numbers = VectorIndex.build(directions(3)).search(directions(2, seed=1), 50)
    assert scores.shape == numbers.shape == (2, 3)
    assert sorted(numbers[0].tolist()) == [0, 1, 2]


def test_no_queries_give_no_rows() -> None:
    assert VectorIndex.build(directions(3)).search(directions(0), 2)[1].shape == (0, 2)


def test_an_index_of_another_encoder_is_refused_with_both_named(
    shop: Path, other_encoder: WordEncoder
) -> None:
    with pytest.raises(EncoderMismatchError) as caught:
        VectorIndex.open(shop, other_encoder)
    for part in (
        "made by words",
        "sha256:words-64",
        "now running is other",
        "sha256:other-64",
        "Build the catalogue again",
    ):
        assert part in str(caught.value)


def test_an_index_of_other_dimensions_is_refused(shop: Path, encoder: WordEncoder) -> None:
    encoder.dimensions = 65
    with pytest.raises(EncoderMismatchError, match=r"64 dimensions.*65 dimensions"):
        VectorIndex.open(shop, encoder)


def test_an_index_cut_short_is_an_error(shop: Path, encoder: WordEncoder) -> None:
    os.truncate(shop / "vectors.faiss", 500)
    with pytest.raises(CatalogDamagedError, match=r"vectors\.faiss has 500 bytes"):
        VectorIndex.open(shop, encoder)


def test_an_index_altered_within_its_size_is_found_by_its_hash(shop: Path, encoder: WordEncoder) -> None:
    path = shop / "vectors.faiss"
    data = bytearray(path.read_bytes())
    data[-9] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CatalogDamagedError, match="SHA-256"):
        VectorIndex.open(shop, encoder, verify=True)


@pytest.mark.parametrize("content", [b"", b"no index at all", b"IxFI" + b"\x00" * 20])
def test_a_file_that_is_no_index_is_an_error(shop: Path, encoder: WordEncoder, content: bytes) -> None:
    path = shop / "vectors.faiss"
    path.write_bytes(content)
    manifest = Manifest.load(shop)
    files = {**manifest.files, path.name: FileRecord(size=len(content), sha256=file_sha256(path))}
    (shop / "manifest.json").write_text(manifest.model_copy(update={"files": files}).model_dump_json())
    with pytest.raises(CatalogDamagedError):
        VectorIndex.open(shop, encoder)


def test_a_missing_index_or_catalogue_is_an_error(shop: Path, encoder: WordEncoder) -> None:
    (shop / "vectors.faiss").unlink()
    with pytest.raises(CatalogDamagedError, match=r"lacks vectors\.faiss"):
        VectorIndex.open(shop, encoder)
    with pytest.raises(CatalogMissingError):
        VectorIndex.open(shop / "deeper", encoder)
