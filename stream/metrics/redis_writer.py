"""What a worker tells of itself in Redis beside its work: it stops nothing when Redis is away or a number cannot be made."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from mode import Service
from redis.exceptions import RedisError

from stream.redis_client import make_redis

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from stream.settings import RedisSettings

__all__ = ["GOODBYE_S", "RedisWriter"]

log = logging.getLogger(__name__)

GOODBYE_S: Final = 1.0
"""Seconds that a worker waits at its end for Redis to hear the last of it."""


class RedisWriter(Service):  # type: ignore[misc]  # mode has no types that mypy may follow
    """Writes to Redis now and then, over a connection of its own, so that a slow checkpoint does not hold it.

    Args:
        settings: of Redis.
        what: what is written, as a message names it.
    """

    def __init__(self, settings: RedisSettings, what: str) -> None:
        super().__init__()
        self._settings = settings
        self._what = what
        self._redis: Redis | None = None
        self._failing = False

    async def write(self, redis: Redis) -> None:
        """Write what there is to say now; whatever it raises is logged."""
        raise NotImplementedError

    async def write_once(self) -> bool:
        """Write now; False where that failed, which is logged when it begins and never raised."""
        try:
            if self._redis is None:
                self._redis = make_redis(self._settings)
            await self.write(self._redis)
        except (RedisError, OSError) as error:
            if not self._failing:
                log.warning("Redis does not take %s (%s: %s)", self._what, type(error).__name__, error)
            self._failing = True
            return False
        except Exception:
            # A wrong number must not stop what it counts.
            if not self._failing:
                log.exception("%s cannot be made", self._what)
            self._failing = True
            return False
        self._failing = False
        return True
