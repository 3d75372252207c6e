"""The worker's heartbeat in Redis: that it lives, where it answers, and all of its numbers.

The key ``nl:worker:{name}`` is written every two seconds and lives for fifteen, so who reads these keys sees the
workers that are there. Their names, by the time of their last heartbeat, are in the sorted set ``nl:workers``, so that
nobody must search all keys for them. Redis being away stops no worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import msgspec
from mode import Service
from redis.exceptions import RedisError

from stream.metrics.redis_writer import GOODBYE_S, RedisWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from stream.settings import RedisSettings

__all__ = ["EVERY_S", "HEARTBEAT_SCHEMA", "TTL_S", "Beat", "Heartbeat", "heartbeat_key", "workers_key"]

HEARTBEAT_SCHEMA = 1
EVERY_S = 2.0
TTL_S = 15
_REMEMBERED_MS = 86_400_000


class Beat(msgspec.Struct):
    """``nl:worker:{name}``.

    Attributes:
        worker: its name.
        at: when this was written, ``started_at`` when the worker started; milliseconds since 1970.
        roles: what it does.
        url: where its health, numbers and metrics are.
        versions: of ``nearline``, and as the worker has them of ``rules``, ``index``, ``model`` and ``prompt``;
            None until they are known.
        metrics: see `stream.metrics.readings.Readings.values`.
    """

    schema: int
    worker: str
    at: int
    started_at: int
    roles: list[str]
    url: str
    versions: dict[str, str | None]
    metrics: dict[str, float]


def heartbeat_key(prefix: str, worker: str) -> str:
    """Key of a worker's heartbeat; ``*`` for the pattern of all."""
    return f"{prefix}worker:{worker}"


def workers_key(prefix: str) -> str:
    """Key of the workers' names: a sorted set by the time of the last heartbeat, of the last day."""
    return f"{prefix}workers"


class Heartbeat(RedisWriter):
    """Writes the heartbeat while the worker runs, and takes it away when the worker ends in order.

    Args:
        settings: of Redis; the heartbeat has a connection of its own, so that a slow checkpoint does not hold it.
        worker: the worker's name.
        beat: the heartbeat of now.
    """

    def __init__(self, settings: RedisSettings, worker: str, beat: Callable[[], Beat]) -> None:
        super().__init__(settings, "the worker's heartbeat")
        self._key = heartbeat_key(settings.prefix, worker)
        self._worker, self._all = worker, workers_key(settings.prefix)
        self._beat = beat

    @Service.task  # type: ignore[untyped-decorator]
    async def _write(self) -> None:
        while not self.should_stop:
            began = time.monotonic()
            await self.write_once()
            await self.sleep(max(EVERY_S - (time.monotonic() - began), EVERY_S / 4))

    async def write(self, redis: Redis) -> None:
        """Write it as it is now."""
        beat = self._beat()
        await redis.set(self._key, msgspec.json.encode(beat), ex=TTL_S)
        await redis.zadd(self._all, {self._worker: beat.at})
        await redis.zremrangebyscore(self._all, 0, beat.at - _REMEMBERED_MS)

    async def on_shutdown(self) -> None:
        """Say that the worker is gone, where Redis hears it at once."""
        if self._redis is None:
            return
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._redis.delete(self._key)
                await self._redis.zrem(self._all, self._worker)
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()
