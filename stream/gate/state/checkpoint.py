"""The checkpoint: a partition's changed states and its offsets, in one fenced Redis transaction.

Offsets in Redis are the truth. A new owner raises the partition's epoch before it reads anything;
a checkpoint watches the epoch and is refused if it is no longer the writer's own, so a worker that
was stopped and continues later can change nothing. The partition's number is a hash tag: all of
its keys share a slot, so the transaction also holds on Redis Cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import WatchError

from stream.errors import CheckpointError, FencedError
from stream.gate.gate import Partition
from stream.gate.rules.in_force import Boundary, InForce
from stream.gate.state.accounting import Accounting
from stream.gate.state.activity import Activity
from stream.redis_client import transaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.asyncio import Redis

__all__ = ["CheckpointStore", "Offsets"]

FORMAT_VERSION = 1


class Offsets(msgspec.Struct):
    """What ``nl:offsets:{pN}`` holds: the next offset per topic, and the accounting up to there.

    ``rules`` evaluate what comes after; None in checkpoints that do not say. ``clean`` says that the
    owner has applied nothing beyond: it left after writing this.
    """

    version: int
    epoch: int
    at: int
    offsets: dict[str, int]
    counts: Accounting
    rules: InForce | None = None
    clean: bool = False


class _Version(msgspec.Struct):
    """What every version of :class:`Offsets` has."""

    version: int


class CheckpointStore:
    """Reads and writes the gate's state. ``prefix`` stands before every key."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self.states_written = 0
        self.bytes_written = 0

    def state_key(self, partition: int, user: str) -> str:
        """Key of a shopper's state."""
        return f"{self._prefix}state:{{p{partition}}}:{user}"

    def offsets_key(self, partition: int) -> str:
        """Key of a partition's offsets and accounting."""
        return f"{self._prefix}offsets:{{p{partition}}}"

    def epoch_key(self, partition: int) -> str:
        """Key of the generation of a partition's owner."""
        return f"{self._prefix}epoch:{{p{partition}}}"

    def boundaries_key(self, partition: int) -> str:
        """Key of where a partition changed its rules."""
        return f"{self._prefix}boundaries:{{p{partition}}}"

    async def take_over(self, number: int) -> Partition:
        """Become the owner of a partition: fence every earlier owner, then read where to go on.

        Raises:
            CheckpointError: the offsets in Redis cannot be read.
        """
        epoch = int(await self._redis.incr(self.epoch_key(number)))
        partition = Partition(number, epoch)
        offsets = await self.read_offsets(number)
        if offsets is not None:
            partition.offsets = offsets.offsets
            partition.counts = offsets.counts
            partition.in_force = offsets.rules
            partition.settled = offsets.clean and offsets.epoch == epoch - 1
        return partition

    async def confirm(self, partition: Partition) -> None:
        """Ask whether the partition is still this owner's.

        Raises:
            FencedError: another worker has taken it over.
        """
        epoch = int(await self._redis.get(self.epoch_key(partition.number)) or 0)
        if epoch != partition.epoch:
            raise self._fenced(partition, epoch)

    async def read_boundaries(self, number: int) -> list[Boundary]:
        """Where a partition changed its rules, in order; the first is where it began."""
        values = await self._redis.hgetall(self.boundaries_key(number))
        found = [msgspec.json.decode(value, type=Boundary) for value in values.values()]
        return sorted(found, key=lambda boundary: boundary.generation)

    async def read_offsets(self, number: int) -> Offsets | None:
        """The last checkpoint of a partition; None if there is none."""
        data = await self._redis.get(self.offsets_key(number))
        if data is None:
            return None
        try:
            version = msgspec.json.decode(data, type=_Version).version
            if version != FORMAT_VERSION:
                raise CheckpointError(
                    f"The offsets of partition {number} are of version {version}, "
                    f"this worker reads {FORMAT_VERSION}.",
                    way_out="Run the version of Nearline that wrote them.",
                )
            return msgspec.json.decode(data, type=Offsets)
        except msgspec.DecodeError as error:
            raise CheckpointError(
                f"The offsets of partition {number} in Redis ({self.offsets_key(number)}) are damaged: {error}.",
                way_out="Restore Redis from its backup; deleting the key reads the topics from their start.",
            ) from error

    async def load(self, partition: Partition, users: Iterable[str]) -> None:
        """Bring shoppers into memory who have a state in Redis and are not there yet."""
        missing = [user for user in users if user not in partition.users]
        if not missing:
            return
        values = await self._redis.mget([self.state_key(partition.number, user) for user in missing])
        for user, value in zip(missing, values, strict=True):
            if isinstance(value, bytes):  # None where there is no state; text only if a client decoded it
                partition.users[user] = activity = Activity.decode(value, user)
                partition.state_bytes += activity.size

    async def write(
        self, partition: Partition, now: int, *, clean: bool = False, change: InForce | None = None
    ) -> int:
        """Write the changed states and the offsets; return the number of states.

        ``change`` is what evaluates the events from here on, where that changes; ``clean`` says that
        the owner leaves.

        What the checkpoint covers must be acknowledged by the broker before. On success the
        partition is clean; on any error it is as it was.

        Raises:
            FencedError: another worker has taken the partition over.
        """
        number = partition.number
        keys, users = self.state_key(number, ""), partition.users
        before = sum(users[user].size for user in partition.dirty)
        states = {keys + user: users[user].encode() for user in partition.dirty}
        partition.state_bytes += sum(users[user].size for user in partition.dirty) - before
        rules = change or partition.in_force
        offsets = msgspec.json.encode(
            Offsets(FORMAT_VERSION, partition.epoch, now, partition.offsets, partition.counts, rules, clean)
        )
        try:
            async with transaction(self._redis, self.epoch_key(number)) as pipe:
                await pipe.watch(self.epoch_key(number))
                epoch = int(await pipe.get(self.epoch_key(number)) or 0)
                if epoch != partition.epoch:
                    raise self._fenced(partition, epoch)
                pipe.multi()  # type: ignore[no-untyped-call]  # redis-py left it without types
                if states:
                    pipe.mset(states)
                pipe.set(self.offsets_key(number), offsets)
                if change is not None:
                    boundary = Boundary(
                        change.generation, change.version, change.digest, partition.offsets, now
                    )
                    pipe.hset(
                        self.boundaries_key(number), str(change.generation), msgspec.json.encode(boundary)
                    )
                await pipe.execute()
        except WatchError as error:
            # redis-py says the same of a connection lost while watching; only the epoch tells which it was.
            epoch = int(await self._redis.get(self.epoch_key(number)) or 0)
            if epoch != partition.epoch:
                raise self._fenced(partition, epoch) from None
            raise RedisConnectionError(f"lost while the checkpoint was written: {error}") from error
        partition.written()
        self.states_written += len(states)
        self.bytes_written += sum(map(len, states.values()))
        return len(states)

    @staticmethod
    def _fenced(partition: Partition, epoch: int) -> FencedError:
        return FencedError(
            f"Partition {partition.number} belongs to generation {epoch}, this worker is generation "
            f"{partition.epoch}; its last {len(partition.dirty)} changed states are left to the owner.",
            way_out="Nothing is lost: the owner reads those events again. The worker rejoins by itself.",
        )
