"""Some of the slates in Redis: whichever it comes upon, for as long as a page may take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["some_with_slates"]

_COUNT = 500


async def some_with_slates(redis: Redis, prefix: str, most: int, within_s: float = 0.5) -> list[str]:
    """Up to ``most`` shoppers who have a slate, found by walking through the keys for ``within_s`` at most.

    Each step looks at 500 keys, which takes Redis well under a millisecond, so that nobody waits behind it.
    """
    head = f"{prefix}slate:"
    found: list[str] = []
    try:
        async with asyncio.timeout(within_s):
            async for key in redis.scan_iter(match=f"{head}*", count=_COUNT):
                found.append(key.decode(errors="surrogateescape").removeprefix(head))
                if len(found) >= most:
                    break
    except TimeoutError:
        await redis.ping()  # many keys and few slates is one thing, a Redis that stands still another
    return found
