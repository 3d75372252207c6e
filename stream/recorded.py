"""Reads what topics hold, from a point in time or from their start, up to the moment of asking.

Some brokers answer wrongly where a topic ends and where a time lies on it (Tansu does after batched
sends; ``nearline doctor`` tells). So neither is believed unseen: a partition is at its end when the
broker has answered a fetch beyond it with nothing, and the offset of a time is held against the record
before it. Where that is not older than the time, or the broker gives none, the topics are read from their start instead.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream.beyond import Beyond
from stream.kafka_clients import broker_unavailable, client_options
from stream.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence
    from types import TracebackType

    from aiokafka import ConsumerRecord

    from stream.settings import KafkaSettings

__all__ = ["Read", "RecordedTopics"]

Read = dict[TopicPartition, list["ConsumerRecord"]]

_FETCH_WAIT_MS = 50
_EMPTY_READS = 2


class RecordedTopics:
    """An async context manager around a consumer without a group: it commits nothing.

    Args:
        kafka: the broker.
        topics: names as they are on the broker; those that do not exist hold nothing.

    Attributes:
        scanned: whether the broker's offset of a time was found wrong or missing, so that all was read.
        until: the moment of asking, in milliseconds; what arrived later is not read.
        first: where each partition begins, once that was asked.
        disordered: partitions whose times of sending go too far back to tell where a time is over; read to their ends.
    """

    def __init__(self, kafka: KafkaSettings, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._topics = list(topics)
        self._consumer = AIOKafkaConsumer(
            client_id="nearline-reader",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            check_crcs=False,  # TCP and the broker have checked; it costs a tenth of the read
            **client_options(kafka),
        )
        self.scanned = False
        self.until = 0
        self.first: dict[TopicPartition, int] = {}
        self.disordered: set[TopicPartition] = set()

    async def __aenter__(self) -> Self:
        """Connect. Raises :class:`~stream.errors.BrokerUnavailableError`."""
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise broker_unavailable(self._kafka, error) from error
        self.until = time.time_ns() // 1_000_000
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def partitions(self) -> dict[int, list[TopicPartition]]:
        """The partitions of the topics by number; those of one number in the order of the topics."""
        existing = await self._consumer.topics()
        wanted = [topic for topic in dict.fromkeys(self._topics) if topic in existing]
        counts = await asyncio.to_thread(partition_counts, self._kafka, wanted)
        found: dict[int, list[TopicPartition]] = {}
        for topic in wanted:
            for number in range(counts.get(topic, 0)):
                found.setdefault(number, []).append(TopicPartition(topic, number))
        return dict(sorted(found.items()))

    async def starts(self, parts: Sequence[TopicPartition], since: int | None) -> dict[TopicPartition, int]:
        """Offset of each partition's first record sent at or after ``since`` (milliseconds), or of its first."""
        consumer = self._consumer
        first: dict[TopicPartition, int] = await consumer.beginning_offsets(list(parts))
        self.first.update(first)
        if since is None or self.scanned or not parts:
            return first
        ends = await consumer.end_offsets(list(parts))
        try:
            times = await consumer.offsets_for_times(dict.fromkeys(parts, max(0, since)))
        except (
            KafkaError,
            ValueError,
        ) as error:  # a broker may not know the question, or the client not the answer
            if isinstance(error, KafkaError) and error.retriable:
                raise broker_unavailable(self._kafka, error) from error
            self.scanned = True
            return first
        starts = {tp: found.offset if (found := times[tp]) else max(first[tp], ends[tp]) for tp in parts}
        before = {tp: max(first[tp], starts[tp] - 1) for tp in parts}
        async for read, _ in self._fetch(before, ends, only_first=True):
            for tp, records in read.items():
                witness = records[0]
                # None and an offset too late show alike: the record before is not older than the time.
                if witness.timestamp >= since and witness.offset > first[tp]:
                    self.scanned = True
                    return first
                if witness.timestamp >= since:
                    starts[tp] = witness.offset
        return starts

    async def read(
        self, starts: Mapping[TopicPartition, int], until: int | None = None
    ) -> AsyncIterator[tuple[Read, Collection[TopicPartition]]]:
        """Yield records in batches, and the partitions that may hold more.

        Partitions are read as they come; :meth:`rest` holds back those that run ahead of others. With ``until``
        (milliseconds) a partition is left once nothing more can be on it that was sent up to then
        (:mod:`stream.beyond`); some later records are yielded all the same.
        """
        ends = await self._consumer.end_offsets(list(starts))
        async for found in self._fetch(starts, ends, until=until):
            yield found

    def rest(self, parts: Collection[TopicPartition]) -> None:
        """Read these no further until told otherwise, and all others on."""
        paused = self._consumer.paused()
        if resumed := paused - set(parts):
            self._consumer.resume(*resumed)
        if new := set(parts) - paused:
            self._consumer.pause(*new)

    async def _fetch(
        self,
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        *,
        until: int | None = None,
        only_first: bool = False,
    ) -> AsyncIterator[tuple[Read, Collection[TopicPartition]]]:
        consumer = self._consumer
        open_ = dict.fromkeys(starts, 0)  # how many reads in a row brought nothing
        position = dict(starts)
        heard = dict.fromkeys(starts, time.time() * 1000)
        beyond = {tp: Beyond(until) for tp in starts} if until is not None else {}
        consumer.assign(list(starts))
        for tp, offset in starts.items():
            consumer.seek(tp, offset)
        while open_:
            try:
                read: Read = await consumer.getmany(*open_, timeout_ms=_FETCH_WAIT_MS, max_records=5000)
            except KafkaError as error:
                raise broker_unavailable(self._kafka, error) from error
            kept: Read = {}
            resting = consumer.paused()
            for tp in list(open_):
                records = read.get(tp)
                if not records:
                    open_[tp] += tp not in resting
                    if open_[tp] >= _EMPTY_READS and self._at_end(tp, position[tp], heard[tp]):
                        del open_[tp]
                    continue
                open_[tp], heard[tp] = 0, time.time() * 1000
                position[tp] = records[-1].offset + 1
                last = records[-1]
                if last.offset >= ends[tp] and last.timestamp > self.until:
                    records = [r for r in records if r.offset < ends[tp] or r.timestamp <= self.until]
                    del open_[tp]
                elif only_first or (tp in beyond and beyond[tp].all(records)):
                    del open_[tp]
                if records:
                    kept[tp] = records
            yield kept, open_.keys()
        self.disordered.update(tp for tp, one in beyond.items() if one.disordered)

    def _at_end(self, tp: TopicPartition, position: int, heard: float) -> bool:
        """Whether the broker has been asked beyond ``position`` since ``heard`` and has nothing."""
        consumer = self._consumer
        end = consumer.last_stable_offset(tp)
        if end is None or end < 0:
            end = consumer.highwater(tp)
        polled = consumer.last_poll_timestamp(tp)
        return end is not None and position >= end and polled is not None and polled > heard
