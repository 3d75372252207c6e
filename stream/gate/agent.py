"""The shell around the gate: owns partitions, applies batches, publishes, writes checkpoints.

One lock keeps batches, checkpoints and changes of ownership apart, so a checkpoint is always of
a state between two batches. The order is publish, wait for the broker's acknowledgement, then
checkpoint: a crash between the two publishes triggers again under the same ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from stream.errors import FencedError
from stream.gate.accounting import Accounting
from stream.redis_client import patiently

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stream.gate.checkpoint import CheckpointStore
    from stream.gate.gate import Arrival, Gate, Partition
    from stream.outbox import Outbox
    from stream.settings import GateSettings, KafkaSettings

__all__ = ["GateAgent"]

log = logging.getLogger(__name__)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class GateAgent:
    """Applies what the source read. The source calls the ownership methods from its rebalance."""

    def __init__(
        self,
        gate: Gate,
        store: CheckpointStore,
        outbox: Outbox,
        kafka: KafkaSettings,
        settings: GateSettings,
    ) -> None:
        self._gate = gate
        self._store = store
        self._outbox = outbox
        self._triggers_topic = kafka.triggers_topic
        self._dead_topic = kafka.dead_topic
        self._settings = settings
        self._partitions: dict[int, Partition] = {}
        self._written: dict[int, dict[str, int]] = {}
        self._lock = asyncio.Lock()
        self._checkpoints = 0
        self.checkpointed_at: float | None = None

    @property
    def owned(self) -> list[int]:
        """The partitions this worker owns."""
        return sorted(self._partitions)

    def accounting(self) -> Accounting:
        """What became of the events of the owned partitions, up to now."""
        return sum((partition.counts for partition in self._partitions.values()), Accounting())

    @property
    def users_in_memory(self) -> int:
        """Shoppers in memory, over all owned partitions."""
        return sum(len(partition.users) for partition in self._partitions.values())

    async def take_over(self, number: int) -> Partition:
        """Own a partition; its offsets say where to go on, as far as they are known."""
        async with self._lock:
            partition = await patiently(
                f"taking over partition {number}", lambda: self._store.take_over(number)
            )
            self._partitions[number] = partition
            self._written.pop(number, None)
            log.info("partition %d is ours, generation %d", number, partition.epoch)
            return partition

    async def hand_over(self, numbers: Iterable[int]) -> None:
        """Write a last checkpoint of these partitions and forget them."""
        async with self._lock:
            await self._outbox.flush()
            for number in numbers:
                partition = self._partitions.get(number)
                if partition is None:
                    continue
                try:
                    await self._write(partition)
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
            if partition is None or partition.epoch != epoch:
                return
            users = {a.event.user_id for a in batch if not isinstance(a.event, Exception)}
            await patiently("loading shoppers", lambda: self._store.load(partition, users))
            outcome = self._gate.apply(partition, batch, _now_ms(), self._checkpoints)
            for record in outcome.dead:
                await self._outbox.send(self._dead_topic, record, key=None)
            for user, trigger in outcome.triggers:
                await self._outbox.send(self._triggers_topic, trigger, key=user)

    async def checkpoint(self) -> None:
        """Write what changed. Raises :class:`FencedError` if a partition has another owner."""
        async with self._lock:
            await self._outbox.flush()
            for partition in list(self._partitions.values()):
                try:
                    await self._write(partition)
                except FencedError:
                    self._partitions.pop(partition.number, None)
                    raise
            self._checkpoints += 1
            self.checkpointed_at = time.monotonic()
            self._forget_idle()

    def committed(self) -> dict[int, dict[str, int]]:
        """Offsets per partition and topic of the last checkpoints this worker wrote."""
        return self._written

    async def _write(self, partition: Partition) -> None:
        for user in partition.dirty:
            partition.users[user].trim(self._settings.ledger_weeks, self._gate.rules.windows)
        await patiently(
            f"writing the checkpoint of partition {partition.number}",
            lambda: self._store.write(partition, _now_ms()),
        )
        self._written[partition.number] = dict(partition.offsets)

    def _forget_idle(self) -> None:
        """Keep at most ``max_users`` in memory: the least recently active go, all are checkpointed."""
        surplus = self.users_in_memory - self._settings.max_users
        if surplus <= 0:
            return
        idle = sorted(
            (activity.touched, partition.number, user)
            for partition in self._partitions.values()
            for user, activity in partition.users.items()
        )
        for _, number, user in idle[:surplus]:
            del self._partitions[number].users[user]
