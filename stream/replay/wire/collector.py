"""Reads what the workers of a replay publish, and puts it into the order of the run.

Triggers and chains come in any order and, after a crash, more than once. They are kept in one SQLite file beside the run, so
memory does not grow with them; of what came twice the first counts, and what came differently the second time is counted.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream.kafka_clients import broker_unavailable, client_options
from stream.replay.errors import WireError
from stream.replay.wire.messages import PlacedTrigger, ReplayedTrace, bare_trace, bare_trigger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from aiokafka import ConsumerRecord

    from stream.settings import KafkaSettings
    from stream.triggers import Trigger

__all__ = ["Collector", "Gathered"]

_READ = 500
_TABLES = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
CREATE TABLE triggers (id TEXT PRIMARY KEY, place INTEGER, partition INTEGER, offset INTEGER, value BLOB) WITHOUT ROWID;
CREATE TABLE chains (id TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""
_IN_ORDER = """
SELECT t.partition, t.value, c.value FROM triggers t LEFT JOIN chains c ON c.id = t.id ORDER BY t.place, t.partition, t.offset
"""
_decode_trigger = msgspec.json.Decoder(PlacedTrigger).decode
_decode_trace = msgspec.json.Decoder(ReplayedTrace).decode


class Gathered(NamedTuple):
    """A trigger in its place, with the chain of its slate where there is one."""

    partition: int
    trigger: Trigger
    chain: ReplayedTrace | None


class Collector:
    """An async context manager around a consumer without a group and a file.

    Args:
        kafka: broker and topics of the replay.
        path: the file; one that is there is replaced.

    Attributes:
        triggers, chains: how many different ones have come.
        repeated: how many came again, and ``differing`` how many of those not the same.
        latest: newest event time of a trigger, milliseconds.
    """

    def __init__(self, kafka: KafkaSettings, path: Path) -> None:
        self._kafka = kafka
        self._path = path
        path.unlink(missing_ok=True)
        self._db = sqlite3.connect(path)
        self._db.executescript(_TABLES)
        self._consumer = AIOKafkaConsumer(
            client_id="nearline-replay",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=8 * 2**20,
            **client_options(kafka),
        )
        self.triggers = 0
        self.chains = 0
        self.repeated = 0
        self.differing = 0
        self.latest = 0

    async def __aenter__(self) -> Self:
        """Connect. Raises :class:`~stream.errors.BrokerUnavailableError`."""
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise broker_unavailable(self._kafka, error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect, and remove the file."""
        await self._consumer.stop()
        self._db.close()
        self._path.unlink(missing_ok=True)

    def follow(self, partitions: int, *, chains: bool) -> None:
        """Read triggers, and chains where there are any, of so many partitions each, from their start."""
        parts = [
            TopicPartition(topic, number)
            for topic in (self._kafka.triggers_topic, self._kafka.slates_topic)[: 1 + chains]
            for number in range(partitions)
        ]
        self._consumer.assign(parts)

    async def gather(self, wait_ms: int) -> int:
        """Take in what has come, waiting for so long if there is nothing; return how many records.

        Raises:
            WireError: a record is none of a replay.
        """
        try:
            read = await self._consumer.getmany(timeout_ms=wait_ms, max_records=_READ)
        except KafkaError as error:
            raise broker_unavailable(self._kafka, error) from error
        with self._db:
            for tp, records in read.items():
                for record in records:
                    try:
                        self._take(tp, record)
                    except (msgspec.DecodeError, UnicodeDecodeError) as error:
                        raise WireError(
                            f"{tp.topic}-{tp.partition} offset {record.offset} is none of this replay's: {error}.",
                            way_out="Let the replay have names that nothing else writes to.",
                        ) from error
        return sum(map(len, read.values()))

    def _take(self, tp: TopicPartition, record: ConsumerRecord) -> None:
        if tp.topic == self._kafka.triggers_topic:
            trigger = _decode_trigger(record.value)
            if self._new("triggers", trigger.id, record.value, trigger.place, tp.partition, record.offset):
                self.triggers += 1
                self.latest = max(self.latest, trigger.ts)
        else:
            chain = _decode_trace(record.value)
            if self._new("chains", chain.trigger, record.value):
                self.chains += 1

    def _new(self, table: str, key: str, value: bytes, *more: int) -> bool:
        marks = ", ".join("?" * (2 + len(more)))
        done = self._db.execute(
            f"INSERT OR IGNORE INTO {table} VALUES ({marks})",  # noqa: S608  # names of our own
            (key, *more, value),
        )
        if done.rowcount:
            return True
        self.repeated += 1
        before = self._db.execute(f"SELECT value FROM {table} WHERE id = ?", (key,)).fetchone()[0]  # noqa: S608  # as above
        self.differing += _canonical(table, before) != _canonical(table, value)
        return False

    def in_order(self) -> Iterator[Gathered]:
        """Yield all in the order of the run: by time of sending, partition and place in it."""
        for partition, value, chain in self._db.execute(_IN_ORDER):
            yield Gathered(
                partition,
                bare_trigger(_decode_trigger(value)),
                _decode_trace(chain) if chain is not None else None,
            )


def _canonical(table: str, value: bytes) -> bytes:
    """What must be the same whenever a worker says it again; the time it took need not."""
    if table == "triggers":
        return value
    return msgspec.json.encode(bare_trace(_decode_trace(value)))
