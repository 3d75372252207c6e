"""What goes out to Kafka: sent without waiting, and waited for when it must have arrived.

A record that the broker did not take is sent again until it has; its sender goes no further before
that, so an unreachable broker slows the gate down and loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownError
from kafka.partitioner.default import murmur2

from stream.errors import BrokerUnavailableError
from stream.kafka_clients import client_options, started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.settings import KafkaSettings

__all__ = ["Outbox", "Record", "partition_of"]

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
MAX_RECORD_BYTES = 1_000_000
_BATCH_BYTES = 262_144


def partition_of(user: str, partitions: int) -> int:
    """Kafka's default partition of a key: murmur2, as the Java client has it."""
    return int(murmur2(user.encode()) & 0x7FFFFFFF) % partitions


_Headers: TypeAlias = "Sequence[tuple[str, bytes]]"
Record: TypeAlias = "tuple[bytes | None, bytes] | tuple[bytes | None, bytes, _Headers]"  # key, value, headers


class _Sent(NamedTuple):
    """Records on their way in one request: of one topic and, where they were put together, one partition."""

    topic: str
    partition: int | None
    records: Sequence[Record]
    future: asyncio.Future[object]


class Outbox:
    """An idempotent producer that remembers what is not acknowledged yet."""

    def __init__(self, kafka: KafkaSettings, client_id: str) -> None:
        self._kafka = kafka
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._unacknowledged: list[_Sent] = []

    async def start(self) -> None:
        """Connect. Raises :class:`BrokerUnavailableError`."""
        sender_log = logging.getLogger("aiokafka.producer.sender")
        level = sender_log.level
        sender_log.setLevel(logging.CRITICAL)  # it reports the refusal below as an error of its own
        try:
            self._producer = await self._connect(idempotent=True)
        except UnknownError:
            # Tansu has no producer ids. A record may then arrive twice after a lost
            # acknowledgement; readers of these topics know triggers and slates by their ids.
            log.info("the broker has no idempotent producer; sending with acks=all")
            self._producer = await self._connect(idempotent=False)
        finally:
            sender_log.setLevel(level)

    async def _connect(self, *, idempotent: bool) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            client_id=self._client_id,
            enable_idempotence=idempotent,
            acks="all",
            linger_ms=2,
            max_batch_size=_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            **client_options(self._kafka),
        )
        return await started(producer, self._kafka)

    async def send(self, topic: str, value: bytes, key: str | None, headers: _Headers = ()) -> None:
        """Put a record into the next request to the broker."""
        records = ((key.encode() if key is not None else None, value, headers),)
        future, _ = await self._send(topic, None, records)
        self._unacknowledged.append(_Sent(topic, None, records, future))

    async def send_all(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Send records, as (key, value) or with headers, to one partition in their order; the topic's partitions are gone round.

        Put together here, a record costs a twentieth of what it costs when the producer is handed it alone.
        """
        partitions = len(await self._connected().partitions_for(topic)) or 1
        rest = records
        while rest:
            future, taken = await self._send(topic, partition % partitions, rest)
            self._unacknowledged.append(_Sent(topic, partition % partitions, rest[:taken], future))
            rest = rest[taken:]

    @property
    def unacknowledged(self) -> int:
        """Records that the broker has not acknowledged, as far as was asked."""
        return sum(len(sent.records) for sent in self._unacknowledged if not sent.future.done())

    async def flush(self) -> None:
        """Return when the broker has acknowledged everything sent so far."""
        pause = _FIRST_PAUSE_S
        while self._unacknowledged:
            sent, self._unacknowledged = self._unacknowledged, []
            results = await asyncio.gather(*(one.future for one in sent), return_exceptions=True)
            failed = [
                (one, result)
                for one, result in zip(sent, results, strict=True)
                if isinstance(result, BaseException)
            ]
            if not failed:
                return
            log.warning(
                "the broker did not take %d records (%r); sending them again in %.1f s",
                sum(len(sent.records) for sent, _ in failed),
                failed[0][1],
                pause,
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            for one, _ in failed:
                future, _ = await self._send(one.topic, one.partition, one.records)
                self._unacknowledged.append(one._replace(future=future))

    async def stop(self) -> None:
        """Flush and disconnect."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise BrokerUnavailableError("The outbox is closed.", way_out="Start it before sending.")
        return self._producer

    async def _send(
        self, topic: str, partition: int | None, records: Sequence[Record]
    ) -> tuple[asyncio.Future[object], int]:
        """Hand the first records to the producer, however long the broker is away; say how many it was.

        With a partition they are as many as one batch holds; without, it is one record by its key.
        """
        producer = self._connected()
        pause = _FIRST_PAUSE_S
        while True:
            try:
                if partition is None:
                    key, value, *headers = records[0]
                    return await producer.send(topic, value, key=key, headers=_list(headers)), 1
                batch = producer.create_batch()
                for key, value, *headers in records:
                    if batch.append(key=key, value=value, timestamp=None, headers=_list(headers)) is None:
                        break  # full; the first always fits
                taken: int = batch.record_count()
                return await producer.send_batch(batch, topic, partition=partition), taken
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("the broker is away (%r); trying again in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)


def _list(headers: list[_Headers]) -> list[tuple[str, bytes]]:
    """The third part of a record, as aiokafka wants it."""
    return list(headers[0]) if headers else []
