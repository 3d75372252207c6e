"""The trigger source: reads ``nearline.triggers`` in batches and commits what has been served.

Faust's ``take`` acknowledges its batch even when the agent was cancelled in the middle of it, so
a worker that is stopped would lose the triggers it was thinking about. Here an offset is committed
only after the slates up to it are in Redis and their record is acknowledged; what a stopped or
killed worker leaves is read again by the next, and served once, because slates know their trigger.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from mode import Service

from stream.dead import Origin
from stream.errors import BrokerUnavailableError
from stream.kafka_clients import broker_unavailable, client_options
from stream.triggers import decode_trigger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiokafka import ConsumerRecord

    from stream.settings import InferSettings, KafkaSettings
    from stream.triggers import Trigger

__all__ = ["Received", "TriggerBatch", "TriggerSource"]

log = logging.getLogger(__name__)

_FETCH_WAIT_MS = 20
_RECONNECT_PAUSE_S = 1.0
_FINISH_S = 20.0


class Received(NamedTuple):
    """One record of the topic. ``trigger`` is None where the value is no trigger; ``problem`` says why."""

    origin: Origin
    value: bytes | None
    trigger: Trigger | None
    problem: str
    received_at: float
    headers: Sequence[tuple[str, bytes]] = ()


class TriggerBatch(NamedTuple):
    """What was read at one time, and how to say that it is done."""

    received: Sequence[Received]
    done: asyncio.Future[None]


class TriggerSource(Service):  # type: ignore[misc]  # mode has no types that mypy may follow
    """Owns the consumer of the trigger topic.

    While a batch is being thought about, the next is not read: it grows, and of each shopper's
    triggers in it only the newest will need a thought.

    Args:
        emit: takes a batch to the Faust agent, which resolves ``done`` when it is served.
        fail: called with an error that only an operator can mend; the worker then ends.
    """

    def __init__(
        self,
        emit: Callable[[TriggerBatch], Awaitable[None]],
        fail: Callable[[BaseException], None],
        kafka: KafkaSettings,
        settings: InferSettings,
    ) -> None:
        super().__init__()
        self._emit = emit
        self._fail = fail
        self._kafka = kafka
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.assigned = asyncio.Event()
        self.lag = 0

    @Service.task  # type: ignore[untyped-decorator]
    async def _run(self) -> None:
        try:
            while not self.should_stop:
                try:
                    consumer = await self._connect()
                    await self._read(consumer)
                except (KafkaError, BrokerUnavailableError) as error:
                    log.warning("reading triggers failed (%r); beginning anew", error)
                    await self.sleep(_RECONNECT_PAUSE_S)
                finally:
                    await self._disconnect()
        except Exception as error:  # noqa: BLE001  # whatever it is, the operator must hear of it
            self._fail(error)

    async def on_stop(self) -> None:
        """Let the batch under way finish and be committed, within bounds; then leave the group."""
        try:
            await asyncio.wait_for(self._idle.wait(), _FINISH_S)
        except TimeoutError:
            log.warning("stopping with triggers under way; the next worker reads them again")
        await self._disconnect()

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            self._kafka.triggers_topic,
            group_id=f"{self._kafka.prefix}nearline-infer",
            client_id="nearline-infer",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=int(self._kafka.session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._kafka.session_timeout_s * 1000 / 6),
            max_poll_interval_ms=600_000,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            **client_options(self._kafka),
        )
        self._consumer = consumer
        try:
            await consumer.start()
        except KafkaError as error:
            raise broker_unavailable(self._kafka, error) from error
        return consumer

    async def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        self.assigned.clear()
        if consumer is not None:
            await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while not self.should_stop:
            read = await consumer.getmany(timeout_ms=200, max_records=self._settings.batch_triggers)
            if consumer.assignment():
                self.assigned.set()
            if not read:
                continue
            at = time.time() * 1000
            received = [_receive(tp, record, at) for tp, records in read.items() for record in records]
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.clear()
            try:
                await self._emit(TriggerBatch(received, done))
                await done
                held = consumer.assignment()  # of partitions that moved on meanwhile, no end is known
                self.lag = sum(
                    max(0, (consumer.highwater(tp) or 0) - records[-1].offset - 1)
                    for tp, records in read.items()
                    if tp in held
                )
                await consumer.commit({tp: records[-1].offset + 1 for tp, records in read.items()})
            except (CommitFailedError, IllegalStateError) as error:
                # The partitions moved on meanwhile: their new owner finds these triggers served.
                log.info("the group did not take the offsets of a batch: %r", error)
            finally:
                self._idle.set()  # also after a failure: whoever stops the worker need not wait for its batch


def _receive(tp: TopicPartition, record: ConsumerRecord, at: float) -> Received:
    origin, value = Origin(tp.topic, tp.partition, record.offset), record.value
    try:
        return Received(origin, value, decode_trigger(value or b""), "", at, record.headers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Received(origin, value, None, str(error), at)
