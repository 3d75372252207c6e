"""Follows the catalog topic for one version: from its offsets to the end, and on from there.

Every worker reads all partitions, without a group: each holds the whole catalogue. Nothing is committed; the place to
begin is recorded in the version, and a worker that starts anew reads from there again. A record that is no change is
put on the dead topic by the first worker to claim it; how far a partition's bad records are buried is kept in
Redis, so that they are not buried again by those who read them later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from index.errors import EncoderUnavailableError
from stream.catalog.record import BadChangeError, CatalogDefect, decode_changes
from stream.dead import Origin, dead_record
from stream.kafka_clients import broker_unavailable, client_options
from stream.redis_client import patiently

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka import ConsumerRecord
    from redis.asyncio import Redis

    from index.living import Change, LivingRecall
    from stream.catalog.settings import CatalogSettings
    from stream.outbox import Outbox
    from stream.settings import KafkaSettings

__all__ = ["CatalogFollower", "Graveyard", "Spot"]

log = logging.getLogger(__name__)

_FETCH_WAIT_MS = 50
_PAUSE_S = 1.0
_CLAIM_S = 60
_QUIET_READS = 2


class Spot(NamedTuple):
    """A bad record: where it lies, what it held, and why it is dead."""

    origin: Origin
    value: bytes | None
    defect: CatalogDefect
    detail: str


class Graveyard:
    """Puts bad records on the dead topic, each by one worker.

    Args:
        prefix: of keys in Redis.
    """

    def __init__(self, redis: Redis, prefix: str, outbox: Outbox, dead_topic: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._outbox = outbox
        self._topic = dead_topic
        self.buried = 0

    async def bury(self, spots: list[Spot]) -> None:
        """Bury those that no worker has buried or is burying; return when the broker has them."""
        done: dict[str, int] = {}
        for spot in spots:
            place = f"{spot.origin.topic}:{spot.origin.partition}"
            if await self._is_buried(place, spot.origin.offset):
                continue
            log.warning("dead change at %s-%d offset %d: %s", *spot.origin, spot.detail)
            record = dead_record(
                spot.value, spot.origin, spot.defect, spot.detail, time.time_ns() // 1_000_000
            )
            await self._outbox.send(self._topic, record, key=None)
            done[place] = spot.origin.offset + 1
            self.buried += 1
        if done:
            await self._outbox.flush()
            marks: dict[Any, Any] = {place: str(offset) for place, offset in done.items()}
            await patiently(
                "noting dead changes",
                lambda: self._redis.hset(f"{self._prefix}catalog:buried", mapping=marks),
            )

    async def _is_buried(self, place: str, offset: int) -> bool:
        mark = await patiently(
            "reading what is dead", lambda: self._redis.hget(f"{self._prefix}catalog:buried", place)
        )
        if mark is not None and int(mark) > offset:
            return True
        key = f"{self._prefix}catalog:burying:{place}:{offset}"
        claimed = await patiently(
            "claiming a dead change", lambda: self._redis.set(key, "1", nx=True, ex=_CLAIM_S)
        )
        return not claimed


class CatalogFollower:
    """Keeps one living recall up to date.

    Args:
        living: what changes are applied to.
        offsets: for each ``TOPIC:PARTITION`` the first change to read; a partition that is not named is
            read from its first record on.
    """

    def __init__(
        self,
        living: LivingRecall,
        offsets: Mapping[str, int],
        kafka: KafkaSettings,
        settings: CatalogSettings,
        graveyard: Graveyard,
    ) -> None:
        self.living = living
        self._kafka = kafka
        self._settings = settings
        self._topic = kafka.catalog_topic
        self._graveyard = graveyard
        self.positions: dict[str, int] = dict(offsets)
        self.caught_up = asyncio.Event()
        self.applied = 0
        self.rejected = 0
        self.last_ms = 0.0

    async def run(self) -> None:
        """Follow until cancelled, however often the broker goes away."""
        while True:
            try:
                await self._follow()
            except KafkaError as error:
                log.warning("following %s failed (%r); beginning where it stopped", self._topic, error)
                await asyncio.sleep(_PAUSE_S)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            self._topic,  # without a group: all of its partitions
            client_id="nearline-catalog",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            **client_options(self._kafka),
        )
        try:
            try:
                await consumer.start()
            except UnknownTopicOrPartitionError:
                raise  # it is being created; the broker itself is there
            except KafkaError as error:
                raise broker_unavailable(self._kafka, error) from error
            parts = sorted(consumer.assignment())
            for tp in parts:
                place = f"{tp.topic}:{tp.partition}"
                if place in self.positions:
                    consumer.seek(tp, self.positions[place])
                else:
                    await consumer.seek_to_beginning(tp)
            ends = _Ends(consumer, parts)
            while True:
                read = await consumer.getmany(timeout_ms=100, max_records=self._settings.batch)
                if read:
                    await self._take(read)
                if not self.caught_up.is_set() and ends.reached(read, self._settings.batch):
                    self.caught_up.set()
                await asyncio.to_thread(self.living.settle)
        finally:
            await consumer.stop()

    async def _take(self, read: Mapping[TopicPartition, list[ConsumerRecord]]) -> None:
        changes: list[Change] = []
        sources: list[tuple[Origin, bytes | None]] = []
        bad: list[Spot] = []
        for tp, records in read.items():
            for record in records:
                origin = Origin(tp.topic, tp.partition, record.offset)
                try:
                    said = decode_changes(record.value, self._settings.max_bytes)
                except BadChangeError as error:
                    bad.append(Spot(origin, record.value, error.defect, error.detail))
                    continue
                changes += said
                sources += [(origin, record.value)] * len(said)
        began = time.perf_counter()
        unknown = await self._apply(changes)
        self.last_ms = (time.perf_counter() - began) * 1000
        for at in unknown:
            origin, value = sources[at]
            bad.append(Spot(origin, value, CatalogDefect.UNKNOWN_ITEM, "no such item was ever upserted"))
        if bad:
            self.rejected += len(bad)
            await self._graveyard.bury(sorted(bad, key=lambda spot: spot.origin))
        self.applied += len(changes) - len(unknown)
        for tp, records in read.items():
            self.positions[f"{tp.topic}:{tp.partition}"] = records[-1].offset + 1

    async def _apply(self, changes: list[Change]) -> list[int]:
        """Apply a batch, however long the encoder is away; shoppers are served from the last state meanwhile."""
        while True:
            try:
                return await asyncio.to_thread(self.living.apply, changes)
            except EncoderUnavailableError as error:
                log.warning("changes of the catalogue wait: %s", error)
                await asyncio.sleep(_PAUSE_S)


class _Ends:
    """Tells when everything has been read that was on the topic at the beginning.

    What a broker says of where a topic ends is not relied on, because some say it wrongly (Tansu): a partition has been
    read when a record sent later comes, or when the broker has answered twice that there is no more.
    """

    def __init__(self, consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> None:
        self._consumer = consumer
        self._began = time.time() * 1000
        self._heard = dict.fromkeys(parts, self._began)
        self._quiet = dict.fromkeys(parts, 0)

    def reached(self, read: Mapping[TopicPartition, list[ConsumerRecord]], most: int) -> bool:
        """Take note of one read of at most ``most`` records; True when all partitions have been read."""
        now, full = time.time() * 1000, sum(map(len, read.values())) >= most
        for tp in list(self._quiet):
            if records := read.get(tp):
                self._heard[tp], self._quiet[tp] = now, 0
                if records[-1].timestamp >= self._began:
                    del self._quiet[tp]
                continue
            polled = self._consumer.last_poll_timestamp(tp)
            self._quiet[tp] += not full and polled is not None and polled > self._heard[tp]
            if self._quiet[tp] >= _QUIET_READS:
                del self._quiet[tp]
        return not self._quiet
