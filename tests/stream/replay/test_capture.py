"""A capture: written whole or not at all, read a little at a time, and every damage named."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from stream.replay.capture import Capture, CaptureWriter, Record
from stream.replay.errors import CaptureError
from stream.replay.manifest import MANIFEST, Manifest
from tests.stream.replay.captures import START, event, manifest_of, write_capture

if TYPE_CHECKING:
    from pathlib import Path


def records(first: int, count: int) -> list[Record]:
    return [
        Record(n, START + n, b"u%d" % (n % 3) if n % 5 else None, b"v%d" % n if n % 7 else None)
        for n in range(first, first + count)
    ]


def test_what_was_written_is_read_back_in_its_order_over_several_segments(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c", manifest_of())
    writer.begin("views", 1, 10)
    for first in (10, 7_000, 20_000):
        writer.add("views", 1, records(first, 6_000), first + 6_000)
        writer.flush()
    writer.flush(complete=True)
    capture = Capture(tmp_path / "c")
    (part,) = capture.manifest.parts
    assert [one.file for one in part.segments] == [f"views/1-000{n}.parquet" for n in range(3)]
    batches = list(capture.read(part))
    assert max(map(len, batches)) <= 5_000
    assert [r for batch in batches for r in batch] == records(10, 6_000) + records(7_000, 6_000) + records(
        20_000, 6_000
    )
    assert (capture.manifest.records, part.next) == (18_000, 26_000)
    assert (capture.manifest.earliest, capture.manifest.latest) == (START + 10, START + 25_999)


def test_only_the_chosen_shoppers_records_and_those_without_a_key_are_read(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c", manifest_of())
    writer.begin("views", 0, 0)
    writer.add("views", 0, records(0, 100), 100)
    writer.flush(complete=True)
    capture = Capture(tmp_path / "c")
    found = [r for batch in capture.read(capture.manifest.parts[0], frozenset({b"u1"})) for r in batch]
    assert found == [r for r in records(0, 100) if r.key in {None, b"u1"}]


def test_a_recording_killed_before_its_manifest_goes_on_behind_the_last_whole_segment(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    writer = CaptureWriter(folder, manifest_of())
    writer.begin("views", 0, 0)
    writer.add("views", 0, records(0, 50), 50)
    writer.flush()
    before = (folder / MANIFEST).read_bytes()
    writer.add("views", 0, records(50, 50), 100)
    writer.flush()  # killed: the segment is there and the manifest is not
    (folder / MANIFEST).write_bytes(before)
    (folder / "views" / ".0-0002.parquet.partial").write_bytes(b"half")

    again = CaptureWriter(folder, Manifest.load(folder))
    assert again.begin("views", 0, 0) == 50
    again.add("views", 0, records(50, 30), 80)
    again.flush(complete=True)
    capture = Capture(folder)
    assert [r for batch in capture.read(capture.manifest.parts[0]) for r in batch] == records(0, 80)


def test_a_recording_that_was_not_finished_is_refused_unless_asked_for(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path, manifest_of())
    writer.flush()
    with pytest.raises(CaptureError, match="not finished") as told:
        Capture(tmp_path)
    assert "nearline record" in told.value.way_out
    assert Capture(tmp_path, partial=True).manifest.parts == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-1], r"views/0-0000.parquet is not what was recorded: \d+ bytes of"),
        (lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:], "its hash is another"),
        (lambda data: None, "No such file"),
    ],
)
def test_a_truncated_altered_or_missing_file_is_named(tmp_path: Path, damage: object, said: str) -> None:
    capture = write_capture(tmp_path, [event(n, "a") for n in range(20)], partitions=1)
    path = tmp_path / "views" / "0-0000.parquet"
    changed = damage(path.read_bytes())  # type: ignore[operator]  # a function of bytes
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    with pytest.raises(CaptureError, match=said) as told:
        capture.verify()
    assert "0-0000.parquet" in str(told.value)
    with pytest.raises(CaptureError, match=said):
        list(capture.read(capture.manifest.parts[0]))


def test_another_schema_version_and_a_damaged_manifest_are_refused_with_the_way_out(tmp_path: Path) -> None:
    write_capture(tmp_path / "c", [event(1, "a")])
    path = tmp_path / "c" / MANIFEST
    good = json.loads(path.read_text())
    for text, said in (
        (json.dumps({**good, "schema": 9}), "schema version 9"),
        ("{", "cannot be read"),
        (json.dumps({"schema": 1}), "cannot be read"),
    ):
        path.write_text(text)
        with pytest.raises(CaptureError, match=said) as told:
            Capture(tmp_path / "c")
        assert told.value.way_out
    shutil.rmtree(tmp_path / "c")
    with pytest.raises(CaptureError, match="holds no capture"):
        Capture(tmp_path / "c")
