"""What goes out to Kafka: sent without waiting, and waited for when it must have arrived.

A record that the broker did not take is sent again until it has; its sender goes no further before
that, so an unreachable broker slows the gate down and loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownError
from kafka.partitioner.default import murmur2

from stream.errors import BrokerUnavailableError
from stream.kafka_clients import async_options, broker_unavailable

if TYPE_CHECKING:
    from stream.settings import KafkaSettings

__all__ = ["Outbox", "partition_of"]

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
MAX_RECORD_BYTES = 1_000_000


def partition_of(user: str, partitions: int) -> int:
    """Kafka's default partition of a key: murmur2, as the Java client has it."""
    return int(murmur2(user.encode()) & 0x7FFFFFFF) % partitions


class _Sent(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes
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
            max_request_size=MAX_RECORD_BYTES,
            **async_options(self._kafka),
        )
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            if isinstance(error, UnknownError):
                raise
            raise broker_unavailable(self._kafka, error) from error
        return producer

    async def send(self, topic: str, value: bytes, key: str | None) -> None:
        """Put a record into the next request to the broker."""
        encoded = key.encode() if key is not None else None
        self._unacknowledged.append(_Sent(topic, encoded, value, await self._send(topic, value, encoded)))

    async def flush(self) -> None:
        """Return when the broker has acknowledged everything sent so far."""
        pause = _FIRST_PAUSE_S
        while self._unacknowledged:
            sent, self._unacknowledged = self._unacknowledged, []
            results = await asyncio.gather(*(record.future for record in sent), return_exceptions=True)
            failed = [
                (record, result)
                for record, result in zip(sent, results, strict=True)
                if isinstance(result, BaseException)
            ]
            if not failed:
                return
            log.warning(
                "the broker did not take %d records (%r); sending them again in %.1f s",
                len(failed),
                failed[0][1],
                pause,
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            for record, _ in failed:
                future = await self._send(record.topic, record.value, record.key)
                self._unacknowledged.append(record._replace(future=future))

    async def stop(self) -> None:
        """Flush and disconnect."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def _send(self, topic: str, value: bytes, key: bytes | None) -> asyncio.Future[object]:
        producer = self._producer
        if producer is None:
            raise BrokerUnavailableError("The outbox is closed.", way_out="Start it before sending.")
        pause = _FIRST_PAUSE_S
        while True:
            try:
                future: asyncio.Future[object] = await producer.send(topic, value, key=key)
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("the broker is away (%r); trying again in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            else:
                return future
