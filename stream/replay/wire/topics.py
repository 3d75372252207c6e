"""The topics and keys of a replay: made for it, and removed with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from stream.kafka_clients import broker_unavailable, client_options
from stream.replay.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis.asyncio import Redis

    from stream.settings import KafkaSettings

__all__ = ["make_topics", "remove_keys", "remove_topics", "require_no_keys"]

_BOOTSTRAP_MS = 5_000
_REQUEST_MS = 30_000
_CHUNK = 500

# Times are those of the recording: neither may the broker put its own in their place, nor delete them for their age,
# nor refuse them as too far from now.
_CONFIGS = {
    "message.timestamp.type": "CreateTime",
    "retention.ms": "-1",
    "message.timestamp.after.max.ms": "9223372036854775807",
    "max.message.bytes": "8388608",
}


def make_topics(kafka: KafkaSettings, wanted: Mapping[str, int]) -> None:
    """Create topics with so many partitions each; all of them must be new.

    Raises:
        WireError: one is there already, or the broker refuses.
        BrokerUnavailableError: no broker answers.
    """
    admin = _admin(kafka)
    try:
        if there := sorted(set(admin.list_topics()) & wanted.keys()):
            raise WireError(
                f"{', '.join(there[:3])}{' and others' if len(there) > 3 else ''} on the broker are not this replay's.",
                way_out="Leave the names to the replay, or give a prefix that nothing has.",
            )
        admin.create_topics(
            {
                name: {
                    "num_partitions": count,
                    "replication_factor": kafka.replication,
                    "configs": _CONFIGS,
                }
                for name, count in wanted.items()
            },
            wait_for_metadata=True,
        )
    except KafkaError as error:
        raise WireError(
            f"The broker at {kafka.brokers} does not make the replay's topics: {error}.",
            way_out="Check that topics may be created there (stream.kafka.replication is how many copies).",
        ) from error
    finally:
        admin.close()


def remove_topics(kafka: KafkaSettings, names: Sequence[str]) -> None:
    """Delete topics, those that are there.

    Raises:
        WireError: the broker refuses.
        BrokerUnavailableError: no broker answers.
    """
    admin = _admin(kafka)
    try:
        if there := sorted(set(admin.list_topics()) & set(names)):
            admin.delete_topics(there)
    except UnknownTopicOrPartitionError:
        return  # gone meanwhile
    except KafkaError as error:
        raise WireError(
            f"The broker at {kafka.brokers} does not delete the replay's topics: {error}.",
            way_out=f"Delete them by hand; the first is {names[0]}." if names else "",
        ) from error
    finally:
        admin.close()


def _admin(kafka: KafkaSettings) -> KafkaAdminClient:
    try:
        return KafkaAdminClient(
            **client_options(kafka), request_timeout_ms=_REQUEST_MS, bootstrap_timeout_ms=_BOOTSTRAP_MS
        )
    except KafkaError as error:
        raise broker_unavailable(kafka, error) from error


async def require_no_keys(redis: Redis, prefix: str) -> None:
    """Return if there is no key under a prefix.

    Raises:
        WireError: there is one.
    """
    async for _ in redis.scan_iter(match=f"{_literal(prefix)}*", count=_CHUNK):
        raise WireError(
            f"Redis has keys under {prefix!r} that are not this replay's.",
            way_out="Leave the names to the replay, or give a prefix that nothing has.",
        )


async def remove_keys(redis: Redis, prefix: str) -> None:
    """Delete all keys under a prefix; an empty prefix is refused.

    Raises:
        WireError: the prefix is empty.
    """
    if not prefix:
        raise WireError("Without a prefix nothing is removed from Redis.", way_out="Remove it by hand.")
    held: list[bytes] = []
    async for key in redis.scan_iter(match=f"{_literal(prefix)}*", count=_CHUNK):
        held.append(key)
        if len(held) >= _CHUNK:
            await _drop(redis, held)
    await _drop(redis, held)


async def _drop(redis: Redis, keys: list[bytes]) -> None:
    # One key a command: on Redis Cluster they lie in many slots.
    await asyncio.gather(*(redis.unlink(key) for key in keys))
    keys.clear()


def _literal(prefix: str) -> str:
    """The prefix for a MATCH, in which some characters are patterns."""
    return "".join(f"\\{letter}" if letter in r"*?[]\^" else letter for letter in prefix)
