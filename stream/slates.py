"""The slate and its trace: the contract with the storefront, and their writing to Redis.

A storefront reads ``nl:slate:{user}`` with one GET. A slate is replaced only by one with a newer
version: a script compares and sets, one key a call, so it also holds on Redis Cluster. A batch of
slates goes out in one pipeline, one round trip.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

    from stream.settings import SlateSettings

__all__ = ["SLATE_SCHEMA", "Outcome", "Served", "Slate", "SlateCandidate", "SlateStore", "Trace", "Written"]

SLATE_SCHEMA = 1


class SlateCandidate(msgspec.Struct):
    """One item of a slate: what to show, how good it is, and for which demand."""

    item: str
    score: float
    query: str
    why: str
    channel: str


class Slate(msgspec.Struct):
    """``nl:slate:{user}``. What the compare-and-set reads stands first: schema, version, trigger."""

    schema: int
    version: int
    trigger: str
    user: str
    made_at: int
    rung: str
    candidates: list[SlateCandidate]


class Trace(msgspec.Struct):
    """``nl:trace:{user}`` and the record on ``nearline.slates``: the whole chain of one slate.

    Attributes:
        trigger: id of the trigger; ``fired`` has its rule, rule set, sequence, event and times.
        events: the shopper's recent events as the model's profile was made from, with titles.
        prompt: version and text of what the model was asked; ``output`` is what it wrote.
        demands: what was inferred, with kind, evidence, confidence and what it weighs; ``rejected`` with reasons.
        candidates: the slate's items with title, ranks per demand, score, the parts that add up to it, and features.
        timings_ms: milliseconds by stage.
        features: names of the candidates' features, in their order.
        pool: how many items each channel found, and all together.
        trace_id: of the OpenTelemetry trace, 32 hexadecimal digits; empty where the slate is not traced.
    """

    schema: int
    version: int
    trigger: str
    user: str
    made_at: int
    outcome: str
    rung: str
    fired: dict[str, Any]
    events: list[dict[str, Any]]
    prompt: dict[str, Any]
    output: str
    demands: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    candidates: list[dict[str, Any]]
    timings_ms: dict[str, float]
    note: str = ""
    features: list[str] = msgspec.field(default_factory=list)
    pool: dict[str, int] = msgspec.field(default_factory=dict)
    trace_id: str = ""


class Outcome(StrEnum):
    """What became of a trigger."""

    SERVED = "served"  # its slate is in Redis
    SUPERSEDED = "superseded"  # the shopper has a newer trigger, whose slate is served instead
    DUPLICATE = "duplicate"  # the same trigger was served before
    DEAD = "dead"  # the record was no trigger, or could not be served


class Served(NamedTuple):
    """What a shopper has been served: version and trigger of the slate in Redis; 0 and "" for none."""

    version: int
    trigger: str


class Written(NamedTuple):
    """A slate to write with its trace and the demands that the ladder may fall back on."""

    slate: Slate
    trace: Trace
    demands: bytes | None


_HEAD = re.compile(rb'^\{"schema":\d+,"version":(\d+),"trigger":"([0-9a-f]+)"')
_HEAD_BYTES = 127

# Sets KEYS[1] to ARGV[2] for ARGV[3] seconds unless its version is ARGV[1] or newer.
_COMPARE_AND_SET = """
local head = redis.call('GETRANGE', KEYS[1], 0, 63)
local version = string.match(head, '^{"schema":%d+,"version":(%d+),')
if version and tonumber(version) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class SlateStore:
    """Reads and writes slates. ``prefix`` stands before every key."""

    def __init__(self, redis: Redis, prefix: str, settings: SlateSettings) -> None:
        self._redis = redis
        self._prefix = prefix
        self._settings = settings

    def slate_key(self, user: str) -> str:
        """Key of a shopper's slate."""
        return f"{self._prefix}slate:{user}"

    def trace_key(self, user: str) -> str:
        """Key of the chain of a shopper's slate."""
        return f"{self._prefix}trace:{user}"

    def demands_key(self, user: str) -> str:
        """Key of a shopper's last inferred demands (internal)."""
        return f"{self._prefix}demands:{user}"

    def traced_key(self, trace_id: str) -> str:
        """Key of the chain of the slate that a trace led to."""
        return f"{self._prefix}traced:{trace_id}"

    def popular_key(self, category: str) -> str:
        """Key of what to show of a category when there is no slate; the empty category is all."""
        return f"{self._prefix}popular:{category}"

    async def served(self, users: Sequence[str]) -> list[tuple[Served, bytes | None]]:
        """For each user what has been served and the cached demands, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for user in users:
            pipe.getrange(self.slate_key(user), 0, _HEAD_BYTES)
            pipe.get(self.demands_key(user))
        values = await pipe.execute()
        found = []
        for head, demands in zip(values[::2], values[1::2], strict=True):
            match = _HEAD.match(head or b"")
            served = Served(int(match[1]), match[2].decode()) if match else Served(0, "")
            found.append((served, demands))
        return found

    async def write(self, batch: Sequence[Written]) -> list[bool]:
        """Write slates with their traces in one round trip; False where a newer one was there."""
        if not batch:
            return []
        ttl = self._settings.ttl_s
        pipe = self._redis.pipeline(transaction=False)
        for written in batch:
            user, version = written.slate.user, written.slate.version
            # The trace goes first: whoever sees the new slate finds its chain. EVAL and not EVALSHA:
            # redis-py asks in a round trip of its own whether the server knows a script.
            for key, value in ((self.trace_key(user), written.trace), (self.slate_key(user), written.slate)):
                pipe.eval(_COMPARE_AND_SET, 1, key, version, msgspec.json.encode(value), ttl)
            if written.demands is not None:
                pipe.set(self.demands_key(user), written.demands, ex=self._settings.cached_demands_ttl_s)
            if written.trace.trace_id:
                # Beside the shopper's newest chain, so that it is found after the next slate too.
                pipe.set(self.traced_key(written.trace.trace_id), msgspec.json.encode(written.trace), ex=ttl)
        results = await pipe.execute()
        wrote, place = [], 0
        for written in batch:
            wrote.append(bool(results[place + 1]))
            place += 2 + (written.demands is not None) + bool(written.trace.trace_id)
        return wrote

    async def slate(self, user: str) -> Slate | None:
        """A shopper's slate; None if there is none."""
        data = await self._redis.get(self.slate_key(user))
        return msgspec.json.decode(data, type=Slate) if data is not None else None

    async def trace(self, user: str) -> Trace | None:
        """The chain of a shopper's slate; None if there is none."""
        data = await self._redis.get(self.trace_key(user))
        return msgspec.json.decode(data, type=Trace) if data is not None else None

    async def traced(self, trace_id: str) -> Trace | None:
        """The chain of the slate that a trace led to; None if there is none, or none any more."""
        data = await self._redis.get(self.traced_key(trace_id))
        return msgspec.json.decode(data, type=Trace) if data is not None else None

    async def publish_popular(self, by_category: dict[str, list[SlateCandidate]], made_at: int) -> None:
        """Write what a storefront shows when a shopper has no slate."""
        if not by_category:
            return
        values: dict[str | bytes, bytes | str] = {
            self.popular_key(category): msgspec.json.encode(
                {"schema": SLATE_SCHEMA, "category": category, "made_at": made_at, "candidates": candidates}
            )
            for category, candidates in by_category.items()
        }
        pipe = self._redis.pipeline(transaction=False)
        for key, value in values.items():  # one key a command: on Redis Cluster they lie in many slots
            pipe.set(key, value)
        await pipe.execute()
