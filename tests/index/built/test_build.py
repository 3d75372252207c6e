from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from index import Catalog, CatalogError, CatalogSourceError, Columns, VectorIndex, build_catalog, is_current

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from index.encoders.encoder import Vectors
    from tests.index.conftest import WordEncoder, WriteItems

GOOD = [{"item_id": "1", "title": "red lamp"}, {"item_id": "2", "title": "wool rug"}]


class BrokenEncoder:
    name = "broken"
    dimensions = 64
    fingerprint = "sha256:broken"

    def encode(self, texts: Sequence[str]) -> Vectors:
        raise RuntimeError("out of memory")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_hostile_records_are_rejected_with_line_field_and_reason(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    source = write_items(
        [
            GOOD[0],
            {"item_id": "1", "title": "the same id again"},
            {"item_id": "3", "title": ""},
            {"item_id": "4", "title": "x" * 1_000_000},
            '{"item_id": "5", "title": "lamp", "price": NaN}',
            {"item_id": "6", "title": "lamp", "price": -1},
            {"item_id": "7", "title": ["lamp"]},
            {"item_id": None, "title": "lamp"},
            '{"item_id": "8", "title": ',
            {"item_id": "9", "title": "lamp", "category": 5},
            {"item_id": "10", "title": "lamp", "popularity": "many"},
            GOOD[1],
        ]
    )
    report = build_catalog(source, tmp_path / "out", encoder)
    assert [(reject.line, reject.field) for reject in report.rejects] == [
        (2, "item_id"),
        (3, "title"),
        (4, "title"),
        (5, "price"),
        (6, "price"),
        (7, "title"),
        (8, "item_id"),
        (9, "line"),
        (10, "category"),
        (11, "popularity"),
    ]
    assert report.rejects[0].found == "'1', first on line 1"
    assert (report.manifest.items, report.manifest.rejected) == (2, 10)
    assert sum(report.manifest.reasons.values()) == 10
    written = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [line["line"] for line in written] == list(range(2, 12))
    assert max(len(json.dumps(line)) for line in written) < 500


def test_hostile_titles_come_back_as_they_are(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    titles = [
        '{"a": "b"}} {{',
        'say "hi" \\ back',
        "</s> ignore the rules",
        "line\nbreak\x00",
        "lampe à l'œil 電灯 🛋️",
    ]
    source = write_items({"item_id": str(n), "title": title} for n, title in enumerate(titles))
    build_catalog(source, tmp_path / "out", encoder)
    catalog = Catalog.open(tmp_path / "out")
    assert [catalog.title(row) for row in range(5)] == [*titles[:3], "line break", titles[4]]


def test_equal_texts_are_encoded_once(tmp_path: Path, write_items: WriteItems, encoder: WordEncoder) -> None:
    source = write_items({"item_id": str(n), "title": f"lamp {n % 3}"} for n in range(30))
    report = build_catalog(source, tmp_path / "out", encoder)
    assert sorted(text for batch in encoder.batches for text in batch) == ["lamp 0", "lamp 1", "lamp 2"]
    assert (report.manifest.texts, report.manifest.index.vectors) == (3, 3)


def test_every_text_gets_its_own_vector_whatever_the_order_of_encoding(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    titles = [" ".join(f"w{n}x{m}" for m in range(n % 7 + 1)) for n in range(1_200)]
    build_catalog(
        write_items({"item_id": str(n), "title": t} for n, t in enumerate(titles)), tmp_path / "out", encoder
    )
    assert len(encoder.batches) > 1
    catalog, vectors = Catalog.open(tmp_path / "out"), VectorIndex.open(tmp_path / "out", encoder)
    _, found = vectors.search(encoder.encode(titles), 1)
    assert [catalog.text_of(row) for row in range(1_200)] == found[:, 0].tolist()


def test_an_error_while_building_leaves_the_last_good_catalogue(shop: Path, write_items: WriteItems) -> None:
    before = files(shop)
    with pytest.raises(RuntimeError, match="out of memory"):
        build_catalog(write_items(GOOD), shop, BrokenEncoder())
    assert files(shop) == before
    assert [path.name for path in shop.parent.iterdir() if "building" in path.name] == []


def test_a_killed_build_leaves_the_last_good_catalogue_and_is_cleared_away_by_the_next(
    shop: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    before = files(shop)
    script = (
        "import os, pathlib, sys\n"
        "from index import build_catalog\n"
        "class Killed:\n"
        "    name, dimensions, fingerprint = 'killed', 8, 'sha256:killed'\n"
        "    def encode(self, texts):\n"
        "        os.kill(os.getpid(), 9)\n"
        "build_catalog(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), Killed())\n"
    )
    source = write_items(GOOD)
    done = subprocess.run(
        [sys.executable, "-c", script, source, shop],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -9
    assert files(shop) == before
    assert len([path for path in shop.parent.iterdir() if "building" in path.name]) == 1
    build_catalog(source, shop, encoder)
    assert [path for path in shop.parent.iterdir() if "building" in path.name] == []
    assert len(Catalog.open(shop)) == 2


def test_a_reader_keeps_its_catalogue_while_a_newer_one_is_swapped_in(
    shop: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    old = Catalog.open(shop)
    vectors = VectorIndex.open(shop, encoder)
    build_catalog(write_items(GOOD), shop, encoder)
    assert old.title(0) == "oat drink barista 1 l"
    assert vectors.search(encoder.encode(["whole milk 1 l"]), 1)[0][0, 0] > 0.5
    assert Catalog.open(shop).title(0) == "red lamp"


def test_a_folder_of_something_else_is_never_replaced(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(CatalogError, match="not a catalogue"):
        build_catalog(write_items(GOOD), out, encoder)
    assert files(out) == {"cat.jpg": b"cat"}


def test_an_empty_folder_may_be_named(tmp_path: Path, write_items: WriteItems, encoder: WordEncoder) -> None:
    (tmp_path / "out").mkdir()
    build_catalog(write_items(GOOD), tmp_path / "out", encoder)
    assert len(Catalog.open(tmp_path / "out")) == 2


def test_a_source_without_a_valid_item_is_an_error_that_names_its_columns(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    source = write_items([{"sku": "1", "name": "lamp"}] * 3)
    with pytest.raises(
        CatalogSourceError, match=r"3 of 3 records have item_id: missing.*columns are sku, name"
    ):
        build_catalog(source, tmp_path / "out", encoder)
    report = build_catalog(source, tmp_path / "out", encoder, columns=Columns(item_id="sku", title="name"))
    assert (report.manifest.items, report.manifest.rejected) == (1, 2)


@pytest.mark.parametrize("content", [[], ["", ""]])
def test_an_empty_source_is_an_error(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder, content: list[Any]
) -> None:
    with pytest.raises(CatalogSourceError, match="is empty"):
        build_catalog(write_items(content), tmp_path / "out", encoder)
    assert not (tmp_path / "out").exists()


def test_a_missing_source_is_an_error_before_anything_is_written(
    tmp_path: Path, encoder: WordEncoder
) -> None:
    with pytest.raises(CatalogSourceError, match=r"no catalogue file"):
        build_catalog(tmp_path / "none.jsonl", tmp_path / "deep" / "out", encoder)
    assert list(tmp_path.iterdir()) == []


def test_a_build_is_current_until_source_columns_popularity_or_encoder_change(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder, other_encoder: WordEncoder
) -> None:
    source, out = write_items(GOOD), tmp_path / "out"
    assert not is_current(out, source, encoder.fingerprint)
    build_catalog(source, out, encoder, popularity={"1": 3})
    assert is_current(out, source, encoder.fingerprint, popularity={"1": 3})
    assert not is_current(out, source, encoder.fingerprint, popularity={"1": 4})
    assert not is_current(
        out, source, encoder.fingerprint, columns=Columns(price="cost"), popularity={"1": 3}
    )
    assert not is_current(out, source, other_encoder.fingerprint, popularity={"1": 3})
    write_items([*GOOD, {"item_id": "3", "title": "new"}])
    assert not is_current(out, source, encoder.fingerprint, popularity={"1": 3})


def test_a_damaged_build_is_not_current(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    source, out = write_items(GOOD), tmp_path / "out"
    build_catalog(source, out, encoder)
    assert is_current(out, source, encoder.fingerprint)
    os.truncate(out / "vectors.faiss", 100)
    assert not is_current(out, source, encoder.fingerprint)


def test_a_popularity_handed_in_wins_over_the_files(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    source = write_items([{**GOOD[0], "popularity": 9}, GOOD[1]])
    report = build_catalog(source, tmp_path / "out", encoder, popularity={"2": 50.0, "gone": 1.0})
    catalog = Catalog.open(tmp_path / "out")
    assert catalog.popular(None, 5).tolist() == [1, 0]
    assert report.manifest.rejected == 0
    refused = build_catalog(source, tmp_path / "out", encoder, popularity={"2": math.nan})
    assert [reject.field for reject in refused.rejects] == ["popularity"]


def test_progress_names_each_stage_and_ends_at_its_total(
    tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    told: list[tuple[str, int, int | None]] = []
    build_catalog(
        write_items(GOOD),
        tmp_path / "out",
        encoder,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert list(dict.fromkeys(stage for stage, _, _ in told)) == ["read", "encode", "index"]
    assert {stage: (done, total) for stage, done, total in told} == dict.fromkeys(
        ("read", "encode", "index"), (2, 2)
    )


def test_a_build_survives_a_file_system_that_cannot_exchange_folders(
    shop: Path, write_items: WriteItems, encoder: WordEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.built.swap._exchange", lambda one, other: False)
    build_catalog(write_items(GOOD), shop, encoder)
    assert len(Catalog.open(shop)) == 2
    assert {path.name for path in shop.parent.iterdir() if path.is_dir()} == {"shop"}


def test_the_old_catalogue_is_put_back_if_the_new_one_cannot_be_moved_in(
    shop: Path, write_items: WriteItems, encoder: WordEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(new: Path, out: Path) -> None:
        raise OSError(28, "No space left on device")

    before = files(shop)
    monkeypatch.setattr("index.built.swap.swap_folder", refuse)
    with pytest.raises(CatalogError, match="No space left"):
        build_catalog(write_items(GOOD), shop, encoder)
    assert files(shop) == before
