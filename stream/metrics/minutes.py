"""What happened in each minute, counted by workers and kept in Redis for a time, for whoever asks later.

``nl:minute:{at}`` is a hash, ``at`` the minute's start in milliseconds; each worker has a field of its own there, named
by the worker and by when it started, with its counts of that minute as JSON. A worker writes its field whole every few
seconds, so a write that is repeated changes nothing, and a minute is the sum of its fields. What a worker counted after
its last write is missing where it is killed: five seconds at most; where Redis is away it is written afterwards, for
minutes up to an hour back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
from mode import Service
from redis.exceptions import RedisError

from stream.metrics.redis_writer import GOODBYE_S, RedisWriter
from stream.redis_client import transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis.asyncio import Redis

    from stream.settings import RedisSettings

__all__ = [
    "MINUTE_MS",
    "PARTS",
    "Count",
    "Counted",
    "Minute",
    "MinuteKeeper",
    "MinuteTally",
    "minute_key",
    "read_minutes",
    "write_minute",
]

MINUTE_MS = 60_000
PARTS = ("events", "triggers", "slates", "channels", "discovery", "categories", "breadth")
MOST_NAMES = 60
"""Names that a worker keeps of a part in a minute: those of the largest counts; the others are one, ``other``."""
_WRITE_S = 5.0
_KEPT_BACK = 60


class Minute(msgspec.Struct, omit_defaults=True):
    """What happened in a minute, by name in each part.

    Attributes:
        events: ``received``, and what became of them.
        triggers: by rule.
        slates: by rung.
        channels: places of slates by the channel that found the item; all of them together are all places.
        discovery: places with an item ``new`` to the shop and of a category that was ``unseen`` by the shopper;
            slates ``with_new`` items.
        categories: places by category.
        breadth: slates by how many categories they have.
    """

    events: dict[str, int] = {}
    triggers: dict[str, int] = {}
    slates: dict[str, int] = {}
    channels: dict[str, int] = {}
    discovery: dict[str, int] = {}
    categories: dict[str, int] = {}
    breadth: dict[str, int] = {}


class Count(NamedTuple):
    """Something counted since the worker started: its part and name in a :class:`Minute`.

    ``of`` tells counts of one name apart that begin anew on their own, as those of partitions do.
    """

    part: str
    name: str
    value: int
    of: str = ""


class Counted(Protocol):
    """A role's counts. Called on the event loop; must not wait."""

    def __call__(self) -> Iterable[Count]:
        """The counts of now."""


class MinuteTally:
    """Divides counts among the minutes in which they grew. Pure."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str, str], int] = {}
        self._since: float | None = None
        self._minutes: dict[int, Counter[tuple[str, str]]] = {}

    def take(self, counts: Iterable[Count], now: float) -> None:
        """Take in the counts of ``now`` (milliseconds): what grew did so in the minute of the time before."""
        at = int((now if self._since is None else self._since) // MINUTE_MS) * MINUTE_MS
        into = self._minutes.setdefault(at, Counter())
        before, self._before = self._before, {}
        for one in counts:
            key = (one.part, one.name, one.of)
            self._before[key] = one.value
            earlier = before.get(key, 0)
            grown = one.value - earlier if one.value >= earlier else one.value  # it has begun anew
            if grown:
                into[one.part, one.name] += grown
        self._since = now
        while len(self._minutes) > _KEPT_BACK:
            del self._minutes[min(self._minutes)]

    def unwritten(self) -> list[tuple[int, Minute]]:
        """The minutes that are not in Redis yet as they are here, oldest first."""
        return [(at, _minute(counts)) for at, counts in sorted(self._minutes.items())]

    def wrote(self, at: int) -> None:
        """Forget a minute that was written and is over."""
        if self._since is not None and at + MINUTE_MS <= self._since:
            self._minutes.pop(at, None)


def _minute(counts: Counter[tuple[str, str]]) -> Minute:
    """The minute of these counts, each part with its largest."""
    parts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for (part, name), value in counts.items():
        parts[part][name] = value
    return Minute(**{part: _largest(found) for part, found in parts.items()})


def _largest(counts: Counter[str]) -> dict[str, int]:
    kept = dict(counts.most_common(MOST_NAMES))
    rest = counts.total() - sum(kept.values())
    if rest:
        kept["other"] = kept.get("other", 0) + rest
    return kept


def minute_key(prefix: str, at: int) -> str:
    """Key of the minute that begins at ``at`` (milliseconds)."""
    return f"{prefix}minute:{at}"


async def write_minute(redis: Redis, prefix: str, at: int, worker: str, minute: Minute, kept_s: int) -> None:
    """Write a worker's counts of a minute in place of those it has written before, and keep them for ``kept_s``."""
    key = minute_key(prefix, at)
    async with transaction(redis, key) as pipe:
        pipe.hset(key, worker, msgspec.json.encode(minute))
        pipe.expire(key, kept_s)
        await pipe.execute()


async def read_minutes(redis: Redis, prefix: str, starts: Sequence[int]) -> list[Minute | None]:
    """The minutes that begin at ``starts``, each over all workers; None where no worker has counted.

    A field of another version of Nearline that cannot be read is left out.
    """
    pipe = redis.pipeline(transaction=False)
    for at in starts:
        pipe.hgetall(minute_key(prefix, at))
    found: list[dict[bytes, bytes]] = await pipe.execute() if starts else []
    return [_sum(fields) if fields else None for fields in found]


def _sum(fields: Mapping[bytes, bytes]) -> Minute:
    sums: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for value in fields.values():
        with contextlib.suppress(msgspec.DecodeError):
            minute = _decode(value)
            for part, counts in sums.items():
                counts.update(getattr(minute, part))
    return Minute(**{part: dict(counts) for part, counts in sums.items()})


_decode = msgspec.json.Decoder(Minute).decode


class MinuteKeeper(RedisWriter):
    """Counts by the minute while the worker runs. Redis being away stops no worker.

    Args:
        settings: of Redis; this has a connection of its own, so that a slow checkpoint does not hold it.
        worker: the worker's name and when it started.
        kept_s: seconds that a minute is kept.
    """

    def __init__(self, settings: RedisSettings, worker: str, kept_s: int) -> None:
        super().__init__(settings, "the counts of the minute")
        self._worker = worker
        self._kept_s = kept_s
        self._sources: list[Counted] = []
        self._tally = MinuteTally()

    def add(self, source: Counted) -> None:
        """Count what ``source`` counts, from now on."""
        self._sources.append(source)

    @Service.task  # type: ignore[untyped-decorator]
    async def _keep(self) -> None:
        while not self.should_stop:
            await self.write_once()
            # At the end of each minute, too, so that what happened is counted in the minute in which it did.
            await self.sleep(min(_WRITE_S, 60 - time.time() % 60 + 0.001))

    async def write(self, redis: Redis) -> None:
        """Count, and write the minutes that are not in Redis as they are here."""
        self._tally.take([one for source in self._sources for one in source()], time.time() * 1000)
        for at, minute in self._tally.unwritten():
            await write_minute(redis, self._settings.prefix, at, self._worker, minute, self._kept_s)
            self._tally.wrote(at)

    async def on_shutdown(self) -> None:
        """Write what was counted last, where Redis takes it at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self.write_once()
        if self._redis is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._redis.aclose()
