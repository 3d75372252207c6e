"""The shell around the gate: owns partitions, applies batches, publishes, writes checkpoints.

One lock keeps batches, checkpoints and changes of ownership apart, so a checkpoint is always of
a state between two batches. The order is publish, wait for the broker's acknowledgement, then
checkpoint: a crash between the two publishes triggers again under the same ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from copy import copy
from typing import TYPE_CHECKING

from stream.errors import FencedError
from stream.gate.rules.in_force import begin, follow
from stream.gate.state.accounting import Accounting
from stream.metrics.gate import GateTally
from stream.redis_client import patiently

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stream.gate.gate import Arrival, Gate, Outcome, Partition
    from stream.gate.rules.conditions import CompiledRules
    from stream.gate.rules.in_force import InForce
    from stream.gate.rules.live import LiveRules
    from stream.gate.state.checkpoint import CheckpointStore
    from stream.outbox import Outbox, Record
    from stream.settings import GateSettings, KafkaSettings
    from stream.tracing import Tracing

__all__ = ["GateAgent"]

log = logging.getLogger(__name__)

_KEPT_SHARE = 0.95


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class GateAgent:
    """Applies what the source read. The source calls the ownership methods from its rebalance."""

    def __init__(
        self,
        gate: Gate,
        store: CheckpointStore,
        outbox: Outbox,
        rules: LiveRules,
        kafka: KafkaSettings,
        settings: GateSettings,
        tracing: Tracing | None = None,
    ) -> None:
        self._gate = gate
        self.store = store
        self._outbox = outbox
        self._rules = rules
        self._triggers_topic = kafka.triggers_topic
        self._dead_topic = kafka.dead_topic
        self._most_bytes = settings.max_memory_mb * 2**20
        self._partitions: dict[int, Partition] = {}
        self._baselines: dict[int, Accounting] = {}
        self.tally = GateTally()
        self._tracing = tracing
        self._written: dict[int, dict[str, int]] = {}
        self._confirmed: dict[int, float] = {}
        # Long before the broker may give a silent worker's partitions to another.
        self._lease_s = kafka.session_timeout_s / 2
        self._fenced: FencedError | None = None
        self._lock = asyncio.Lock()
        self.checkpointed_at: float | None = None

    @property
    def owned(self) -> list[int]:
        """The partitions this worker owns."""
        return sorted(self._partitions)

    @property
    def partitions(self) -> Mapping[int, Partition]:
        """State of the owned partitions, for who only reads."""
        return self._partitions

    def counted_since(self, number: int) -> Accounting:
        """What became of an owned partition's events since this worker took it over."""
        return self._partitions[number].counts - self._baselines[number]

    def accounting(self) -> Accounting:
        """What became of the events of the owned partitions, up to now."""
        return sum((partition.counts for partition in self._partitions.values()), Accounting())

    @property
    def users_in_memory(self) -> int:
        """Shoppers in memory, over all owned partitions."""
        return sum(len(partition.users) for partition in self._partitions.values())

    @property
    def memory_bytes(self) -> int:
        """About how much memory these shoppers take."""
        return sum(partition.memory_bytes for partition in self._partitions.values())

    @property
    def unacknowledged(self) -> int:
        """Triggers and dead events that the broker has not acknowledged yet; grows where the broker is slow."""
        return self._outbox.unacknowledged

    def rules_in_force(self) -> dict[int, str]:
        """The version of the rules by owned partition."""
        return {
            number: partition.rules.version if partition.rules is not None else ""
            for number, partition in sorted(self._partitions.items())
        }

    async def take_over(self, number: int) -> Partition:
        """Own a partition; its offsets say where to go on, as far as they are known.

        Raises:
            FencedError: another worker took it over in the same moment.
            CheckpointError: the checkpoint, or the rules it was made under, cannot be read.
        """
        async with self._lock:
            began = time.monotonic()
            partition = await patiently(
                f"taking over partition {number}", lambda: self.store.take_over(number)
            )
            self._written.pop(number, None)
            await self._enter(partition)
            self._confirmed[number] = began
            self._baselines[number] = copy(partition.counts)
            self._partitions[number] = partition
            log.info("partition %d is ours, generation %d", number, partition.epoch)
            return partition

    async def _enter(self, partition: Partition) -> None:
        """Bring a partition that was just taken over under the rules of its checkpoint."""
        in_force = partition.in_force
        if in_force is None:
            # Fresh, or of a checkpoint that does not say. Whoever comes after must know.
            partition.settled = not partition.offsets
            await self._change(partition, self._rules.seed if partition.offsets else self._rules.newest)
        else:
            partition.rules = await patiently("reading rules", lambda: self._rules.of(in_force))

    async def hand_over(self, numbers: Iterable[int]) -> None:
        """Write a last checkpoint of these partitions and forget them."""
        async with self._lock:
            await self._outbox.flush()
            for number in numbers:
                partition = self._partitions.get(number)
                if partition is None:
                    continue
                try:
                    await self._write(partition, clean=partition.settled)
                except FencedError as error:
                    log.warning("%s", error)
                finally:
                    self._partitions.pop(number, None)

    async def apply(self, number: int, epoch: int, batch: Sequence[Arrival]) -> None:
        """Apply a batch of one partition and hand its triggers and dead events to the broker.

        ``epoch`` is the generation that read the batch. A batch of an earlier one is left: its
        events are read again from the checkpoint, by whoever owns the partition now.
        """
        async with self._lock:
            partition = self._partitions.get(number)
            if partition is None or partition.epoch != epoch or not await self._still_ours(partition):
                return
            known = partition.users
            missing = {user for a in batch if (user := a.event.user_id) is not None and user not in known}
            if missing:
                await patiently("loading shoppers", lambda: self.store.load(partition, missing))
            outcome = self._evaluate(partition, batch)
            self.tally.batch(outcome, _now_ms())
            await self._outbox.send_all(self._dead_topic, number, outcome.dead)
            triggers: Sequence[Record] = outcome.triggers
            if self._tracing is not None:
                triggers = self._tracing.triggers(outcome, number, _now_ms())
            await self._outbox.send_all(self._triggers_topic, number, triggers)
            if self.memory_bytes > self._most_bytes:
                # Catching up, a worker meets more shoppers between two checkpoints than it may hold.
                try:
                    await self._checkpoint()
                except FencedError as error:
                    self._fenced = error  # the next checkpoint tells the source

    def _evaluate(self, partition: Partition, batch: Sequence[Arrival]) -> Outcome:
        return self._gate.apply(partition, batch, _now_ms())

    def settle(self, number: int, epoch: int) -> None:
        """Take note that all that an earlier owner may have applied is applied; the rules may change now."""
        partition = self._partitions.get(number)
        if partition is not None and partition.epoch == epoch:
            partition.settled = True

    async def change_rules(self) -> int:
        """Bring partitions under the newest rules; return how many are not there yet.

        The boundary is written, with a checkpoint of all before it, before anything is evaluated by
        the new rules. An earlier owner that was killed may have published triggers beyond its last
        checkpoint, so its events are first evaluated again by the rules they were published under:
        until then the partition is not settled and waits.

        Raises:
            FencedError: a partition has another owner.
        """
        newest = self._rules.newest
        if all(partition.rules is newest for partition in self._partitions.values()):
            return 0
        async with self._lock:
            waiting = [p for p in self._partitions.values() if p.rules is not newest]
            settled = [partition for partition in waiting if partition.settled]
            if settled:
                await self._outbox.flush()
            for partition in settled:
                try:
                    await self._change(partition, newest)
                except FencedError:
                    self._partitions.pop(partition.number, None)
                    raise
            return len(waiting) - len(settled)

    async def _change(self, partition: Partition, rules: CompiledRules) -> None:
        before = partition.in_force
        if before is not None and (before.version, before.digest) == (rules.number, rules.digest):
            partition.rules = rules
            return
        change = begin(rules) if before is None else follow(before, rules)
        await self._write(partition, change=change)
        partition.rules, partition.in_force = rules, change
        if before is not None:
            log.info(
                "partition %d is under rules %s from %s", partition.number, rules.version, partition.offsets
            )

    async def _still_ours(self, partition: Partition) -> bool:
        """Whether the partition is ours, asked where we may have stood still for as long as a session.

        A worker that wakes must publish nothing of what it reads then: the owner may be under other rules.
        """
        number, now = partition.number, time.monotonic()
        if now - self._confirmed.get(number, 0.0) <= self._lease_s:
            return True
        try:
            await patiently("asking whose a partition is", lambda: self.store.confirm(partition))
        except FencedError as error:
            self._fenced = error  # the next checkpoint tells the source
            self._partitions.pop(number, None)
            return False
        self._confirmed[number] = now
        return True

    async def checkpoint(self) -> float:
        """Write what changed; return the seconds that it took. Raises :class:`FencedError` if a partition has another owner."""
        async with self._lock:
            return await self._checkpoint()

    async def _checkpoint(self) -> float:
        await self._outbox.flush()
        began = time.monotonic()
        fenced, self._fenced = self._fenced, None
        if fenced is not None:
            raise fenced
        for partition in list(self._partitions.values()):
            try:
                await self._write(partition)
            except FencedError:
                self._partitions.pop(partition.number, None)
                raise
        self.checkpointed_at = time.monotonic()
        self.tally.checkpoints.note(self.checkpointed_at - began)
        self._forget_idle()
        return self.checkpointed_at - began

    def committed(self) -> dict[int, dict[str, int]]:
        """Offsets per partition and topic of the last checkpoints this worker wrote."""
        return self._written

    async def _write(
        self, partition: Partition, *, clean: bool = False, change: InForce | None = None
    ) -> None:
        began = time.monotonic()
        await patiently(
            f"writing the checkpoint of partition {partition.number}",
            lambda: self.store.write(partition, _now_ms(), clean=clean, change=change),
        )
        self._confirmed[partition.number] = began
        self._written[partition.number] = dict(partition.offsets)

    def _forget_idle(self) -> None:
        """Keep the shoppers in memory within ``max_memory_mb``: the least recently active go, all are checkpointed."""
        held = self.memory_bytes
        if held > self._most_bytes:
            # Not just below, or there would be as much to do at every checkpoint.
            keep = _KEPT_SHARE * self._most_bytes / held
            before = self.users_in_memory
            for partition in self._partitions.values():
                partition.forget_idle(int(partition.memory_bytes * (1 - keep)))
            self.tally.evicted += before - self.users_in_memory
