from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stream.datasets import (
    CompleteJourney,
    DatasetError,
    FileDataset,
    OnlineRetail,
    open_dataset,
    write_json_lines,
)

if TYPE_CHECKING:
    from pathlib import Path

ITEM = {
    "item_id": "x",
    "title": "Lámpara",
    "category": "Lamps",
    "price": None,
    "popularity": 1,
    "attributes": {},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events.jsonl").write_text('{"event_id": "1"}\n')
    (tmp_path / "items.jsonl").write_text(json.dumps(ITEM) + "\n")
    (tmp_path / "retail.csv").write_text("InvoiceNo\n")
    return tmp_path


def test_a_name_or_a_path_opens_its_dataset(folder: Path) -> None:
    assert isinstance(open_dataset("completejourney"), CompleteJourney)
    assert isinstance(open_dataset("online-retail", file=folder / "retail.csv"), OnlineRetail)
    assert isinstance(open_dataset(str(folder / "retail.csv")), OnlineRetail)
    own = open_dataset(str(folder / "events.jsonl"), catalog=folder / "items.jsonl")
    assert isinstance(own, FileDataset)
    assert list(own.catalog()) == [ITEM]


def test_a_name_nobody_knows_is_answered_with_those_there_are() -> None:
    with pytest.raises(DatasetError, match="completejourney, online-retail"):
        open_dataset("movielens")


def test_a_file_that_would_not_be_read_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="has no use for the catalog"):
        open_dataset("completejourney", catalog=folder / "items.jsonl")
    with pytest.raises(DatasetError, match="no file was given"):
        open_dataset("online-retail")


def test_a_written_catalogue_reads_back_the_same_and_replaces_the_old(folder: Path) -> None:
    out = folder / "deep" / "catalog.jsonl"
    own = FileDataset(catalog=folder / "items.jsonl")
    for _ in range(2):
        assert write_json_lines(out, own.catalog()) == 1
    assert list(FileDataset(catalog=out).catalog()) == [ITEM]
    assert [path.name for path in out.parent.iterdir()] == ["catalog.jsonl"]


def test_a_catalogue_that_fails_halfway_leaves_the_old_one(folder: Path) -> None:
    out = folder / "catalog.jsonl"
    write_json_lines(out, FileDataset(catalog=folder / "items.jsonl").catalog())
    (folder / "items.jsonl").write_text(json.dumps(ITEM) + "\n{oops\n")
    with pytest.raises(DatasetError, match="line 2"):
        write_json_lines(out, FileDataset(catalog=folder / "items.jsonl").catalog())
    assert out.read_text().count("\n") == 1
    assert not list(folder.glob(".catalog*"))
