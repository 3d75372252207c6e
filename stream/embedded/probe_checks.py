"""The checks of `stream.embedded.probe`, each a coroutine that says (ok, what was seen)."""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiokafka.codec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

__all__ = ["CHECKS", "KEYED_PARTITIONS", "Check", "Outcome", "Probe"]

Outcome = tuple[bool, str]

KEYED_PARTITIONS = 3
_BATCH = 100
_BATCH_STEP_MS = 1_000
# A little under the 1 MiB that Kafka accepts by default (message.max.bytes), to leave room for the envelope.
_LARGE_BYTES = 1_000_000
# Kafka lets an empty group wait 3 s for more members by default (group.initial.rebalance.delay.ms).
_JOIN_LIMIT_S = 5.0
_SESSION_TIMEOUT_MS = 6_000


@dataclass(frozen=True)
class Probe:
    """Where the checks work: every check has a partition of ``topic`` to itself.

    ``connection`` is what an aiokafka client needs to connect.
    """

    connection: Mapping[str, Any]
    topic: str
    keyed_topic: str
    batch: int = 0
    large: int = 1
    compressed: int = 2
    transacted: int = 3
    grouped: int = 4
    partitions: int = 5

    @contextlib.asynccontextmanager
    async def producer(self, **options: Any) -> AsyncIterator[Any]:
        """Give a producer that asks for all acknowledgements; ``options`` go to aiokafka."""
        producer = AIOKafkaProducer(
            **{**self.connection, "acks": "all", "request_timeout_ms": 5_000, **options}
        )
        try:
            await producer.start()
            yield producer
        finally:
            await producer.stop()

    @contextlib.asynccontextmanager
    async def consumer(self, *partitions: TopicPartition, **options: Any) -> AsyncIterator[Any]:
        """Give a consumer without a group that stands at the start of the partitions."""
        consumer = AIOKafkaConsumer(
            **self.connection,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **options,
        )
        try:
            await consumer.start()
            consumer.assign(list(partitions))
            await consumer.seek_to_beginning(*partitions)
            yield consumer
        finally:
            await consumer.stop()


@dataclass(frozen=True)
class Check:
    """A check's stable name, what it runs, and what its failure means for Nearline."""

    name: str
    run: Callable[[Probe], Awaitable[Outcome]]
    consequence: str


async def _read(consumer: Any, count: int) -> list[Any]:
    """Read ``count`` records; the check's own time limit ends a wait for records that never come."""
    records: list[Any] = []
    while len(records) < count:
        for batch in (await consumer.getmany(timeout_ms=500)).values():
            records.extend(batch)
    return records


async def _end_offsets(probe: Probe) -> Outcome:
    at = TopicPartition(probe.topic, probe.batch)
    begun = int(time.time() * 1000) - _BATCH * _BATCH_STEP_MS
    async with probe.producer() as producer:
        batch = producer.create_batch()
        for i in range(_BATCH):
            if batch.append(key=b"k", value=b"%d" % i, timestamp=begun + i * _BATCH_STEP_MS) is None:
                msg = "the producer's batch is smaller than the probe's"
                raise ValueError(msg)
        batch.close()
        await (await producer.send_batch(batch, probe.topic, partition=probe.batch))
    async with probe.consumer(at) as consumer:
        seen = (await consumer.end_offsets([at]))[at]
    return seen == _BATCH, f"end offset {seen} after one batch of {_BATCH} records, expected {_BATCH}"


async def _offsets_for_times(probe: Probe) -> Outcome:
    # Works on the batch that the check before has sent.
    at = TopicPartition(probe.topic, probe.batch)
    wrong = []
    async with probe.consumer(at) as consumer:
        records = await _read(consumer, _BATCH)
        asked = (0, _BATCH // 3, _BATCH - 1)
        for index in asked:
            found = (await consumer.offsets_for_times({at: records[index].timestamp}))[at]
            offset = None if found is None else found.offset
            if offset != records[index].offset:
                wrong.append(f"{offset} for the time of offset {records[index].offset}")
    return not wrong, "; ".join(wrong) or f"right for {len(asked)} times within a batch of {_BATCH} records"


async def _transactions(probe: Probe) -> Outcome:
    at = TopicPartition(probe.topic, probe.transacted)
    async with probe.producer(transactional_id=f"{probe.topic}.tx") as producer:
        for values, commit in (((b"a1", b"a2"), False), ((b"c1", b"c2", b"c3"), True)):
            await producer.begin_transaction()
            for value in values:
                await producer.send_and_wait(probe.topic, value, partition=probe.transacted)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    async with probe.consumer(at, isolation_level="read_committed") as consumer:
        seen = [record.value for record in await _read(consumer, 3)]
    return seen == [
        b"c1",
        b"c2",
        b"c3",
    ], f"a reader of committed records saw {len(seen)}, expected the 3 committed"


async def _keyed_order(probe: Probe) -> Outcome:
    keys, rounds = 20, 20
    async with probe.producer(linger_ms=5) as producer:
        sent = [
            await producer.send(probe.keyed_topic, b"%d" % i, key=b"user-%d" % key)
            for i in range(rounds)
            for key in range(keys)
        ]
        for acknowledged in sent:
            await acknowledged
    partitions = [TopicPartition(probe.keyed_topic, p) for p in range(KEYED_PARTITIONS)]
    by_key: dict[bytes, list[tuple[int, int]]] = {}
    async with probe.consumer(*partitions) as consumer:
        for record in await _read(consumer, keys * rounds):
            by_key.setdefault(record.key, []).append((record.partition, int(record.value)))
    split = sum(1 for seen in by_key.values() if len({partition for partition, _ in seen}) > 1)
    disordered = sum(1 for seen in by_key.values() if [i for _, i in seen] != list(range(rounds)))
    ok = len(by_key) == keys and split == 0 and disordered == 0
    return ok, f"{len(by_key)} keys of {keys}: {split} in several partitions, {disordered} out of order"


async def _message_size(probe: Probe) -> Outcome:
    at = TopicPartition(probe.topic, probe.large)
    value = random.Random(0).randbytes(_LARGE_BYTES)
    async with probe.producer(max_request_size=2 * _LARGE_BYTES) as producer:
        await producer.send_and_wait(probe.topic, value, partition=probe.large)
    async with probe.consumer(at) as consumer:
        same = (await _read(consumer, 1))[0].value == value
    return same, f"a record of {_LARGE_BYTES:,} bytes {'came back whole' if same else 'came back changed'}"


async def _compression(probe: Probe) -> Outcome:
    at = TopicPartition(probe.topic, probe.compressed)
    known = {codec: getattr(aiokafka.codec, f"has_{codec}")() for codec in ("gzip", "lz4", "snappy", "zstd")}
    usable = [codec for codec, there in known.items() if there]
    expected = [b"%s-%d" % (codec.encode(), i) * 20 for codec in usable for i in range(_BATCH)]
    for codec in usable:
        async with probe.producer(compression_type=codec, linger_ms=50) as producer:
            sent = [
                await producer.send(probe.topic, value, partition=probe.compressed)
                for value in expected
                if value.startswith(codec.encode())
            ]
            for acknowledged in sent:
                await acknowledged
    async with probe.consumer(at) as consumer:
        seen = [record.value for record in await _read(consumer, len(expected))]
    detail = f"batches came back {'whole' if seen == expected else 'changed'}: {', '.join(usable)}"
    if left := [codec for codec, there in known.items() if not there]:
        detail += f"; not tried, because cramjam is not installed here: {', '.join(left)}"
    return seen == expected, detail


async def _group_join(probe: Probe) -> Outcome:
    consumer = AIOKafkaConsumer(
        probe.keyed_topic,
        **probe.connection,
        group_id=f"{probe.topic}.{uuid.uuid4().hex[:6]}",
        session_timeout_ms=_SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=1_000,
        enable_auto_commit=False,
    )
    begun = time.monotonic()
    try:
        await consumer.start()
        while len(consumer.assignment()) < KEYED_PARTITIONS:
            await consumer.getmany(timeout_ms=50)
        took = time.monotonic() - begun
        at = TopicPartition(probe.keyed_topic, 0)
        await consumer.commit({at: 7})
        committed = await consumer.committed(at)
    finally:
        await consumer.stop()
    detail = f"joined in {took:.1f} s at a session timeout of {_SESSION_TIMEOUT_MS / 1000:g} s"
    if committed != 7:
        return False, f"{detail}; offset 7 was committed and {committed} read back"
    return took <= _JOIN_LIMIT_S, detail


CHECKS = (
    Check(
        "end_offsets",
        _end_offsets,
        "Lag and the end of a replay cannot be read from the broker: count what was sent and received instead.",
    ),
    Check(
        "offsets_for_times",
        _offsets_for_times,
        "A replay from a point in time starts at the wrong event: replay whole topics.",
    ),
    Check(
        "transactions",
        _transactions,
        "Records cannot be published together with a commit. Nearline's checkpoint is in Redis and does "
        "without; other programs that read committed records from this broker cannot.",
    ),
    Check(
        "keyed_order",
        _keyed_order,
        "A shopper's events reach the gate out of order or in two workers: triggers would be wrong. Do not use this broker.",
    ),
    Check(
        "message_size",
        _message_size,
        "Large events and trigger snapshots are refused: raise message.max.bytes, or shorten the activity kept.",
    ),
    Check(
        "compressed_batches",
        _compression,
        "Compressed topics cannot be read: have producers send uncompressed.",
    ),
    Check(
        "group_join",
        _group_join,
        "A worker that starts, or takes over from another, is idle for that long: shorten the session timeout.",
    ),
)
