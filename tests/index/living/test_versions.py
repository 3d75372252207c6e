"""Versions of a catalogue: published, listed, gone back to, folded."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import (
    CatalogDamagedError,
    CatalogError,
    CatalogMissingError,
    CatalogSourceError,
    EncoderMismatchError,
    Item,
    Manifest,
    Query,
    Recall,
    RecallRequest,
    build_catalog,
)
from index.living import LivingRecall, Price, Remove, Stock, Upsert, Versions
from index.living.fold import fold, save_delta
from index.nearest.choice import IndexChoice
from tests.index.conftest import SHOP, WordEncoder, WriteItems

if TYPE_CHECKING:
    from pathlib import Path


def lamps(count: int) -> list[dict[str, object]]:
    return [{"item_id": f"l{n}", "title": f"lamp number{n}"} for n in range(count)]


@pytest.fixture
def versions(shop: Path) -> Versions:
    return Versions(shop, keep=3)


def test_publishing_keeps_what_was_built_before_so_that_it_can_be_gone_back_to(
    versions: Versions, write_items: WriteItems, encoder: WordEncoder
) -> None:
    made = versions.publish(
        write_items(lamps(3)), encoder, note="lamps", author="ann", offsets={"catalog:0": 7}
    )
    assert (made.number, versions.in_force()) == (2, 2)
    published = Manifest.load(versions.home).published
    assert published is not None
    assert (published.note, published.author, published.offsets) == ("lamps", "ann", {"catalog:0": 7})
    assert [(one.number, one.in_force, one.problem) for one in versions.kept()] == [
        (1, False, ""),
        (2, True, ""),
    ]
    versions.rollback(1, encoder)
    assert len(Recall.open(versions.home, encoder).catalog) == len(SHOP)
    assert versions.in_force() == 1


def test_only_new_texts_are_encoded(
    versions: Versions, write_items: WriteItems, encoder: WordEncoder
) -> None:
    before = Recall.open(versions.home, encoder)
    versions.publish(write_items([*SHOP, {"item_id": "x", "title": "brass lamp"}]), encoder)
    assert encoder.batches == [["brass lamp"]]
    after = Recall.open(versions.home, encoder)
    vectors = encoder.encode(["whole milk 1 l"])
    assert after.vectors.search(vectors, 3)[0] == pytest.approx(
        before.vectors.search(vectors, 3)[0], abs=2e-3
    )


def test_the_oldest_versions_are_pruned_and_never_the_one_in_force(
    versions: Versions, write_items: WriteItems, encoder: WordEncoder
) -> None:
    for count in (2, 3, 4):
        versions.publish(write_items(lamps(count)), encoder)
    assert [one.number for one in versions.kept()] == [2, 3, 4]
    versions.rollback(2, encoder)
    versions.publish(write_items(lamps(5)), encoder)
    versions.rollback(3, encoder)
    assert {one.number for one in versions.kept()} >= {3}
    with pytest.raises(CatalogMissingError, match="no version 1"):
        versions.rollback(1, encoder)


def test_a_damaged_version_is_refused_and_what_is_in_force_stays(
    versions: Versions, write_items: WriteItems, encoder: WordEncoder
) -> None:
    versions.publish(write_items(lamps(3)), encoder)
    path = versions.folder / "000001" / "items.arrow"
    copy = path.read_bytes()
    path.unlink()
    path.write_bytes(copy[:-20] + b"x" * 20)
    with pytest.raises(CatalogDamagedError, match="SHA-256"):
        versions.rollback(1, encoder)
    os.truncate(path, 100)
    assert "bytes" in versions.kept()[0].problem
    assert versions.in_force() == 2
    assert len(Recall.open(versions.home, encoder).catalog) == 3


def test_a_source_that_cannot_be_used_changes_nothing(
    versions: Versions,
    write_items: WriteItems,
    encoder: WordEncoder,
    other_encoder: WordEncoder,
    tmp_path: Path,
) -> None:
    before = Manifest.load(versions.home)
    with pytest.raises(CatalogSourceError):
        versions.publish(write_items(["{"]), encoder)
    build_catalog(write_items(lamps(3)), tmp_path / "other", other_encoder)
    with pytest.raises(EncoderMismatchError):
        versions.publish(tmp_path / "other", encoder)
    assert Manifest.load(versions.home) == before
    assert versions.in_force() is None


def test_a_built_folder_is_published_as_it_is(
    versions: Versions, write_items: WriteItems, encoder: WordEncoder, tmp_path: Path
) -> None:
    build_catalog(write_items(lamps(3)), tmp_path / "other", encoder)
    encoder.batches.clear()
    versions.publish(tmp_path / "other", encoder, note="from a folder")
    assert encoder.batches == []
    assert Manifest.load(versions.home).build_id == Manifest.load(tmp_path / "other").build_id
    assert Manifest.load(tmp_path / "other").published is None


def test_two_cannot_publish_at_once(
    versions: Versions, write_items: WriteItems, encoder: WordEncoder
) -> None:
    versions.folder.mkdir()
    with (versions.folder / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CatalogError, match="being published"):
            versions.publish(write_items(lamps(3)), encoder)


def test_a_measured_type_of_index_is_used_again_while_it_fits(
    versions: Versions, write_items: WriteItems, encoder: WordEncoder
) -> None:
    choice = IndexChoice(factory="IVF4,SQ8", breadth=4, texts=200, recall=0.99)
    versions.publish(write_items(lamps(200)), encoder, choice=choice)
    versions.publish(write_items(lamps(220)), encoder)
    assert Manifest.load(versions.home).index.choice == choice
    versions.publish(write_items(lamps(20)), encoder)
    assert Manifest.load(versions.home).index.choice.factory == "Flat"


def test_a_delta_is_folded_into_a_version_without_encoding(
    versions: Versions, encoder: WordEncoder, tmp_path: Path
) -> None:
    living = LivingRecall(Recall.open(versions.home, encoder))
    new = Item(item_id="n1", title="espresso machine", category="coffee", price=9)
    living.apply([Upsert(new), Price("m1", 7), Remove("m3"), Stock("b2", in_stock=False)])
    living.apply([Upsert(Item(item_id="s1", title="bath soap"))])
    save_delta(living.delta, living.near, {"catalog:0": 5}, tmp_path)
    encoder.batches.clear()
    made = fold(versions.home, tmp_path, keep=3)
    assert encoder.batches == []
    assert made.manifest is not None
    assert made.manifest.published is not None
    assert made.manifest.published.offsets == {"catalog:0": 5}
    folded = LivingRecall(Recall.open(versions.home, encoder)).now
    request = [RecallRequest((Query("espresso machine soap milk bread"),), limit=50)]
    assert sorted(c.item for c in folded.recall(request).candidates[0]) == sorted(
        c.item for c in living.now.recall(request).candidates[0]
    )
    assert folded.catalog.sold_out() == {"b2"}
    row = folded.catalog.row("m1")
    assert row is not None
    assert folded.catalog.price(row) == 7
    assert "m3" not in folded.catalog
    with pytest.raises(CatalogError, match="anew"):
        fold(versions.home, tmp_path)


def test_readers_find_one_whole_version_at_any_moment_of_publishing_and_rolling_back(
    versions: Versions, write_items: WriteItems, encoder: WordEncoder
) -> None:
    versions.publish(write_items(lamps(30)), encoder)
    stop, sizes, errors = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            try:
                recall = Recall.open(versions.home, WordEncoder())
                sizes.append(len(recall.recall([RecallRequest((Query("lamp"),))]).candidates[0]))
            except Exception as error:  # noqa: BLE001 - any other one is the test's failure
                errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(20):
        versions.rollback(1 + turn % 2, encoder)
    stop.set()
    for reader in readers:
        reader.join()
    assert not errors
    assert set(sizes) <= {14, 30}
    assert np.size(sizes) > 0
