"""What a capture says of itself: ``manifest.json``, written whole or not at all.

::

    {"schema": 1, "made_at": "2026-05-04T12:00:00+00:00", "source": "topics at kafka-1:9092", "complete": true,
     "scanned": false, "prefix": "", "event_topics": [{"topic": "views", "type": "view"}, ...],
     "catalog_topic": "catalog", "asked": {"since": null, "until": 1746000000000, ...},
     "records": 12, "earliest": 1746000000000, "latest": 1746000011000,
     "parts": [{"topic": "views", "partition": 0, "first": 0, "next": 12, "records": 12, ...,
                "segments": [{"file": "views/0-0000.parquet", "sha256": "...", "bytes": 1234, "records": 12,
                              "first": 0, "last": 11, "earliest": ..., "latest": ...}]}],
     "rules": {"file": "rules.json", "sha256": "..."}, "notes": []}

Times are the records' own, in milliseconds. ``next`` of a part is the first offset that was not read; it
may lie beyond the last one kept, where shoppers were chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nearline import written_whole
from stream.replay.errors import CaptureError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "MANIFEST",
    "SCHEMA",
    "Asked",
    "Kept",
    "Manifest",
    "Part",
    "Segment",
    "Topic",
    "write_whole",
]

SCHEMA = 1
MANIFEST = "manifest.json"


class Topic(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an event topic is read: the type of events without one, and our field names to the topic's."""

    topic: str
    type: str | None = None
    fields: dict[str, str] = {}


class Asked(msgspec.Struct, frozen=True):
    """What was to be recorded; a recording goes on only with the same.

    Attributes:
        topics: names as they are on the broker.
        since: first time of sending, milliseconds; None for all.
        until: last time of sending, milliseconds.
        users: these shoppers only; empty for all.
        sample: share of shoppers, by a hash of their ids.
    """

    topics: list[str]
    since: int | None
    until: int
    users: list[str] = []
    sample: float = 1.0


class Segment(msgspec.Struct, frozen=True):
    """One file of records; ``first`` and ``last`` are offsets, ``earliest`` and ``latest`` times of sending."""

    file: str
    sha256: str
    bytes: int
    records: int
    first: int
    last: int
    earliest: int
    latest: int


class Part(msgspec.Struct):
    """One partition of a topic."""

    topic: str
    partition: int
    first: int
    next: int
    records: int = 0
    segments: list[Segment] = []


class Kept(msgspec.Struct, frozen=True):
    """A file beside the segments, and its hash."""

    file: str
    sha256: str


class Manifest(msgspec.Struct):
    """The manifest of a capture; see the module."""

    schema: int
    made_at: str
    source: str
    prefix: str
    event_topics: list[Topic]
    catalog_topic: str
    asked: Asked
    complete: bool = False
    scanned: bool = False
    records: int = 0
    earliest: int | None = None
    latest: int | None = None
    parts: list[Part] = []
    rules: Kept | None = None
    notes: list[str] = []

    def cautions(self) -> list[str]:
        """What whoever replays it should know: what could not be recorded, and that counts begin with it."""
        if self.asked.since is None:
            return list(self.notes)
        return [
            "What shoppers did before the recording is not in it: their counts begin with it.",
            *self.notes,
        ]

    def part(self, topic: str, partition: int) -> Part | None:
        """The part of a topic's partition; None if nothing is known of it."""
        return next((one for one in self.parts if (one.topic, one.partition) == (topic, partition)), None)

    def save(self, folder: Path) -> None:
        """Write the manifest of the capture in ``folder``, with its sums.

        Raises:
            CaptureError: it cannot be written.
        """
        segments = [segment for part in self.parts for segment in part.segments]
        self.records = sum(segment.records for segment in segments)
        self.earliest = min((segment.earliest for segment in segments), default=None)
        self.latest = max((segment.latest for segment in segments), default=None)
        write_whole(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """The manifest of the capture in ``folder``.

        Raises:
            CaptureError: there is none, it is damaged, or of another schema version.
        """
        path = folder / MANIFEST
        try:
            data = path.read_bytes()
            schema = msgspec.json.decode(data, type=_Schema).schema
            if schema != SCHEMA:
                raise CaptureError(
                    f"{path} is of schema version {schema}, and this program reads version {SCHEMA}.",
                    way_out="Read it with the version of Nearline that recorded it, or record it anew.",
                )
            return msgspec.json.decode(data, type=cls)
        except FileNotFoundError as error:
            raise CaptureError(
                f"{folder} holds no capture: there is no {MANIFEST}.",
                way_out="Name a folder that `nearline record --out` wrote.",
            ) from error
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CaptureError(
                f"{path} cannot be read: {error}.", way_out="Restore it from a copy, or record anew."
            ) from error


class _Schema(msgspec.Struct):
    schema: int


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of a capture, as :func:`nearline.written_whole` does.

    Raises:
        CaptureError: it cannot be written.
    """
    try:
        with written_whole(path) as beside:
            beside.write_bytes(data)
    except OSError as error:
        raise CaptureError(
            f"{path} cannot be written: {error}.", way_out="Check disk and permissions."
        ) from error
