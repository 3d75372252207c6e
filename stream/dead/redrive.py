"""Sends the originals of dead records through the front door again, each of them once.

Before a record is sent it is claimed in Redis (``nl:redriven``, a hash), and after the broker has
acknowledged it the claim says so. Of two people who redrive at once only one gets the claim. A run that
was cut off in between leaves a claim that says neither; what is sent carries the claim's name in a header, so
the next run looks on the topic whether it arrived, and sends it only if it did not.

field of the hash: ``PARTITION:OFFSET:HASH`` of the dead record; a broker that lost its topics gives the
same places again to other records. value: ``sending:MS`` or ``sent:MS``.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownError

from stream.errors import StreamError
from stream.kafka_clients import broker_unavailable, client_options
from stream.recorded import RecordedTopics

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    from stream.dead.search import Dead
    from stream.settings import KafkaSettings

__all__ = ["HEADER", "Redrive", "Redriven", "refusal"]

HEADER = "nearline-redriven"
"""Kafka header of a record that was sent again; its value is the claim's name."""

_CLAIM_S = 60.0
_LARGEST = 4_000_000
_SKEW_MS = 60_000
# Takes over a claim that was left, if nobody else has.
_TAKE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


@dataclass(slots=True)
class Redriven:
    """What became of the records.

    Attributes:
        sent: sent and acknowledged.
        before: sent by an earlier run, and so not again.
        busy: claimed by another run that may still be at work.
        refused: cannot be sent, by the reason.
    """

    sent: int = 0
    before: int = 0
    busy: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def refusal(dead: Dead, kafka: KafkaSettings) -> str | None:
    """Why the original of ``dead`` cannot be sent again; None if it can."""
    record = dead.record
    if record is None:
        return "not a dead record"
    if record.cut:
        return "cut: the original was longer than a dead record holds"
    if record.size == 0:
        return "empty: the original had no value"
    if record.topic not in {*kafka.event_topic_names(), kafka.triggers_topic}:
        return "its topic is none that is read"
    try:
        size = len(record.original())
    except ValueError:
        return "damaged: the original cannot be read from it"
    return None if size == record.size else "damaged: the original is not of the length it says"


class Redrive:
    """Sends dead records' originals to where they came from.

    Args:
        kafka: the broker.
        redis: remembers what was sent.
        prefix: of keys in Redis.
        again: whether to send what was sent before.
    """

    def __init__(self, kafka: KafkaSettings, redis: Redis, prefix: str, *, again: bool = False) -> None:
        self._kafka = kafka
        self._redis = redis
        self._key = f"{prefix}redriven"
        self._again = again

    async def sent_before(self, found: Sequence[Dead]) -> list[bool]:
        """Of each record, whether an earlier run has sent it for certain."""
        if not found:
            return []
        values = await cast(
            "Awaitable[list[bytes | None]]", self._redis.hmget(self._key, [_claim(dead) for dead in found])
        )
        return [value is not None and value.startswith(b"sent:") for value in values]

    async def left_out(self, found: Sequence[Dead]) -> list[bool]:
        """Of each record, whether it is left because an earlier run has sent it."""
        return [False] * len(found) if self._again else await self.sent_before(found)

    async def send(
        self, found: AsyncIterable[Dead], told: Callable[[Redriven], None] | None = None
    ) -> Redriven:
        """Send ``found``, one after another, each acknowledged before the next.

        Raises:
            StreamError: the broker did not take a record; what was sent before it is remembered.
        """
        result = Redriven()
        producer = await self._connect()
        try:
            async for dead in found:
                reason = refusal(dead, self._kafka)
                if reason is not None:
                    result.refused[reason] += 1
                elif await self._may_send(dead, result):
                    await self._send(producer, dead)
                    result.sent += 1
                if told is not None:
                    told(result)
        finally:
            await producer.stop()
        return result

    async def _connect(self) -> AIOKafkaProducer:
        """A producer that the broker knows again, so that what it sends twice arrives once."""
        for idempotent in (
            True,
            False,
        ):  # Tansu has no producer ids: there a lost answer may mean a second copy
            producer = AIOKafkaProducer(
                client_id="nearline-redrive",
                enable_idempotence=idempotent,
                acks="all",
                max_request_size=_LARGEST,
                **client_options(self._kafka),
            )
            try:
                await producer.start()
            except KafkaError as error:
                await producer.stop()
                if not (idempotent and isinstance(error, UnknownError)):
                    raise broker_unavailable(self._kafka, error) from error
            else:
                return producer
        raise AssertionError  # the second way returns or raises

    async def _may_send(self, dead: Dead, result: Redriven) -> bool:
        """Claim ``dead``; False if it was sent before or is another's."""
        name, now = _claim(dead), _now_ms()
        mine = f"sending:{now}".encode()
        if await self._redis.hsetnx(self._key, name, mine):
            return True
        if self._again:
            await self._redis.hset(self._key, name, mine)
            return True
        value = await cast("Awaitable[bytes | None]", self._redis.hget(self._key, name)) or b""
        state, _, at = value.partition(b":")
        if state == b"sent":
            result.before += 1
            return False
        claimed = int(at) if at.isdigit() else 0
        if now - claimed < _CLAIM_S * 1000:
            result.busy += 1
            return False
        if await self._arrived(dead, name, claimed):
            await self._redis.hset(self._key, name, f"sent:{claimed}")
            result.before += 1
            return False
        taken = await cast("Awaitable[int]", self._redis.eval(_TAKE, 1, self._key, name, value, mine))
        result.busy += not taken
        return bool(taken)

    async def _arrived(self, dead: Dead, name: str, claimed: int) -> bool:
        """Whether a run that was cut off after its claim had sent the record all the same."""
        if dead.record is None:
            return False
        async with RecordedTopics(self._kafka, [dead.record.topic]) as topics:
            parts = [tp for found in (await topics.partitions()).values() for tp in found]
            if not parts:
                return False
            starts = await topics.starts(parts, claimed - _SKEW_MS)
            async for read, _ in topics.read(starts):
                for records in read.values():
                    if any((HEADER, name.encode()) in record.headers for record in records):
                        return True
        return False

    async def _send(self, producer: AIOKafkaProducer, dead: Dead) -> None:
        record, name = dead.record, _claim(dead)
        if record is None:
            return
        key = dead.user.encode() if dead.user is not None else None
        try:
            await producer.send_and_wait(
                record.topic, record.original(), key=key, headers=[(HEADER, name.encode())]
            )
        except KafkaError as error:
            raise StreamError(
                f"The broker did not take the original of dead record {dead.place} ({error!r}).",
                way_out="What was sent before it is remembered; run the same command again.",
            ) from error
        await self._redis.hset(self._key, name, f"sent:{_now_ms()}")


def _claim(dead: Dead) -> str:
    return f"{dead.place}:{hashlib.blake2b(dead.value, digest_size=8).hexdigest()}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
