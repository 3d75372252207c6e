"""What happened in each minute, read from Redis as workers count it, and kept in memory for the pages.

A minute that has been over for ten minutes does not change any more and is read once; the newer ones are read every
ten seconds. After a console has started, the newest minutes are read first, so that a page soon has its last hour.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from stream.metrics.minutes import MINUTE_MS, Minute, read_minutes

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["MINUTE_MS", "At", "Minutes"]

log = logging.getLogger(__name__)

_SETTLED_MS = 10_000  # after its end: workers write what they counted last within seconds
_FINAL_MS = 600_000
_EVERY_S = 10.0
_AT_ONCE = 60


class At(Minute):
    """A minute that begins at ``at``, milliseconds."""

    at: int = 0

    @property
    def places(self) -> int:
        """Places of all its slates."""
        return sum(self.channels.values())

    @property
    def made(self) -> int:
        """Slates."""
        return sum(self.slates.values())


class Minutes:
    """The minutes of the last ``kept_s`` seconds. :meth:`run` until cancelled; :meth:`between` reads what is known.

    Args:
        redis: where workers write them; ``prefix`` stands before the keys.
        prefix: before the keys.
        kept_s: how long Redis keeps a minute.
    """

    def __init__(self, redis: Redis, prefix: str, kept_s: int) -> None:
        self._redis = redis
        self._prefix = prefix
        self._kept_ms = kept_s * 1000
        self._found: dict[int, At] = {}
        self._final: set[int] = set()
        self._read_at = 0.0

    async def run(self) -> None:
        """Read them for ever; where Redis is away, again after ten seconds."""
        failing = False
        while True:
            try:
                await self.refresh(time.time() * 1000)
                failing = False
            except (RedisError, OSError) as error:
                if not failing:
                    log.warning("the minutes cannot be read (%s: %s)", type(error).__name__, error)
                failing = True
            await asyncio.sleep(_EVERY_S)

    async def refresh(self, now: float) -> None:
        """Read what may have changed since the last time; ``now`` is wall clock, milliseconds."""
        newest = int(now // MINUTE_MS) * MINUTE_MS
        oldest = newest - self._kept_ms
        wanted = [at for at in range(newest, oldest, -MINUTE_MS) if at not in self._final]
        for start in range(0, len(wanted), _AT_ONCE):
            starts = wanted[start : start + _AT_ONCE]
            for at, minute in zip(starts, await read_minutes(self._redis, self._prefix, starts), strict=True):
                if minute is not None:
                    self._found[at] = _at(at, minute)
                if at + MINUTE_MS + _FINAL_MS <= now:
                    self._final.add(at)
        for at in [at for at in self._found if at <= oldest]:
            del self._found[at]
        self._final = {at for at in self._final if at > oldest}
        self._read_at = now

    def between(self, start: float, end: float) -> list[At]:
        """The minutes that began from ``start`` on and were over by ``end`` (milliseconds), oldest first.

        One that was over for less than ten seconds when it was read is left out: counts of it may be on their way.
        """
        first = int(-(-start // MINUTE_MS)) * MINUTE_MS
        last = int(min(end, self._read_at - _SETTLED_MS) // MINUTE_MS) * MINUTE_MS
        return [self._found[at] for at in range(first, last, MINUTE_MS) if at in self._found]


def _at(at: int, minute: Minute) -> At:
    return At(**{name: getattr(minute, name) for name in minute.__struct_fields__}, at=at)
