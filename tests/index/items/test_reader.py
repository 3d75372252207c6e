from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from index import CatalogSourceError, Columns
from index.items.reader import MAX_LINE, Record, read_records

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"item_id": "1", "title": "lamp"}, {"item_id": "2", "title": "rug, red"}]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz", "a.JSONL"])
def test_json_lines_are_read_with_their_line_numbers(tmp_path: Path, name: str) -> None:
    data = "\n\n".join(map(json.dumps, ROWS)).encode()
    assert list(read_records(write(tmp_path / name, data))) == [Record(1, ROWS[0]), Record(3, ROWS[1])]


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.csv.gz", ","), ("a.tsv", "\t")])
def test_tables_are_read_with_their_line_numbers(tmp_path: Path, name: str, mark: str) -> None:
    data = f'\ufeffitem_id{mark}title\r\n1{mark}lamp\r\n2{mark}"rug, red"\r\n'.encode()
    assert list(read_records(write(tmp_path / name, data))) == [Record(2, ROWS[0]), Record(3, ROWS[1])]


def test_parquet_is_read_by_rows(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert list(read_records(tmp_path / "a.parquet")) == [Record(1, ROWS[0]), Record(2, ROWS[1])]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"item_id": ', "no valid JSON"),
        (b"[1, 2]", "expected a JSON object"),
        (b'"text"', "expected a JSON object"),
        (b'{"title": "\xff\xfe"}', "not UTF-8"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"n": ' + b"9" * 5_000 + b"}", "a number too long"),
        (b"x" * (2 * MAX_LINE + 5), "bytes"),
        (b"x" * MAX_LINE, "bytes"),
    ],
)
def test_a_bad_line_costs_only_itself(tmp_path: Path, line: bytes, problem: str) -> None:
    good = json.dumps(ROWS[0]).encode()
    first, bad, last = read_records(write(tmp_path / "a.jsonl", b"\n".join([good, line, good])))
    assert (first.fields, last.fields) == (ROWS[0], ROWS[0])
    assert (first.line, bad.line, last.line) == (1, 2, 3)
    assert bad.fields is None
    assert problem in bad.problem


def test_a_table_row_with_too_few_or_too_many_values_costs_only_itself(tmp_path: Path) -> None:
    records = list(read_records(write(tmp_path / "a.csv", b"item_id,title\n1\n1,a,b\n2,lamp\n")))
    assert [record.fields for record in records] == [None, None, {"item_id": "2", "title": "lamp"}]
    assert "expected 2 columns" in records[0].problem


def test_an_enormous_table_value_costs_only_its_row(tmp_path: Path) -> None:
    data = b"item_id,title\n1," + b"x" * 1_000_000 + b"\n2,lamp\n"
    assert [record.fields is None for record in read_records(write(tmp_path / "a.csv", data))] == [
        True,
        False,
    ]


@pytest.mark.parametrize("header", [b"", b"id,id\n1,2\n", b",,\n"])
def test_a_table_without_column_names_is_an_error(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(CatalogSourceError, match=r"line 1.*column"):
        list(read_records(write(tmp_path / "a.csv", header)))


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CatalogSourceError, match=r"no catalogue file .*nothing\.jsonl"):
        list(read_records(tmp_path / "nothing.jsonl"))


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz", "a.parquet.gz", "jsonl"])
def test_an_unknown_ending_is_an_error_that_names_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogSourceError, match=r"\.jsonl.*\.parquet"):
        list(read_records(write(tmp_path / name, b"{}")))


def test_a_gzip_file_cut_short_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", b"".join(b'{"item_id": "%d"}\n' % n for n in range(2_000)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CatalogSourceError, match="gzip"):
        list(read_records(path))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.parquet"])
def test_a_file_that_is_not_what_its_name_says_is_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'{"item_id": "1", "title": "lamp"}')
    with pytest.raises(CatalogSourceError, match=name):
        list(read_records(path))


def test_columns_map_a_files_own_names() -> None:
    columns = Columns(item_id="sku", title="name", attributes=("colour", "size"))
    picked = columns.pick({"sku": 7, "name": "lamp", "colour": "red", "size": "", "price": None, "more": 1})
    assert picked == {"item_id": 7, "title": "lamp", "attributes": {"colour": "red"}}


def test_an_attributes_object_joins_the_named_columns() -> None:
    picked = Columns(attributes=("colour",)).pick({"attributes": {"size": "L"}, "colour": "red"})
    assert picked["attributes"] == {"size": "L", "colour": "red"}
