"""What a replay's worker makes of the triggers it reads: every one is thought about, in the order of its partition.

What is read again after a crash comes to the same: the catalogue is as it was at the trigger, the demands remembered are those
of the shopper's triggers before it. So records of one trigger never differ, and whoever puts the run together takes the first.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec

from stream.gate.state.ledger import DAY_MS
from stream.infer.chain import Chosen, Thought, chain_of, demands_json, slate_of
from stream.infer.pipeline import read_demands, request_of
from stream.infer.shopper import Labels, shopper_of
from stream.redis_client import patiently
from stream.replay.errors import WireError
from stream.replay.in_place import NEVER, TOGETHER
from stream.replay.variety import varieties_of
from stream.replay.wire.as_it_was import AsItWas
from stream.replay.wire.messages import Beside, PlacedTrigger, ReplayedTrace, bare_trigger
from stream.slates import Written

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from redis.asyncio import Redis

    from index.built.catalog import Catalog
    from stream.infer.source import Received
    from stream.outbox import Outbox
    from stream.replay.in_place import Thinking
    from stream.replay.wire.as_it_was import Dated
    from stream.settings import KafkaSettings, SlateSettings
    from stream.slates import SlateStore
    from stream.triggers import Trigger

__all__ = ["COUNTS", "Counts", "Serving"]

COUNTS = "replay:counts"
"""Key, behind the replay's prefix, of what models and cassette were asked for by all workers."""


_decode = msgspec.json.Decoder(PlacedTrigger).decode


class Counts(msgspec.Struct):
    """What models and cassette were asked for, since the worker began; ``llm`` is None without a count of its own."""

    llm: int | None
    texts: int
    hits: int
    misses: int


class Serving:
    """Serves the triggers of a replay, in the place of :class:`stream.infer.pipeline.Pipeline`.

    Args:
        make: gives ladder and recall over the catalogue as it was built.
        changes: of the catalog topic.
        store: slates in Redis.
        redis: under ``prefix`` it remembers shoppers' demands and the counts of all workers.
        outbox: the record on ``nearline.slates``.
        kafka: its topics.
        slates: how long demands are remembered.
        counts: what models and cassette were asked for so far.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[Thinking]],
        changes: Sequence[Dated],
        store: SlateStore,
        redis: tuple[Redis, str],
        outbox: Outbox,
        kafka: KafkaSettings,
        slates: SlateSettings,
        counts: Callable[[], Counts],
    ) -> None:
        self._make = make
        self._changes = changes
        self._store = store
        self._redis, self._prefix = redis
        self._outbox = outbox
        self._topic = kafka.slates_topic
        self._ttl_ms = slates.cached_demands_ttl_s * 1000
        self._counts = counts
        self._told = Counts(0, 0, 0, 0)
        self._catalogs: dict[int, AsItWas] = {}
        self._chunks = 0
        self.served = 0

    async def serve(self, received: Sequence[Received]) -> None:
        """Serve every trigger of a batch; return when all is in Redis and acknowledged.

        Raises:
            WireError: a record is no trigger of this replay.
            CallMissingError: the cassette is strict and lacks a call.
        """
        parts: dict[int, list[PlacedTrigger]] = {}
        for one in received:
            try:
                parts.setdefault(one.origin.partition, []).append(_decode(one.value or b""))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise WireError(
                    f"{one.origin.topic}-{one.origin.partition} offset {one.origin.offset} is no trigger: {error}.",
                    way_out="Something else writes to the replay's topics; let it have names of its own.",
                ) from error
        for number, triggers in parts.items():
            catalog = self._catalogs.get(number)
            if catalog is None:
                catalog = self._catalogs[number] = AsItWas(self._make, self._changes)
            for chunk in _chunks(triggers, catalog):
                await self._think(await catalog.at(chunk[0].place), [bare_trigger(one) for one in chunk])
        await self._outbox.flush()

    async def _think(self, thinking: Thinking, triggers: Sequence[Trigger]) -> None:
        """From triggers of different shoppers to their slates, under one state of the catalogue."""
        began = time.perf_counter()
        recall = thinking.living.now.on(triggers[0].ts // DAY_MS)
        labels = Labels(recall.catalog)
        known = await patiently("reading demands", lambda: self._remembered(triggers))
        thoughts = [
            Thought(trigger, shopper_of(trigger, labels, read_demands(data)), trigger.made_at)
            for trigger, data in zip(triggers, known, strict=True)
        ]
        prepared = time.perf_counter()
        sets = await thinking.ladder.infer([one.shopper for one in thoughts], [NEVER] * len(thoughts))
        inferred = time.perf_counter()
        days = thinking.infer.bought_days
        result = recall.recall([request_of(*pair, days) for pair in zip(thoughts, sets, strict=True)])
        spent = ((prepared - began) * 1e3, (inferred - prepared) * 1e3)
        stages = (*spent, result.encode_ms, result.search_ms, result.fuse_ms)
        varieties = varieties_of(thoughts, result.candidates, recall, labels, thinking.new_days)
        batch: list[Written] = []
        for place, (thought, demands) in enumerate(zip(thoughts, sets, strict=True)):
            candidates = result.candidates[place]
            slate = slate_of(thought, demands, candidates, thought.trigger.ts)
            chosen = Chosen(candidates, result.demands[place], result.pools[place])
            trace = chain_of(thought, demands, chosen, slate, recall.catalog, {})
            kept = demands_json(demands) if demands.rung == "llm" else None
            batch.append(Written(slate, trace, kept))
            touched = [act.item_id for act in thought.shopper.recent]
            items = _titled((*touched, *(one.item for one in candidates)), recall.catalog)
            beside = Beside(varieties[place], f"{os.getpid()}-{self._chunks}", stages, items)
            record = ReplayedTrace(**msgspec.structs.asdict(trace), beside=beside)
            await self._outbox.send(self._topic, msgspec.json.encode(record), key=thought.trigger.user)
        await patiently("writing slates", lambda: self._store.write(batch))
        await patiently("remembering demands", lambda: self._remember(thoughts, batch))
        self._chunks += 1
        self.served += len(batch)

    async def _remembered(self, triggers: Sequence[Trigger]) -> list[bytes | None]:
        """Of each trigger's shopper the last demands by the model before it, as long as they are kept live."""
        pipe = self._redis.pipeline(transaction=False)
        for trigger in triggers:
            pipe.zrevrangebyscore(self._key(trigger.user), f"({trigger.seq}", "-inf", start=0, num=1)
        found: list[bytes | None] = []
        for trigger, rows in zip(triggers, await pipe.execute(), strict=True):
            _, at, demands = rows[0].split(b" ", 2) if rows else (b"", b"0", b"")
            found.append(demands if rows and trigger.ts - int(at) <= self._ttl_ms else None)
        return found

    async def _remember(self, thoughts: Sequence[Thought], batch: Sequence[Written]) -> None:
        now = self._counts()
        pipe = self._redis.pipeline(transaction=False)
        for thought, written in zip(thoughts, batch, strict=True):
            if written.demands is not None:
                trigger = thought.trigger
                member = b"%d %d %b" % (trigger.seq, trigger.ts, written.demands)
                pipe.zadd(self._key(trigger.user), {member: trigger.seq})
        for name in Counts.__struct_fields__:
            value = getattr(now, name)
            if value is not None:
                pipe.hincrby(f"{self._prefix}{COUNTS}", name, value - (getattr(self._told, name) or 0))
        await pipe.execute()
        self._told = now

    def _key(self, user: str) -> str:
        return f"{self._prefix}replay:demands:{user}"


def _chunks(triggers: Sequence[PlacedTrigger], catalog: AsItWas) -> Iterator[list[PlacedTrigger]]:
    """Triggers that may be thought about together: of different shoppers, of one day, under one state of the catalogue."""
    chunk: list[PlacedTrigger] = []
    users: set[str] = set()
    for one in triggers:
        if chunk and (
            len(chunk) >= TOGETHER
            or one.user in users
            or one.ts // DAY_MS != chunk[0].ts // DAY_MS
            or not catalog.same(chunk[0].place, one.place)
        ):
            yield chunk
            chunk, users = [], set()
        chunk.append(one)
        users.add(one.user)
    if chunk:
        yield chunk


def _titled(items: Iterable[str], catalog: Catalog) -> list[tuple[str, str, str]]:
    """Id, title and category of the items that the catalogue has."""
    return [
        (item, catalog.title(row), catalog.category(row))
        for item in dict.fromkeys(items)
        if item and (row := catalog.row(item)) is not None
    ]
