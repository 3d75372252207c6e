"""Records topics into a capture, and goes on where an earlier recording was interrupted.

Where a topic ends and where a time lies on it is found by :mod:`stream.recorded`, which believes no broker unseen: where
its offsets for a time are wrong, the topics are scanned from their start, and the capture says so.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.recorded import RecordedTopics
from stream.replay.capture import CaptureWriter, Record
from stream.replay.errors import CaptureError
from stream.replay.manifest import MANIFEST, SCHEMA, Asked, Manifest, Topic
from stream.replay.rules_kept import RulesKept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from aiokafka import ConsumerRecord, TopicPartition
    from redis.asyncio import Redis

    from stream.settings import KafkaSettings

__all__ = ["Progress", "Wanted", "record", "sampled"]

_SHARES = 1_000_000


class Wanted(NamedTuple):
    """What to record.

    Attributes:
        topics: names as they are on the broker; None for all event topics and the catalog topic.
        since: first time of sending, milliseconds; None for all that the topics hold.
        until: last time of sending, milliseconds; None for the moment of asking.
        users: these shoppers only; empty for all. Records of the catalog topic are always kept.
        sample: share of shoppers, above 0 and up to 1.
    """

    topics: tuple[str, ...] | None = None
    since: int | None = None
    until: int | None = None
    users: frozenset[str] = frozenset()
    sample: float = 1.0


class Progress(NamedTuple):
    """How far a recording is: records read and kept, and partitions still open of all."""

    read: int
    kept: int
    open: int
    parts: int


def sampled(user: bytes, share: float) -> bool:
    """Whether a shopper is in a sample of this share: by a hash of the id, so in every topic and every recording alike."""
    bucket = int.from_bytes(hashlib.blake2b(user, digest_size=8).digest(), "big") % _SHARES
    return bucket < round(share * _SHARES)


async def record(
    kafka: KafkaSettings,
    wanted: Wanted,
    folder: Path,
    *,
    redis: tuple[Redis, str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Record into ``folder``; return the finished capture's manifest.

    Args:
        kafka: the broker and its topics.
        wanted: what to record.
        folder: a new one, or one whose recording was interrupted.
        redis: where the book of rules is, and the prefix of its keys; None to leave the rules out.
        progress: called after every read.

    Raises:
        BrokerUnavailableError: no broker answers.
        CaptureError: there is nothing to record, or the folder holds another recording.
        RulesError: the book of rules is damaged.
    """
    names = list(dict.fromkeys(wanted.topics or (*kafka.event_topic_names(), kafka.catalog_topic)))
    _check(kafka, wanted, names)
    async with RecordedTopics(kafka, names) as topics:
        partitions = await topics.partitions()
        parts = [tp for found in partitions.values() for tp in found]
        if not parts:
            raise CaptureError(
                f"None of {', '.join(names)} exists at {kafka.brokers}.",
                way_out="Correct --topics, or stream.kafka.prefix and event_topics.",
            )
        writer = CaptureWriter(folder, _manifest(folder, kafka, wanted, names, topics.until))
        manifest = writer.manifest
        if manifest.complete:
            raise CaptureError(
                f"{folder} holds a finished recording of the same.", way_out="Record into another folder."
            )
        starts = await topics.starts(parts, wanted.since)
        starts = {tp: writer.begin(tp.topic, tp.partition, first) for tp, first in starts.items()}
        manifest.scanned = manifest.scanned or topics.scanned
        choose = _Chooser(kafka, manifest.asked)
        read_count = kept_count = 0
        gone = _Gone(wanted.since, topics.first)
        async for read, behind in topics.read(starts, manifest.asked.until):
            for tp, records in read.items():
                gone.look(tp, records[0])
                kept = choose(tp, records)
                read_count += len(records)
                kept_count += len(kept)
                writer.add(tp.topic, tp.partition, kept, records[-1].offset + 1)
            if progress is not None:
                progress(Progress(read_count, kept_count, len(behind), len(parts)))
        manifest.notes += [
            note for note in (gone.told(), _disordered(topics)) if note and note not in manifest.notes
        ]
    if redis is not None:
        client, prefix = redis
        numbers = sorted({part.partition for part in manifest.parts if part.topic != manifest.catalog_topic})
        manifest.rules = (await RulesKept.of(client, prefix, numbers)).save(folder)
    writer.flush()
    if not manifest.records:
        since, until = (
            datetime.fromtimestamp(max(at or 0, 0) / 1000, UTC) for at in (wanted.since, manifest.asked.until)
        )
        raise CaptureError(
            f"{gone.told()} ".lstrip()
            + f"Of {', '.join(names)} no record was sent from {since:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} UTC"
            f"{' by these shoppers' if wanted.users or wanted.sample < 1 else ''}.",
            way_out="Ask for an earlier --since; what the broker has deleted is gone.",
        )
    writer.flush(complete=True)
    return manifest


def _check(kafka: KafkaSettings, wanted: Wanted, names: Sequence[str]) -> None:
    known = {*kafka.event_topic_names(), kafka.catalog_topic}
    if unknown := [name for name in names if name not in known]:
        raise CaptureError(
            f"{', '.join(unknown)}: no event topic and not the catalog topic.",
            way_out=f"Configured are {', '.join(sorted(known))}; see stream.kafka.event_topics.",
        )
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise CaptureError("--since is later than --until.", way_out="Exchange them.")
    if not 0 < wanted.sample <= 1:
        raise CaptureError(
            f"A sample of {wanted.sample:g} of the shoppers is none.",
            way_out="Give a share above 0 and up to 1.",
        )


def _manifest(folder: Path, kafka: KafkaSettings, wanted: Wanted, names: list[str], now: int) -> Manifest:
    """A new manifest, or the one of the same recording that was interrupted."""
    users = sorted(wanted.users)
    if (folder / MANIFEST).exists():
        found = Manifest.load(folder)
        asked = Asked(names, wanted.since, wanted.until or found.asked.until, users, wanted.sample)
        if found.asked != asked or found.source != _source(kafka):
            differ = [
                name
                for name in ("topics", "since", "until", "users", "sample")
                if getattr(found.asked, name) != getattr(asked, name)
            ] or ["broker"]
            raise CaptureError(
                f"{folder} holds another recording: other {', '.join(differ)}.",
                way_out="Record into another folder, or repeat the first command to go on.",
            )
        return found
    return Manifest(
        schema=SCHEMA,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=_source(kafka),
        prefix=kafka.prefix,
        event_topics=[
            Topic(kafka.prefix + topic.topic, topic.type, dict(topic.fields)) for topic in kafka.event_topics
        ],
        catalog_topic=kafka.catalog_topic,
        asked=Asked(names, wanted.since, wanted.until or now, users, wanted.sample),
        parts=[],
    )


def _source(kafka: KafkaSettings) -> str:
    return f"topics at {kafka.brokers}"


class _Chooser:
    """Which records of a read are kept."""

    def __init__(self, kafka: KafkaSettings, asked: Asked) -> None:
        self._asked = asked
        self._catalog = kafka.catalog_topic
        self._users = frozenset(user.encode() for user in asked.users)
        self._fields = {
            kafka.prefix + topic.topic: topic.fields.get("user_id", "user_id") for topic in kafka.event_topics
        }

    def __call__(self, tp: TopicPartition, records: Sequence[ConsumerRecord]) -> list[Record]:
        asked = self._asked
        since = asked.since if asked.since is not None else -1
        kept = [
            Record(found.offset, at, found.key, found.value)
            for found in records
            if since <= (at := found.timestamp or -1) <= asked.until
        ]
        if tp.topic == self._catalog or not (self._users or asked.sample < 1):
            return kept
        field = self._fields[tp.topic]
        return [one for one in kept if (user := _user(one, field)) is not None and self._wants(user)]

    def _wants(self, user: bytes) -> bool:
        if self._users and user not in self._users:
            return False
        return self._asked.sample >= 1 or sampled(user, self._asked.sample)


def _user(record: Record, field: str) -> bytes | None:
    """The shopper of a record: its key, or what its value says where it has none; None for nobody's."""
    if record.key:
        return record.key
    try:
        value = msgspec.json.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    user = value.get(field) if isinstance(value, dict) else None
    return user.encode() if isinstance(user, str) and user else None


class _Gone:
    """Finds out where the broker has deleted what was asked for."""

    def __init__(self, since: int | None, first: Mapping[TopicPartition, int]) -> None:
        self._since = since
        self._first = first
        self._from: dict[TopicPartition, int] = {}

    def look(self, tp: TopicPartition, record: ConsumerRecord) -> None:
        """Take note of a partition that begins with this record, later than asked for."""
        if (
            self._since is not None
            and 0 < record.offset == self._first.get(tp)
            and record.timestamp > self._since
        ):
            self._from[tp] = record.timestamp

    def told(self) -> str:
        """What is gone, in words; nothing where nothing is."""
        if not self._from:
            return ""
        names = ", ".join(sorted(f"{tp.topic}-{tp.partition}" for tp in self._from))
        latest = datetime.fromtimestamp(max(self._from.values()) / 1000, UTC)
        return f"The broker has deleted what was sent earlier than {latest:%Y-%m-%d %H:%M:%S} UTC on {names}."


def _disordered(topics: RecordedTopics) -> str:
    if not topics.disordered:
        return ""
    names = ", ".join(sorted(f"{tp.topic}-{tp.partition}" for tp in topics.disordered))
    return f"Times of sending go back by more than an hour on {names}: read to the end."
