"""Plays events onto the event topics: at a rate, or as fast as the broker takes them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream.errors import StreamError
from stream.kafka_clients import broker_unavailable, client_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from types import TracebackType

    from stream.settings import KafkaSettings

__all__ = ["Player", "Sent"]

_FLUSH_EVERY = 2_000
_STRIDE = 500
_PACE_S = 0.02


@dataclass
class Sent:
    """What was sent and acknowledged."""

    events: int = 0
    by_topic: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Player:
    """An async context manager around a producer, keyed by user like every event topic.

    What is no event at all (a line of a file that is no JSON) is sent too, to the first event
    topic: the gate decides what becomes of it, and counts it.

    Args:
        kafka: broker and topics.
        patience_s: how long a broker that is away is waited for.
    """

    def __init__(self, kafka: KafkaSettings, *, patience_s: float = 40.0) -> None:
        self._kafka = kafka
        self._producer = AIOKafkaProducer(
            client_id="nearline-send",
            acks="all",
            # A batch that lingers is overtaken by those of other topics; without, each request takes
            # all that is waiting, so events reach the topics of a broker in the order they are played.
            linger_ms=0,
            max_request_size=4_000_000,
            request_timeout_ms=int(patience_s * 1000),
            **client_options(kafka),
        )
        self._fallback = kafka.event_topic_names()[0]

    async def __aenter__(self) -> Self:
        """Connect. Raises :class:`~stream.errors.BrokerUnavailableError`."""
        try:
            await self._producer.start()
        except KafkaError as error:
            await self._producer.stop()
            raise broker_unavailable(self._kafka, error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; what was sent is flushed."""
        await self._producer.stop()

    async def play(
        self,
        events: Iterable[dict[str, Any] | bytes],
        *,
        rate: float | None = None,
        pace: Callable[[], Awaitable[None]] | None = None,
        told: Callable[[Sent], None] | None = None,
        as_due: bool = False,
    ) -> Sent:
        """Send ``events`` in their order and return when the broker has acknowledged all.

        Args:
            events: as dictionaries, or as the bytes of a record.
            rate: events per second; None for as fast as the broker takes them.
            pace: awaited now and then before going on, e.g. to hold back while the workers are behind.
            told: called now and then with what was sent so far.
            as_due: records carry the time they were due by ``rate`` in place of that of their sending: two plays
                of the same events then have the same spacing, however busy the machine.

        Raises:
            StreamError: the broker did not take an event; names it.
        """
        sent = Sent()
        first_due = time.time() * 1000 if as_due and rate is not None else None
        began = time.perf_counter()
        paused = 0.0
        stride = _STRIDE if rate is None else max(1, min(_STRIDE, int(rate * _PACE_S)))
        pending: list[tuple[dict[str, Any] | bytes, asyncio.Future[Any]]] = []
        for event in events:
            topic, key, value = self._route(event)
            due = None if first_due is None or rate is None else int(first_due + 1000 * sent.events / rate)
            pending.append((event, await self._producer.send(topic, value, key=key, timestamp_ms=due)))
            sent.events += 1
            sent.by_topic[topic] += 1
            if sent.events % stride:
                continue
            if len(pending) >= _FLUSH_EVERY:
                await _acknowledged(pending)
            if rate is not None:
                ahead = began + paused + sent.events / rate - time.perf_counter()
                await asyncio.sleep(max(0.0, ahead))
            sent.seconds = time.perf_counter() - began
            if told is not None:
                told(sent)
            if pace is not None:
                waiting = time.perf_counter()
                await pace()
                paused += time.perf_counter() - waiting  # what was held back is not caught up on
        await _acknowledged(pending)
        sent.seconds = time.perf_counter() - began
        if told is not None:
            told(sent)
        return sent

    def _route(self, event: dict[str, Any] | bytes) -> tuple[str, bytes | None, bytes]:
        if isinstance(event, bytes):
            return self._fallback, None, event
        kind, user = event.get("type"), event.get("user_id")
        topic = self._kafka.topic_of(kind) if isinstance(kind, str) else None
        key = user.encode() if isinstance(user, str) and user else None
        return topic or self._fallback, key, msgspec.json.encode(event)


async def _acknowledged(pending: list[tuple[dict[str, Any] | bytes, asyncio.Future[Any]]]) -> None:
    for event, future in pending:
        try:
            await future
        except KafkaError as error:
            raise StreamError(
                f"The broker did not take the event {str(event)[:200]!r} ({error!r}).",
                way_out="What came before it was sent; send the rest when the broker is well.",
            ) from error
    pending.clear()
