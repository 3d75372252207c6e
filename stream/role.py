"""What the roles of a worker share: Redis and an outbox, opened before all else and closed after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mode import Service

from stream.outbox import Outbox
from stream.redis_client import connect_redis

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from stream.worker import Worker

__all__ = ["Role"]


class Role(Service):  # type: ignore[misc]  # mode has no types that mypy may follow
    """A part of a worker that reads batches, hands them to a Faust agent, and publishes what comes of them.

    Args:
        worker: what it is a part of.
        channel: the Faust agent's channel.
        client_id: how the producer names itself to the broker.
    """

    redis: Redis

    def __init__(self, worker: Worker, channel: Any, client_id: str) -> None:
        super().__init__()
        self._worker = worker
        self._channel = channel
        self._outbox = Outbox(worker.stream.kafka, client_id)
        self._connected = False

    async def on_start(self) -> None:
        """Connect, then begin."""
        self._worker.app.flow_control.resume()  # Faust's consumer would do it after its rebalance
        self.redis = await connect_redis(self._worker.stream.redis)
        self._connected = True
        await self._outbox.start()
        await self.begin()

    async def begin(self) -> None:
        """Start what reads; called when connected."""
        raise NotImplementedError

    async def on_shutdown(self) -> None:
        """Disconnect, after what reads has stopped; also where the start has failed halfway."""
        await self._outbox.stop()
        if self._connected:
            await self.redis.aclose()

    async def _emit(self, batch: Any) -> None:
        """Take a batch to the Faust agent; waits while that one is busy."""
        await self._channel.put(batch)
