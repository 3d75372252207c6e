"""Publishes a capture to the topics of a replay: every record to the partition that it had, with the time it was sent at.

At full speed all of it is on the broker before a worker starts. At a pace the next record of a partition number goes out
only when the broker has acknowledged those before it in the gate's order, so whoever finds a topic empty has
missed nothing that comes earlier.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from typing import TYPE_CHECKING, Self, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownError

from stream.catalog.record import BadChangeError, decode_changes
from stream.gate.rules.in_force import Boundary
from stream.kafka_clients import broker_unavailable, client_options, started
from stream.replay.fired import acts_of
from stream.replay.order import arrivals_of
from stream.replay.rules_kept import RulesKept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from aiokafka.producer.message_accumulator import BatchBuilder

    from stream.gate.gate import Arrival
    from stream.replay.capture import Capture
    from stream.replay.fired import Did
    from stream.replay.manifest import Part
    from stream.settings import GateSettings, KafkaSettings

__all__ = ["Publisher"]

_TOGETHER = 500
_BATCH_BYTES = 262_144
_MAX_RECORD_BYTES = 1_000_000
_Place: TypeAlias = tuple[str, int]  # topic, partition
_Record: TypeAlias = tuple[int, bytes | None, bytes | None]  # time of sending, key, value


class Publisher:
    """Publishes one capture. An async context manager around a producer.

    Args:
        capture: what is published.
        kafka: broker and topics of the replay.
        gate: bounds of events, as they are live.
        users: only events of these shoppers.
        known: for each ``TOPIC:PARTITION`` of the recorded catalog topic the first change the catalogue does not have yet.
        did: called with clicks and orders.
    """

    def __init__(
        self,
        capture: Capture,
        kafka: KafkaSettings,
        gate: GateSettings,
        *,
        users: frozenset[str] | None = None,
        known: Mapping[str, int] | None = None,
        did: Callable[[Sequence[Did]], None] | None = None,
    ) -> None:
        self._capture = capture
        self._kafka = kafka
        self._gate = gate
        self._users = users
        self._known = known or {}
        self._did = did
        recorded = capture.manifest.event_topics
        self._names = {
            there.topic: here for there, here in zip(recorded, kafka.event_topic_names(), strict=True)
        }
        self._rank = {topic.topic: rank for rank, topic in enumerate(recorded)}
        self._sent: dict[int, dict[str, int]] = {number: {} for number in capture.parts()}
        self._unseen = set(users or ())
        self._producer: AIOKafkaProducer | None = None
        self._flying: list[asyncio.Future[object]] = []

    async def __aenter__(self) -> Self:
        """Connect. Raises :class:`~stream.errors.BrokerUnavailableError`."""
        sender = logging.getLogger("aiokafka.producer.sender")
        level = sender.level
        sender.setLevel(logging.CRITICAL)  # it reports the refusal below as an error of its own
        try:
            self._producer = await self._connect(idempotent=True)
        except UnknownError:  # Tansu has no producer ids
            self._producer = await self._connect(idempotent=False)
        finally:
            sender.setLevel(level)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def _connect(self, *, idempotent: bool) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            client_id="nearline-replay",
            enable_idempotence=idempotent,
            acks="all",
            max_batch_size=_BATCH_BYTES,
            max_request_size=_MAX_RECORD_BYTES,
            **client_options(self._kafka),
        )
        return await started(producer, self._kafka)

    async def changes(self) -> tuple[list[int], int]:
        """Publish the catalog topic; return the records by partition, and how many of them are no change."""
        counts: dict[int, int] = {}
        bad = 0
        for part in self._capture.catalog_parts():
            first = self._known.get(f"{part.topic}:{part.partition}", 0)
            counts[part.partition] = 0
            for records in self._capture.read(part):
                kept = [record for record in records if record.offset >= first]
                for record in kept:
                    try:
                        decode_changes(record.value)
                    except BadChangeError:
                        bad += 1
                rows = [(record.timestamp, record.key, record.value) for record in kept]
                await self._send((self._kafka.catalog_topic, part.partition), rows)
                counts[part.partition] += len(rows)
        await self._settle()
        return [counts.get(number, 0) for number in range(max(counts, default=-1) + 1)], bad

    async def events(self, speed: float | None = None) -> dict[int, dict[str, int]]:
        """Publish the event topics; return the records by partition number and topic, of the replay's names.

        Args:
            speed: seconds of the time of sending in one of ours; None for all at once.

        Raises:
            CaptureError: a file of the capture is damaged.
            BrokerUnavailableError: the broker does not take them.
        """
        held: dict[_Place, list[_Record]] = {}
        last: dict[int, str] = {}
        began = time.perf_counter()
        first: int | None = None
        for number, arrival in self._merged():
            place = (self._names[arrival.topic], number)
            first = arrival.key[0] if first is None else first
            if speed is not None:
                ahead = (arrival.key[0] - first) / 1000 / speed - (time.perf_counter() - began)
                # Only what the order leaves free goes out together: what comes next on another topic of this number waits.
                if ahead > 0 or last.get(number, place[0]) != place[0]:
                    await self._flush(held)
                    last.clear()
                if ahead > 0:
                    await asyncio.sleep(ahead)
                last[number] = place[0]
            user = arrival.event.user_id
            rows = held.setdefault(place, [])
            rows.append((arrival.sent_at, user.encode() if user is not None else None, arrival.value))
            topics = self._sent[number]
            topics[place[0]] = topics.get(place[0], 0) + 1
            if len(rows) >= _TOGETHER:
                await self._send(place, held.pop(place))
        await self._flush(held)
        return self._sent

    @property
    def unseen(self) -> frozenset[str]:
        """Of the shoppers asked for, those without an event so far."""
        return frozenset(self._unseen)

    def moved(self, kept: RulesKept) -> RulesKept:
        """The recorded rules with the offsets that their boundaries have on the replay's topics; events are read for it, not sent."""
        boundaries: dict[str, list[Boundary]] = {}
        parts = self._capture.parts()
        for number, recorded in kept.boundaries.items():
            found = parts.get(int(number), [])
            moved: list[dict[str, int]] = [{} for _ in recorded]
            for part in found:
                cuts = [boundary.offsets.get(part.topic, 0) for boundary in recorded]
                counts = self._counted(part, cuts)
                for offsets, count in zip(moved, counts, strict=True):
                    offsets[self._names[part.topic]] = count
            boundaries[number] = [
                Boundary(one.generation, one.version, one.digest, offsets, one.at)
                for one, offsets in zip(recorded, moved, strict=True)
            ]
        return RulesKept(kept.versions, kept.texts, boundaries)

    def _counted(self, part: Part, cuts: Sequence[int]) -> list[int]:
        """How many records that are published lie before each of some recorded offsets."""
        if not any(part.first < cut for cut in cuts):
            return [0] * len(cuts)
        counts = [0] * len(cuts)
        for batch in arrivals_of(self._capture, [part], self._gate, self._users):
            for place, cut in enumerate(cuts):
                counts[place] += sum(arrival.offset < cut for arrival in batch)
        return counts

    def _merged(self) -> Iterator[tuple[int, Arrival]]:
        """All events with their partition number, in an order that each partition's own is part of."""

        def part_of(part: Part) -> Iterator[tuple[int, Arrival]]:
            for batch in arrivals_of(self._capture, [part], self._gate, self._users):
                if self._unseen:
                    self._unseen.difference_update([arrival.event.user_id for arrival in batch])
                if self._did is not None and (did := acts_of(batch)):
                    self._did(did)
                for arrival in batch:
                    yield part.partition, arrival

        def order(one: tuple[int, Arrival]) -> tuple[object, ...]:
            number, arrival = one
            return arrival.key, number, self._rank[arrival.topic], arrival.offset

        return heapq.merge(
            *(part_of(part) for parts in self._capture.parts().values() for part in parts), key=order
        )

    async def _flush(self, held: dict[_Place, list[_Record]]) -> None:
        for place, rows in held.items():
            await self._send(place, rows)
        held.clear()
        await self._settle()

    async def _send(self, place: _Place, rows: Sequence[_Record]) -> None:
        """Hand records to the producer; they go out in their order."""
        producer = self._producer
        if producer is None:
            return
        rest = rows
        while rest:
            batch: BatchBuilder = producer.create_batch()
            taken = 0
            for at, key, value in rest:
                if batch.append(timestamp=at, key=key, value=value) is None:
                    break  # full; the first always fits
                taken += 1
            self._flying.append(await producer.send_batch(batch, place[0], partition=place[1]))
            rest = rest[taken:]
        if len(self._flying) > _TOGETHER:
            await self._settle()

    async def _settle(self) -> None:
        """Wait until the broker has acknowledged all."""
        flying, self._flying = self._flying, []
        try:
            for one in flying:
                await one
        except KafkaError as error:
            raise broker_unavailable(self._kafka, error) from error
