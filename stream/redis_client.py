"""One way to make a Redis client, and to wait for a Redis that is away."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.sentinel import Sentinel
from redis.connection import HiredisRespSerializer
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ReadOnlyError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from stream.errors import CertificateError, RedisUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pydantic import SecretStr
    from redis.asyncio.client import Pipeline
    from redis.typing import EncodableT

    from stream.settings import RedisSettings

__all__ = ["TRANSIENT", "connect_redis", "make_redis", "patiently", "transaction"]

log = logging.getLogger(__name__)

T = TypeVar("T")

# Away, not wrong: the same command may succeed later.
TRANSIENT: tuple[type[Exception], ...] = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    ClusterDownError,  # some slots have no server: until one of its copies leads
    AskError,  # a slot moved, or is moving
    TryAgainError,
    OSError,
)

_PORT = 6379

_CONNECT_CALLS = 3
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class _PackedByHiredis:
    """Mixed into a connection: commands are packed in C, as redis-py itself does in its blocking client only."""

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """The command in the Redis protocol."""
        packed: list[bytes] = HiredisRespSerializer().pack(*args)  # type: ignore[arg-type]  # its types say list, its body not
        return packed


class _Cluster(RedisCluster):
    """A cluster whose servers can be spoken to one by one.

    redis-py's own transactions on a cluster run what follows a WATCH in an event loop of another thread.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = {name: value for name, value in options.items() if name != "startup_nodes"}
        self._servers: dict[str, Redis] = {}

    async def server_of(self, key: str) -> Redis:
        """A client of the server that has ``key`` now."""
        await self.initialize()
        node = self.get_node_from_key(key)
        if node is None:
            raise ClusterDownError(f"no server has the slot of {key}")
        if node.name not in self._servers:
            self._servers[node.name] = Redis(host=str(node.host), port=int(node.port), **self._options)
        return self._servers[node.name]

    async def look_again(self) -> None:
        """Ask the cluster which server has which slots."""
        await self.nodes_manager.initialize()

    async def aclose(self) -> None:
        """Close all connections."""
        for server in self._servers.values():
            await server.aclose()
        await super().aclose()


@asynccontextmanager
async def transaction(redis: Redis, key: str) -> AsyncIterator[Pipeline]:
    """A transaction about ``key`` and others of its slot: WATCH, MULTI and EXEC on one connection.

    On a cluster where the slot has moved it fails with an error of :data:`TRANSIENT`, and the next one goes to
    the new server.
    """
    cluster: object = redis
    server = await cluster.server_of(key) if isinstance(cluster, _Cluster) else redis
    try:
        async with server.pipeline(transaction=True) as pipe:
            yield pipe
    except (AskError, RedisConnectionError):
        if isinstance(cluster, _Cluster):
            await cluster.look_again()
        raise


def make_redis(settings: RedisSettings) -> Redis:
    """A client that has not connected yet: of one server, of the one that sentinels name, or of a cluster.

    A cluster's client is another class with the same commands, so long as the keys of one command or
    transaction lie in one slot; ours do, by the braces in their names.
    """
    asked: dict[str, Any] = {**parse_url(settings.url.get_secret_value())}
    tls = asked.pop("connection_class", None) is SSLConnection
    in_url = asked.pop("username", None), asked.pop("password", None)
    credentials = _credentials(settings.username or in_url[0], settings.password or in_url[1])
    where = [(asked.pop("host", "localhost"), asked.pop("port", _PORT))]
    where += [(host, int(port)) for host, _, port in (node.rpartition(":") for node in settings.nodes)]
    shared: dict[str, Any] = {
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.timeout_s,
        "health_check_interval": 30,
    }
    shared |= _tls(settings) if tls else {}
    if settings.topology == "cluster":
        nodes = [ClusterNode(host, port) for host, port in where]
        return cast("Redis", _Cluster(startup_nodes=nodes, **asked, **credentials, **shared))
    if settings.topology == "sentinel":
        of_sentinels = _credentials(settings.sentinel_username, settings.sentinel_password)
        sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py left it without types
            where, sentinel_kwargs={**of_sentinels, **shared}, **asked, **credentials, **shared
        )
        client: Redis = sentinel.master_for(settings.sentinel_service)
        return client
    host, port = where[0]
    client = Redis(host=host, port=port, **asked, **credentials, **shared)
    pool = client.connection_pool
    pool.connection_class = type("Connection", (_PackedByHiredis, pool.connection_class), {})
    return client


def _credentials(user: str | None, password: SecretStr | str | None) -> dict[str, Any]:
    known = {
        "username": user,
        "password": password if isinstance(password, str | None) else password.get_secret_value(),
    }
    return {name: value for name, value in known.items() if value is not None}


def _tls(settings: RedisSettings) -> dict[str, Any]:
    files = {
        "ssl_ca_certs": settings.tls_cafile,
        "ssl_certfile": settings.tls_certfile,
        "ssl_keyfile": settings.tls_keyfile,
    }
    named = {option: str(file) for option, file in files.items() if file is not None}
    for file in named.values():
        try:
            Path(file).read_bytes()  # redis-py would say that the server does not answer
        except OSError as error:
            raise CertificateError(
                f"A certificate of the Redis connection cannot be read ({file}): {error.strerror}.",
                way_out="stream.redis.tls_cafile, tls_certfile and tls_keyfile name PEM files.",
            ) from error
    return {"ssl": True, "ssl_check_hostname": settings.tls_check_hostname, **named}


def address_of(settings: RedisSettings) -> str:
    """The address for messages, without user and password."""
    scheme, _, rest = settings.url.get_secret_value().partition("://")
    address = f"{scheme}://{rest.rpartition('@')[2]}"
    return ", ".join([address, *settings.nodes])


async def connect_redis(settings: RedisSettings) -> Redis:
    """A connected client.

    Raises:
        RedisUnavailableError: nothing answers at the configured address, or what answers is no Redis.
    """
    client = make_redis(settings)
    try:
        # Shaking hands takes several commands, each with its own limit and its own repetitions.
        async with asyncio.timeout(_CONNECT_CALLS * settings.timeout_s):
            await client.ping()
    except AuthenticationError as error:
        await client.aclose()
        raise RedisUnavailableError(
            f"Redis at {address_of(settings)} refuses the user or the password ({error}).",
            way_out="Correct stream.redis.username and stream.redis.password, or those in stream.redis.url.",
        ) from error
    except Exception as error:
        await client.aclose()
        raise RedisUnavailableError(
            f"No Redis answers at {address_of(settings)} ({_reason(error)}).",
            way_out="Start one with `nearline up`, or set stream.redis.url (NEARLINE_STREAM__REDIS__URL).",
        ) from error
    return client


def _reason(error: Exception) -> str:
    said = str(error).rstrip(". ")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


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
