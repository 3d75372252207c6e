from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from index import Catalog, CatalogDamagedError, CatalogMissingError, Manifest, build_catalog
from index.items.item import UNCATEGORISED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.conftest import WordEncoder, WriteItems


def test_an_item_is_found_by_its_id_and_read_by_its_row(shop: Path) -> None:
    catalog = Catalog.open(shop)
    row = catalog.row("m1")
    assert row == 0
    assert (catalog.item_id(row), catalog.title(row), catalog.category(row)) == (
        "m1",
        "oat drink barista 1 l",
        "milk",
    )
    assert (catalog.price(row), catalog.brand(row), catalog.popularity(row)) == (2.5, "Oatly", 5.0)
    assert len(catalog) == 14
    assert "m1" in catalog
    assert "gone" not in catalog
    assert catalog.row("gone") is None


def test_what_is_unknown_is_none(shop: Path) -> None:
    catalog = Catalog.open(shop)
    row = catalog.row("s1")
    assert row is not None
    item = catalog.item(row)
    assert (item.price, item.brand, item.category, item.popularity) == (None, None, UNCATEGORISED, 0.0)
    assert item.attributes == {"size": "500 ml"}


def test_rows_of_a_category_come_by_popularity(shop: Path) -> None:
    catalog = Catalog.open(shop)
    assert [catalog.item_id(int(row)) for row in catalog.rows_of_category("milk")] == ["m3", "m2", "m1"]
    assert catalog.rows_of_category("cars").size == 0
    assert catalog.categories == ("milk", "bread", UNCATEGORISED, "paper")
    assert sum(len(catalog.rows_of_category(name)) for name in catalog.categories) == len(catalog)


def test_popular_items_come_from_a_category_or_from_all(shop: Path) -> None:
    catalog = Catalog.open(shop)
    assert [catalog.item_id(int(row)) for row in catalog.popular("bread", 1)] == ["b2"]
    assert [catalog.item_id(int(row)) for row in catalog.popular(None, 3)] == ["m3", "b2", "m2"]


def test_without_popularity_the_sources_order_stands(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    build_catalog(
        write_items({"item_id": f"i{n}", "title": f"lamp {n}"} for n in range(9)), tmp_path / "out", encoder
    )
    assert Catalog.open(tmp_path / "out").popular(None, 9).tolist() == list(range(9))


@pytest.mark.real
def test_a_hundred_thousand_items_open_without_reading_them_all(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    source = write_items(
        f'{{"item_id": "i{n}", "title": "lamp number {n % 50}", "category": "c{n % 300}", "popularity": {n % 97}}}'
        for n in range(100_000)
    )
    build_catalog(source, tmp_path / "out", encoder)
    started = time.perf_counter()
    catalog = Catalog.open(tmp_path / "out")
    assert time.perf_counter() - started < 20
    assert catalog.row("i99999") == 99_999


def test_a_folder_without_a_catalogue_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CatalogMissingError, match="nearline catalog build"):
        Catalog.open(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": 1}', b"\xff\xfe"])
def test_a_broken_manifest_is_an_error(shop: Path, content: bytes) -> None:
    (shop / "manifest.json").write_bytes(content)
    with pytest.raises(CatalogDamagedError, match="manifest"):
        Catalog.open(shop)


def test_a_layout_of_another_version_is_refused(shop: Path) -> None:
    manifest = Manifest.load(shop).model_copy(update={"schema_version": 99})
    (shop / "manifest.json").write_text(manifest.model_dump_json())
    with pytest.raises(CatalogDamagedError, match="version 99"):
        Catalog.open(shop)


def test_an_item_table_cut_short_is_an_error(shop: Path) -> None:
    os.truncate(shop / "items.arrow", 300)
    with pytest.raises(CatalogDamagedError, match="300 bytes"):
        Catalog.open(shop)


def test_an_altered_item_table_is_found_by_its_hash(shop: Path) -> None:
    path = shop / "items.arrow"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"sourdough", b"soUrdough"))
    assert path.stat().st_size == len(data)
    with pytest.raises(CatalogDamagedError, match="SHA-256"):
        Catalog.open(shop, verify=True)


def test_a_missing_item_table_is_an_error(shop: Path) -> None:
    (shop / "items.arrow").unlink()
    with pytest.raises(CatalogDamagedError, match=r"lacks items\.arrow"):
        Catalog.open(shop)


def test_a_table_of_another_build_is_refused(
    shop: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    old = (shop / "manifest.json").read_bytes()
    build_catalog(shop.parent / "shop.jsonl", shop, encoder)
    (shop / "manifest.json").write_bytes(old)
    with pytest.raises(CatalogDamagedError, match="another build"):
        Catalog.open(shop)
