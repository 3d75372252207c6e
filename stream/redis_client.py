"""One way to make a Redis client, and to wait for a Redis that is away."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from redis.asyncio import Redis
from redis.connection import HiredisRespSerializer
from redis.exceptions import BusyLoadingError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from stream.errors import RedisUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.typing import EncodableT

    from stream.settings import RedisSettings

__all__ = ["TRANSIENT", "connect_redis", "patiently"]

log = logging.getLogger(__name__)

T = TypeVar("T")

# Away, not wrong: the same command may succeed later.
TRANSIENT: tuple[type[Exception], ...] = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OSError,
)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class _PackedByHiredis:
    """Mixed into a connection: commands are packed in C, as redis-py itself does in its blocking client only."""

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """The command in the Redis protocol."""
        packed: list[bytes] = HiredisRespSerializer().pack(*args)  # type: ignore[arg-type]  # its types say list, its body not
        return packed


def make_redis(settings: RedisSettings) -> Redis:
    """A client that has not connected yet."""
    client = Redis.from_url(
        settings.url.get_secret_value(),
        socket_timeout=settings.timeout_s,
        socket_connect_timeout=settings.timeout_s,
        health_check_interval=30,
    )
    pool = client.connection_pool
    pool.connection_class = type("Connection", (_PackedByHiredis, pool.connection_class), {})
    return client


def address_of(settings: RedisSettings) -> str:
    """The address for messages, without user and password."""
    url = settings.url.get_secret_value()
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


async def connect_redis(settings: RedisSettings) -> Redis:
    """A connected client.

    Raises:
        RedisUnavailableError: nothing answers at the configured address.
    """
    client = make_redis(settings)
    try:
        await client.ping()
    except Exception as error:
        await client.aclose()
        raise RedisUnavailableError(
            f"No Redis answers at {address_of(settings)} ({type(error).__name__}: {error}).",
            way_out="Start one with `nearline up`, or set stream.redis.url (NEARLINE_STREAM__REDIS__URL).",
        ) from error
    return client


async def patiently(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """The result of ``call``, which is repeated with growing pauses while Redis is away.

    Errors other than Redis being away are raised at once. Cancelling the task ends the waiting.
    """
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except TRANSIENT as error:
            log.warning("Redis is away while %s (%s); trying again in %.1f s", what, error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
