"""Writes captures of events that nobody recorded, as `nearline record` would have written them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.replay.capture import CaptureWriter, Record
from stream.replay.manifest import SCHEMA, Asked, Manifest, Topic
from stream.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["START", "write_capture"]

START = 1_746_000_000_000
"""When the first event was sent: milliseconds UTC, in April 2025."""

_TOGETHER = 2_000
_EVER_MS = 10**12


def write_capture(folder: Path, given: Iterable[tuple[str, int, Record]]) -> None:
    """Write topic, partition and record of each event, in the order they were sent; offsets are given here."""
    kafka = KafkaSettings()
    topics = [Topic(one.topic, one.type) for one in kafka.event_topics]
    asked = Asked(kafka.event_topic_names(), None, START + _EVER_MS)
    manifest = Manifest(SCHEMA, "", "synthetic events", "", topics, kafka.catalog_topic, asked, parts=[])
    writer = CaptureWriter(folder, manifest)
    held: dict[tuple[str, int], list[Record]] = {}
    following: dict[tuple[str, int], int] = {}

    def hand_over() -> None:
        for place, records in held.items():
            writer.add(*place, records, following[place])
        held.clear()

    for number, (topic, partition, record) in enumerate(given):
        place = (topic, partition)
        offset = following.get(place, 0)
        if not offset:
            writer.begin(topic, partition, 0)
        following[place] = offset + 1
        held.setdefault(place, []).append(record._replace(offset=offset))
        if number % _TOGETHER == _TOGETHER - 1:
            hand_over()
    hand_over()
    writer.flush(complete=True)
