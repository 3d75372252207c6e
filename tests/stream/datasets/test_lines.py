"""JSON Lines written whole or not at all."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from stream.datasets import DatasetError, FileDataset, json_lines, write_json_lines

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"item_id": "1", "title": "Käse"}, {"item_id": "2", "price": 1.5}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_what_is_written_reads_back_the_same(tmp_path: Path, name: str) -> None:
    assert write_json_lines(tmp_path / name, iter(ROWS)) == 2
    assert list(FileDataset(catalog=tmp_path / name).catalog()) == ROWS


def test_lines_are_compressed_where_the_name_says_so_and_bytes_go_in_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    with json_lines(path) as out:
        out.write(b'{"as":  "it is"}')
        out.write({"b": None})
        assert not path.exists()
    assert gzip.decompress(path.read_bytes()) == b'{"as":  "it is"}\n{"b":null}\n'
    assert out.count == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.csv", "ending"), ("file/a.jsonl", "cannot be written"), ("folder.jsonl", "is a folder")],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(DatasetError, match=said) as caught, json_lines(tmp_path / name):
        pytest.fail("the block was begun")
    assert str(tmp_path / name) in str(caught.value)
    assert caught.value.way_out
