"""What happened in each minute, kept for two days in a Redis stream, so that it outlives a console.

``nl:console:minutes`` has one entry a minute; its id is the minute's start, so of several consoles the first to write a
minute wins and the others' are refused: nobody counts anything twice, and nobody must agree on who writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["MINUTE_MS", "Minute", "Minutes"]

MINUTE_MS = 60_000
_KEPT = 2_880


class Minute(msgspec.Struct, frozen=True):
    """One minute, from ``at`` (milliseconds) on.

    Attributes:
        events: events by what became of them; ``received`` is all.
        triggers: by rule.
        slates: by rung.
        places: of slates: ``all``, ``new`` to the shop, of an ``unseen_category``.
        lag: events not applied at its end.
    """

    at: int
    events: dict[str, int] = {}
    triggers: dict[str, int] = {}
    slates: dict[str, int] = {}
    places: dict[str, int] = {}
    lag: int = 0


class Minutes:
    """Writes and reads the minutes. ``prefix`` stands before the key."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._key = f"{prefix}console:minutes"

    async def write(self, minute: Minute) -> bool:
        """Keep a minute; False where another console has written it already."""
        try:
            await self._redis.xadd(
                self._key,
                {"m": msgspec.json.encode(minute)},
                id=f"{minute.at}-1",
                maxlen=_KEPT,
                approximate=True,
            )
        except ResponseError as error:
            if "equal or smaller" in str(error):
                return False
            raise
        return True

    async def read(self, start: float, end: float) -> list[Minute]:
        """The minutes that began from ``start`` to before ``end`` (milliseconds), oldest first."""
        found: Any = await self._redis.xrange(
            self._key, f"{max(0, int(start))}-0", f"{max(0, int(end) - 1)}-9"
        )
        return [msgspec.json.decode(fields[b"m"], type=Minute) for _, fields in found if b"m" in fields]
