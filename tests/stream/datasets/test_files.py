from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.datasets import files
from stream.datasets.errors import DatasetError
from stream.datasets.files import FileDataset

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = [
    {"event_id": "1", "user_id": "a", "type": "view", "ts": 1000, "item_id": "x"},
    {"event_id": "2", "user_id": "b", "type": "order", "ts": 2000, "item_id": "y", "quantity": 2},
    {"event_id": "3", "user_id": "a", "type": "search", "ts": 3000, "query": "lamp é"},
]


def lines(*rows: object) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    path.write_bytes(lines(EVENTS[0], b"", b"{oops", EVENTS[1], b"[1]", b"\xff\xfe", deep, EVENTS[2]))
    return path


def test_malformed_lines_are_passed_on_as_their_bytes_in_their_place(broken: Path) -> None:
    found = list(FileDataset(broken).raw_events())
    assert found[:5] == [EVENTS[0], b"{oops", EVENTS[1], b"[1]", b"\xff\xfe"]
    assert isinstance(found[5], bytes)
    assert found[6:] == [EVENTS[2]]


def test_events_stop_at_a_malformed_line_and_name_it(broken: Path) -> None:
    with pytest.raises(DatasetError, match=r"events\.jsonl, line 3: expected a JSON object, found b'{oops'"):
        list(FileDataset(broken).events())


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
def test_plain_and_compressed_lines_read_the_same(tmp_path: Path, name: str) -> None:
    data = lines(*EVENTS)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    dataset = FileDataset(tmp_path / name)
    assert list(dataset.events()) == EVENTS
    assert list(dataset.orders()) == [EVENTS[1]]


def test_the_filters_keep_what_was_asked_for_and_what_they_cannot_judge(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    odd = {"user_id": 5, "ts": "yesterday"}
    path.write_bytes(lines(*EVENTS, odd, b"{"))
    dataset = FileDataset(path)
    assert list(dataset.raw_events(since=2000, until=3000)) == [EVENTS[1], odd, b"{"]
    assert list(dataset.raw_events(users={"b"})) == [EVENTS[1], odd, b"{"]
    assert list(dataset.raw_events(limit=2)) == EVENTS[:2]


def test_a_compressed_file_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(lines(*EVENTS))[:-12])
    with pytest.raises(DatasetError, match="cannot be read to its end"):
        list(FileDataset(path).raw_events())


def test_a_line_without_an_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LONGEST_LINE", 100)
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines(EVENTS[0], b"x" * 101))
    found = FileDataset(path).raw_events()
    assert next(found) == EVENTS[0]
    with pytest.raises(DatasetError, match="line 2: longer than 100 bytes"):
        next(found)


def test_parquet_rows_become_events(tmp_path: Path) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)
    table = pa.table(
        {
            "event_id": pa.array([1, 2], pa.int64()),
            "user_id": ["a", None],
            "ts": pa.array([moment, None], pa.timestamp("ns", tz="Europe/Paris")),
            "amount": pa.array([Decimal("1.50"), None], pa.decimal128(6, 2)),
            "quantity": pa.array([1.0, float("nan")]),
            "day": pa.array([date(1970, 1, 2), None], pa.date32()),
            "attributes": pa.array([[("colour", "red")], None], pa.map_(pa.string(), pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "events.parquet")
    assert list(FileDataset(tmp_path / "events.parquet").events()) == [
        {
            "event_id": "1",
            "user_id": "a",
            "ts": int(moment.timestamp() * 1000),
            "amount": 1.5,
            "quantity": 1.0,
            "day": 86_400_000,
            "attributes": {"colour": "red"},
        },
        {"event_id": "2"},
    ]


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(b"PAR0 certainly not")
    with pytest.raises(DatasetError, match=r"events\.parquet"):
        list(FileDataset(path).raw_events())


def test_a_file_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.xml").touch()
    with pytest.raises(DatasetError, match="not a kind of file"):
        FileDataset(tmp_path / "events.xml")
    with pytest.raises(DatasetError, match="no such file"):
        FileDataset(tmp_path / "events.jsonl")
    (tmp_path / "events.jsonl").write_bytes(lines(*EVENTS))
    with pytest.raises(DatasetError, match="no catalogue was given"):
        next(FileDataset(tmp_path / "events.jsonl").catalog())
    with pytest.raises(DatasetError, match="no events were given"):
        FileDataset(catalog=tmp_path / "events.jsonl").events()
