"""Captures written straight to disk, as `nearline record` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from stream.replay.capture import Capture, CaptureWriter, Record
from stream.replay.manifest import SCHEMA, Asked, Manifest, Topic
from stream.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START = 1_746_000_000_000


def manifest_of(kafka: KafkaSettings | None = None) -> Manifest:
    kafka = kafka or KafkaSettings()
    names = kafka.event_topic_names()
    return Manifest(
        SCHEMA,
        "2026-05-04T12:00:00+00:00",
        "topics at nowhere:9092",
        kafka.prefix,
        [Topic(kafka.prefix + topic.topic, topic.type) for topic in kafka.event_topics],
        kafka.catalog_topic,
        Asked([*names, kafka.catalog_topic], None, START + 10**10),
        parts=[],
    )


def write_capture(
    folder: Path,
    events: Iterable[dict[str, Any]],
    *,
    partitions: int = 2,
    changes: Iterable[tuple[int, dict[str, Any]]] = (),
) -> Capture:
    """A capture of these events, each sent at its own time, and of changes of the catalogue with theirs."""
    kafka = KafkaSettings()
    manifest = manifest_of(kafka)
    writer = CaptureWriter(folder, manifest)
    records: dict[tuple[str, int], list[Record]] = {}
    for event in events:
        topic = kafka.topic_of(event["type"])
        assert topic is not None
        user = event["user_id"]
        held = records.setdefault((topic, sum(user.encode()) % partitions), [])
        held.append(Record(len(held), event["ts"], user.encode(), msgspec.json.encode(event)))
    for at, change in changes:
        held = records.setdefault((kafka.catalog_topic, 0), [])
        held.append(Record(len(held), at, change["item_id"].encode(), msgspec.json.encode(change)))
    for (topic, number), held in records.items():
        writer.begin(topic, number, 0)
        writer.add(topic, number, held, len(held))
    writer.flush(complete=True)
    return Capture(folder)


def event(number: int, user: str, kind: str = "view", **more: Any) -> dict[str, Any]:
    given = {"event_id": f"e{number}", "user_id": user, "type": kind, "ts": START + number * 1000}
    return {**given, **({} if kind == "search" else {"item_id": "1"}), **more}
