"""The batch source: reads the event topics in batches per partition and hands them to the gate.

Faust's own per-event loop handles 7,000 to 10,000 events/s where a batch read handles over
100,000, and it acknowledges an event whose agent raised. So this Faust service owns the consumer.
Partition N of all event topics is one partition to the gate: the range assignor gives it to one
worker. Where to go on comes from the checkpoint; the group's offsets on the broker are for lag tools.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from mode import Service

from stream.errors import BrokerUnavailableError, FencedError
from stream.events import EventDecoder, Limits
from stream.gate.arrivals import arrivals
from stream.gate.lane import Lane, end_of
from stream.gate.lost import broker_lost, state_lost
from stream.gate.merge import Horizon, Merge
from stream.kafka_clients import broker_unavailable, client_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from stream.gate.agent import GateAgent
    from stream.gate.gate import Arrival
    from stream.settings import GateSettings, KafkaSettings

__all__ = ["EventBatch", "EventSource", "pause_after"]

log = logging.getLogger(__name__)

# Longest that a fetch may wait for events. A topic that was just drained is not asked for again
# before the running fetch returns, so this bounds how late an event on a quiet topic is seen.
_FETCH_WAIT_MS = 20
# A read of fewer events than this is followed by a short rest: many tiny batches cost more.
_SMALL_READ = 500
_REST_S = 0.005
# A topic far ahead of another is read no further while so many full reads of it are held back.
_HELD_READS = 4
_COMMIT_EVERY_S = 5.0
_TELL_S = 2.0
_LONGEST_PAUSES = 5
_RECONNECT_PAUSE_S = 1.0
_LAST_CHECKPOINT_S = 15.0


def pause_after(took_s: float, settings: GateSettings) -> float:
    """Seconds until the next checkpoint, after one that took ``took_s``.

    At live rates that is ``checkpoint_s``. A backlog changes nearly all shoppers within a second, and to write them
    that often would cost a fifth of the rate; so checkpoints keep to their share of the time, within limits.
    """
    shortest = settings.checkpoint_s
    return min(max(shortest, took_s / settings.checkpoint_share), _LONGEST_PAUSES * shortest)


class EventBatch(NamedTuple):
    """Events of one partition in the order to apply them, read by generation ``epoch``.

    ``settled`` says that with them all is applied that an earlier owner can have read.
    """

    partition: int
    epoch: int
    arrivals: Sequence[Arrival]
    settled: bool = False


class EventSource(Service):  # type: ignore[misc]  # mode has no types that mypy may follow
    """Owns the consumer of the event topics; started and stopped by the Faust worker.

    Args:
        agent: owns the partitions' state.
        emit: takes a batch to the Faust agent; waits while that one is busy.
        fail: called with an error that only an operator can mend; the worker then ends.
        future_from: where the future begins for an event that does not say when it was sent, in milliseconds; the moment
            it is read if not given.
    """

    def __init__(
        self,
        agent: GateAgent,
        emit: Callable[[EventBatch], Awaitable[None]],
        fail: Callable[[BaseException], None],
        kafka: KafkaSettings,
        settings: GateSettings,
        *,
        future_from: int | None = None,
        with_headers: bool = False,
    ) -> None:
        super().__init__()
        self._future_from = future_from
        self._with_headers = with_headers
        self._agent = agent
        self._emit = emit
        self._fail = fail
        self._kafka = kafka
        self._settings = settings
        self._topics = kafka.event_topic_names()
        limits = Limits(max_event_bytes=settings.max_event_bytes, future_ms=int(settings.future_s * 1000))
        self._decoders = {
            kafka.prefix + topic.topic: EventDecoder(limits, fields=topic.fields, event_type=topic.type)
            for topic in kafka.event_topics
        }
        self._lanes: dict[int, Lane] = {}
        self._held = _HELD_READS * settings.batch_events
        self._consumer: AIOKafkaConsumer | None = None
        self._fenced = asyncio.Event()
        self.assigned = asyncio.Event()
        self.lag = 0

    @property
    def waiting(self) -> int:
        """Events read and not applied yet; grows where Redis or the broker of the triggers is slow."""
        return sum(len(lane.merge) for lane in self._lanes.values())

    def read_since(self, number: int) -> int | None:
        """Records read of a partition since it was taken over, and not waiting to be put in order; None if it is not ours."""
        lane = self._lanes.get(number)
        return None if lane is None else lane.read - len(lane.merge)

    def lags(self) -> dict[tuple[str, int], int]:
        """By topic and partition the events on the broker that are not applied yet, as far as the broker has said."""
        consumer, found = self._consumer, {}
        if consumer is None:
            return {}
        for number in self._lanes:
            partition = self._agent.partitions.get(number)
            for tp in (TopicPartition(topic, number) for topic in self._topics):
                end = end_of(consumer, tp) if tp in consumer.assignment() else None
                if partition is not None and end is not None and tp.topic in partition.offsets:
                    found[tuple(tp)] = max(end - partition.offsets[tp.topic], 0)
        return found

    def cloud_events(self) -> dict[str, int]:
        """By topic the events that came in a CloudEvents envelope."""
        return {
            topic: decoder.cloud_events for topic, decoder in self._decoders.items() if decoder.cloud_events
        }

    @property
    def fields_dropped(self) -> int:
        """Optional fields dropped as unusable while decoding."""
        return sum(decoder.fields_dropped for decoder in self._decoders.values())

    @Service.task  # type: ignore[untyped-decorator]
    async def _run(self) -> None:
        """Read until stopped; begin anew after a fence or a lost broker."""
        try:
            while not self.should_stop:
                self._fenced.clear()
                try:
                    await self._connect()
                    await self._read()
                except (KafkaError, BrokerUnavailableError) as error:
                    log.warning("reading failed (%r); beginning anew from the checkpoint", error)
                    await self.sleep(_RECONNECT_PAUSE_S)
                finally:
                    await self._disconnect()
        except Exception as error:  # noqa: BLE001  # whatever it is, the operator must hear of it
            self._fail(error)

    @Service.task  # type: ignore[untyped-decorator]
    async def _checkpoints(self) -> None:
        """Write a checkpoint every so often, and tell the broker for its lag tools."""
        told = time.monotonic()
        pause = self._settings.checkpoint_s
        while not self.should_stop:
            await self.sleep(pause)
            try:
                took = await self._agent.checkpoint()
            except FencedError as error:
                log.warning("%s", error)
                self._fenced.set()
            except Exception as error:  # noqa: BLE001  # a worker that cannot checkpoint must not go on
                self._fail(error)
                return
            else:
                pause = pause_after(took, self._settings)
            if time.monotonic() - told > _COMMIT_EVERY_S:
                told = time.monotonic()
                await self._tell_broker()

    async def on_stop(self) -> None:
        """Checkpoint what is applied and leave the group, so that others go on at once."""
        try:
            async with asyncio.timeout(_LAST_CHECKPOINT_S):
                await self._disconnect()
        except TimeoutError:
            log.warning("stopping without a last checkpoint; the next owner goes on from the one before")

    async def _connect(self) -> None:
        source = self

        class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
            async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
                numbers = {tp.partition for tp in revoked}
                source.assigned.clear()
                for number in numbers:
                    source._lanes.pop(number, None)
                await source._agent.hand_over(numbers)
                await source._tell_broker()

            async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
                try:
                    await source._assign(set(assigned))
                except FencedError as error:
                    log.warning("%s", error)
                    source.fence()
                except Exception as error:  # noqa: BLE001  # aiokafka would only log it
                    source._fail(error)

        consumer = AIOKafkaConsumer(
            group_id=f"{self._kafka.prefix}nearline-gate",
            client_id="nearline-gate",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=int(self._kafka.session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._kafka.session_timeout_s * 1000 / 6),
            max_poll_interval_ms=600_000,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            check_crcs=False,  # TCP and the broker have checked; it costs a tenth of the read
            **client_options(self._kafka),
        )
        consumer.subscribe(self._topics, listener=Listener())
        self._consumer = consumer
        try:
            await consumer.start()
        except KafkaError as error:
            raise broker_unavailable(self._kafka, error) from error

    async def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        self.assigned.clear()
        if consumer is not None:
            self._lanes.clear()
            await self._agent.hand_over(self._agent.owned)
            await self._tell_broker(consumer)
            await consumer.stop()

    async def _assign(self, assigned: set[TopicPartition]) -> None:
        """Take these partitions over and go to where their checkpoints say."""
        consumer = self._consumer
        if consumer is None:
            return
        for number in sorted({tp.partition for tp in assigned}):
            partition = await self._agent.take_over(number)
            unknown = [tp for tp in assigned if tp.partition == number and tp.topic not in partition.offsets]
            starts = await self._starts(consumer, number, unknown, fresh=not partition.offsets)
            partition.offsets.update({tp.topic: offset for tp, offset in starts.items()})
            for tp in assigned:
                if tp.partition == number:
                    consumer.seek(tp, partition.offsets[tp.topic])
            merge = Merge(self._topics, self._settings.merge_wait_ms, self._settings.merge_limit_ms)
            self._lanes[number] = Lane(partition.epoch, merge, settled=partition.settled)
        self.assigned.set()

    def fence(self) -> None:
        """Begin anew, because a partition has another owner."""
        self._fenced.set()

    async def _settle(self, consumer: AIOKafkaConsumer, number: int, lane: Lane) -> None:
        """Tell the agent once all has been emitted that an earlier owner can have read."""
        reached = True
        for topic in self._topics:
            tp = TopicPartition(topic, number)
            end = lane.reach.get(topic)
            if end is None and (end := end_of(consumer, tp)) is None:
                reached = False
                continue
            lane.reach[topic] = end
            first = lane.merge.next_offset(topic)
            reached = reached and await consumer.position(tp) >= end and (first is None or first >= end)
        if reached:
            lane.settled = True
            await self._emit(EventBatch(number, lane.epoch, (), settled=True))

    async def _starts(
        self, consumer: AIOKafkaConsumer, number: int, unknown: list[TopicPartition], *, fresh: bool
    ) -> dict[TopicPartition, int]:
        """Where to begin on topics that the checkpoint does not know."""
        if not unknown:
            return {}
        starts: dict[TopicPartition, int] = await consumer.beginning_offsets(unknown)
        if fresh:
            committed = {tp: await consumer.committed(tp) for tp in unknown}
            known = {tp: offset for tp, offset in committed.items() if offset}
            if known and self._settings.lost_state == "refuse":
                raise state_lost(number, sum(known.values()))
            if self._settings.lost_state == "committed":
                starts.update(known)
        return starts

    async def _read(self) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        resting: set[TopicPartition] = set()
        while not self.should_stop and not self._fenced.is_set():
            wanted = consumer.assignment() - resting if resting else ()
            try:
                read = await consumer.getmany(
                    *wanted, timeout_ms=_FETCH_WAIT_MS, max_records=self._settings.batch_events
                )
            except NoOffsetForPartitionError:
                continue  # assigned this moment; the rebalance has not yet gone to the checkpoint's offset
            except OffsetOutOfRangeError as error:
                await self._recover_range(consumer, error)
                continue
            now = time.time() * 1000
            count = 0
            for tp, records in read.items():
                lane = self._lanes.get(tp.partition)
                if lane is not None:
                    decoder = self._decoders[tp.topic]
                    future = self._future_from or int(now)
                    arrived = arrivals(tp.topic, records, decoder, lane.merge, future)
                    if self._with_headers:
                        for record, arrival in zip(records, arrived, strict=True):
                            if record.headers:
                                arrival.headers = record.headers
                    lane.merge.add(tp.topic, arrived, now)
                    lane.read += len(records)
                    count += len(records)
            resting.clear()
            for number, lane in list(self._lanes.items()):
                if not lane.settled:
                    await self._settle(consumer, number, lane)
                if not len(lane.merge):
                    continue
                horizon = await self._horizon(consumer, number)
                ready = lane.merge.release(horizon, time.time() * 1000)
                if ready:
                    await self._emit(EventBatch(number, lane.epoch, ready))
                for topic in lane.merge.ahead(horizon.behind, self._held):
                    resting.add(TopicPartition(topic, number))
            if count < _SMALL_READ:
                await asyncio.sleep(_REST_S)

    async def _horizon(self, consumer: AIOKafkaConsumer, number: int) -> Horizon:
        behind, asked, answered = [], time.time() * 1000, 0.0
        for topic in self._topics:
            tp = TopicPartition(topic, number)
            end = end_of(consumer, tp)
            polled = consumer.last_poll_timestamp(tp) or 0
            answered = max(answered, polled)
            if end is None or await consumer.position(tp) < end:
                behind.append(topic)
            else:
                asked = min(asked, polled)
        return Horizon(behind, asked, answered)

    async def _recover_range(self, consumer: AIOKafkaConsumer, error: OffsetOutOfRangeError) -> None:
        """The checkpoint points where the broker has nothing: go on only if told how."""
        partitions: dict[TopicPartition, int] = error.args[0]
        if self._settings.lost_state == "refuse":
            raise broker_lost(partitions) from error
        starts = await consumer.beginning_offsets(list(partitions))
        for tp, offset in starts.items():
            log.error("%s-%d: offset %s is gone; reading from %d", *tp, partitions[tp], offset)
            consumer.seek(tp, offset)

    async def _tell_broker(self, consumer: AIOKafkaConsumer | None = None) -> None:
        """Commit the checkpoint's offsets, for lag tools and to find a Redis that lost its data."""
        consumer = consumer or self._consumer
        if consumer is None:
            return
        offsets = {
            TopicPartition(topic, number): offset
            for number, topics in self._agent.committed().items()
            for topic, offset in topics.items()
        }
        owned = {tp: offset for tp, offset in offsets.items() if tp in consumer.assignment()}
        self.lag = sum(max(0, (consumer.highwater(tp) or 0) - offset) for tp, offset in owned.items())
        try:
            if owned:
                async with asyncio.timeout(_TELL_S):
                    await consumer.commit(owned)
        except (KafkaError, TimeoutError) as error:
            log.info("the broker did not take the offsets for its lag tools: %r", error)
