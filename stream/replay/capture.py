"""A capture: a folder with a manifest and the records of topics, compressed.

::

    DIR/manifest.json               what is in it, with a SHA-256 of each file (stream/replay/manifest.py)
    DIR/rules.json                  versions of the rules and where they changed (stream/replay/rules_kept.py)
    DIR/TOPIC/PARTITION-NNNN.parquet    offset, timestamp, key, value; ascending offsets; zstd

A segment is written aside and renamed, then named in the manifest, which is replaced whole. So an interrupted recording
goes on behind the last whole segment, and a file that no manifest names is written over.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from index.built.manifest import file_sha256
from nearline import written_whole
from stream.replay.errors import CaptureError
from stream.replay.manifest import Manifest, Part, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Capture", "CaptureWriter", "Record"]

_FIELDS = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
    ]
)
_ROW_GROUP = 20_000
_BATCH = 5_000
_HELD_BYTES = 64 * 2**20
_HELD_RECORDS = 400_000
# Of a record in memory beside its key and value: tuple, numbers, two headers of bytes.
_RECORD_BYTES = 200


class Record(NamedTuple):
    """One record of a topic. ``timestamp`` is the broker's, in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class CaptureWriter:
    """Adds records to a capture, part by part, each in the order of its offsets.

    Args:
        folder: the capture's; made if it is not there.
        manifest: what is known so far; it is kept up to date and saved.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self.manifest = manifest
        self._held: dict[tuple[str, int], list[Record]] = {}
        self._bytes = 0
        self._count = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CaptureError(
                f"{folder} cannot be made: {error}.", way_out="Choose another --out."
            ) from error
        manifest.save(folder)

    def begin(self, topic: str, partition: int, first: int) -> int:
        """Take note of where a part begins; return the offset to go on at."""
        part = self.manifest.part(topic, partition)
        if part is None:
            part = Part(topic, partition, first, first, segments=[])
            self.manifest.parts.append(part)
        return part.next

    def add(self, topic: str, partition: int, records: Sequence[Record], following: int) -> None:
        """Take in records; ``following`` is the offset after the last one read, kept or not.

        What is held is written when it has grown to 64 MiB.
        """
        self._part(topic, partition).next = following
        if records:
            self._held.setdefault((topic, partition), []).extend(records)
            self._count += len(records)
            self._bytes += sum(
                _RECORD_BYTES + len(record.key or b"") + len(record.value or b"") for record in records
            )
        if self._bytes >= _HELD_BYTES or self._count >= _HELD_RECORDS:
            self.flush()

    def flush(self, *, complete: bool = False) -> None:
        """Write all that is held, then the manifest.

        Raises:
            CaptureError: a file cannot be written.
        """
        for (topic, number), records in self._held.items():
            part = self._part(topic, number)
            part.segments.append(self._segment(part, records))
            part.records += len(records)
        self._held.clear()
        self._bytes = self._count = 0
        self.manifest.complete = complete
        self.manifest.save(self._folder)

    def _part(self, topic: str, partition: int) -> Part:
        part = self.manifest.part(topic, partition)
        if part is None:
            raise CaptureError(f"{topic}-{partition} was not begun.", way_out="Call begin first.")
        return part

    def _segment(self, part: Part, records: list[Record]) -> Segment:
        name = f"{part.topic}/{part.partition}-{len(part.segments):04d}.parquet"
        path = self._folder / name
        table = pa.table([list(column) for column in zip(*records, strict=True)], schema=_FIELDS)
        try:
            with written_whole(path) as beside:
                pq.write_table(
                    table, beside, compression="zstd", row_group_size=_ROW_GROUP, use_dictionary=["key"]
                )
                digest, size = file_sha256(beside), beside.stat().st_size
        except OSError as error:
            raise CaptureError(
                f"{path} cannot be written: {error}.",
                way_out="Check disk and permissions; the same command goes on behind the last whole segment.",
            ) from error
        times = [record.timestamp for record in records]
        return Segment(
            name, digest, size, len(records), records[0].offset, records[-1].offset, min(times), max(times)
        )


class Capture:
    """Reads a capture, a few thousand records at a time.

    Args:
        folder: the capture's.
        partial: read one whose recording was not finished, as far as it goes.

    Raises:
        CaptureError: there is none, it is of another schema version, or not finished.
    """

    def __init__(self, folder: Path, *, partial: bool = False) -> None:
        self.folder = folder
        self.manifest = Manifest.load(folder)
        if not (self.manifest.complete or partial):
            raise CaptureError(
                f"The recording of {folder} was not finished.",
                way_out="Run the same `nearline record` again: it goes on where it stopped.",
            )

    def parts(self) -> dict[int, list[Part]]:
        """The parts of event topics by the number of their partition, those of one in the order of the topics."""
        order = {topic.topic: place for place, topic in enumerate(self.manifest.event_topics)}
        found: dict[int, list[Part]] = {}
        for part in sorted(
            (part for part in self.manifest.parts if part.topic in order),
            key=lambda part: (part.partition, order[part.topic]),
        ):
            found.setdefault(part.partition, []).append(part)
        return found

    def catalog_parts(self) -> list[Part]:
        """The parts of the catalog topic, by partition."""
        parts = [part for part in self.manifest.parts if part.topic == self.manifest.catalog_topic]
        return sorted(parts, key=lambda part: part.partition)

    def read(self, part: Part, users: frozenset[bytes] | None = None) -> Iterator[list[Record]]:
        """Yield a part's records in the order of offsets; each file's hash is compared before it is read.

        ``users`` keeps records with these keys, and those without a key.

        Raises:
            CaptureError: a file is missing, cut short or altered; it is named.
        """
        chosen = pa.array(sorted(users), pa.binary()) if users is not None else None
        for segment in part.segments:
            path = self._checked(segment)
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_BATCH, use_threads=False):
                    if chosen is not None:
                        keys = batch.column("key")
                        batch = batch.filter(pc.or_kleene(pc.is_in(keys, chosen), keys.is_null()))  # noqa: PLW2901  # the same batch, less of it
                    columns = [column.to_pylist() for column in batch.columns]
                    if records := list(map(Record._make, zip(*columns, strict=True))):
                        yield records

    @property
    def sha256(self) -> str:
        """Hash of what is in it: the same for two copies, and for nothing else."""
        files = sorted((one.file, one.sha256) for part in self.manifest.parts for one in part.segments)
        return hashlib.sha256(repr(files).encode()).hexdigest()

    def verify(self) -> None:
        """Compare the hash of every file. Raises :class:`CaptureError` naming the first that is not as recorded."""
        for part in self.manifest.parts:
            for segment in part.segments:
                self._checked(segment)

    def _checked(self, segment: Segment) -> Path:
        path = self.folder / segment.file
        try:
            size, digest = path.stat().st_size, file_sha256(path)
        except OSError as error:
            raise CaptureError(
                f"{path} cannot be read: {error}.", way_out="Restore it from a copy, or record anew."
            ) from error
        if (size, digest) != (segment.bytes, segment.sha256):
            told = f"{size} bytes of {segment.bytes}" if size != segment.bytes else "its hash is another"
            raise CaptureError(
                f"{path} is not what was recorded: {told}.",
                way_out="Restore it from a copy, or record anew.",
            )
        return path
