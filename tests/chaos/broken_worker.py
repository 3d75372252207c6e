"""A gate worker broken on purpose: ``python -m tests.chaos.broken_worker WAY worker --roles gate``.

``offsets-first``
    Offsets are written before the states that they stand for. A kill in between loses those events.
``state-first``
    State and offsets are written before the broker has acknowledged the triggers they cover. A kill in
    between loses those triggers.
``no-fencing``
    The epoch is not looked at, neither when a checkpoint is written nor before a batch is applied. A worker
    that stood still and wakes writes its old state over that of the new owner.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from console.main import main
from stream.gate.agent import GateAgent
from stream.gate.state.checkpoint import CheckpointStore
from stream.outbox import Outbox

# How long a moment that must not exist lasts, so that a kill may hit it.
_MOMENT_S = 0.8

_write = CheckpointStore.write


async def _offsets_first(self: CheckpointStore, partition: Any, *args: Any, **kwargs: Any) -> int:
    changed = set(partition.dirty)
    partition.dirty.clear()
    await _write(self, partition, *args, **kwargs)
    partition.dirty.update(changed)
    await asyncio.sleep(_MOMENT_S / 3)  # once for each partition, and nothing else goes on meanwhile
    return await _write(self, partition, *args, **kwargs)


async def _unfenced(self: CheckpointStore, partition: Any, *args: Any, **kwargs: Any) -> int:
    own = partition.epoch
    partition.epoch = int(await self._redis.get(self.epoch_key(partition.number)) or 0)
    try:
        return await _write(self, partition, *args, **kwargs)
    finally:
        partition.epoch = own


async def _unasked(self: CheckpointStore, partition: Any) -> None:
    return


def _state_first() -> None:
    waiting: list[tuple[Outbox, tuple[Any, ...], dict[str, Any]]] = []
    send, flush = Outbox.send_all, Outbox.flush
    checkpoint, hand_over = GateAgent.checkpoint, GateAgent.hand_over

    async def later(self: Outbox, *args: Any, **kwargs: Any) -> None:
        waiting.append((self, args, kwargs))

    async def not_now(self: Outbox) -> None:
        return

    async def publish(covered: list[tuple[Outbox, tuple[Any, ...], dict[str, Any]]]) -> None:
        await asyncio.sleep(_MOMENT_S)
        for outbox, args, kwargs in covered:
            await send(outbox, *args, **kwargs)
        for outbox in {entry[0] for entry in covered}:
            await flush(outbox)

    async def checkpointing(self: GateAgent) -> float:
        took = await checkpoint(self)
        covered, waiting[:] = list(waiting), []
        await publish(covered)
        return took

    async def handing_over(self: GateAgent, numbers: Any) -> None:
        await hand_over(self, numbers)
        covered, waiting[:] = list(waiting), []
        await publish(covered)

    Outbox.send_all, Outbox.flush = later, not_now  # type: ignore[method-assign]  # broken on purpose
    GateAgent.checkpoint, GateAgent.hand_over = checkpointing, handing_over  # type: ignore[method-assign]


def break_it(way: str) -> None:
    """Take out one of the three things that delivery rests on."""
    if way == "offsets-first":
        CheckpointStore.write = _offsets_first  # type: ignore[method-assign]
    elif way == "no-fencing":
        CheckpointStore.write = _unfenced  # type: ignore[method-assign]
        CheckpointStore.confirm = _unasked  # type: ignore[method-assign]
    elif way == "state-first":
        _state_first()
    else:
        sys.exit(f"unknown way to break a worker: {way}")


if __name__ == "__main__":
    break_it(sys.argv.pop(1))
    main()
