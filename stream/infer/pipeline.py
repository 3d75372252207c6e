"""From triggers to slates: keep the newest per shopper, infer, recall, write, record.

The only place where the three rooms meet. The order of writing is: Redis and the record on
``nearline.slates`` first, the trigger's offset last, so that a crash in between serves a trigger
again and the compare-and-set finds it served.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from agents.demand import Demand, DemandSet, Rung
from agents.explicit import EXPLICIT
from index.errors import EncoderUnavailableError
from index.recall import Act, Query, RecallRequest
from stream.dead import dead_record
from stream.infer.chain import (
    Chosen,
    Thought,
    chain_of,
    dead_outcome,
    demands_json,
    slate_of,
    superseded_record,
    why_of,
)
from stream.infer.evidence import evidence_of
from stream.infer.shopper import bought_items, shopper_of, taken_items
from stream.logs import about_triggers
from stream.metrics.infer import InferTally
from stream.redis_client import patiently
from stream.slates import Outcome, Served, SlateStore, Trace, Written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.ladder import Ladder
    from index.recall import Recall, RecallResult
    from stream.infer.source import Received
    from stream.outbox import Outbox
    from stream.settings import InferSettings, KafkaSettings
    from stream.tracing import Headers, Tracing
    from stream.triggers import Trigger

__all__ = ["Pipeline", "read_demands", "request_of"]

log = logging.getLogger(__name__)

_SAID = 2.0
"""What a shopper says in this visit counts as so many demands that are inferred (`nearline eval intents`)."""

_read_demands = msgspec.json.Decoder(tuple[Demand, ...]).decode

_Record: TypeAlias = "tuple[str, bytes] | tuple[str, bytes, Headers]"  # user, value, headers


class HasRecall(Protocol):
    """What hands out the recall to use: a `Recall` itself, or a catalogue that changes."""

    @property
    def now(self) -> Recall:
        """The recall over the newest state."""


class Pipeline:
    """Serves batches of triggers.

    Args:
        ladder: infers demands, never empty and never late.
        recall: its ``now`` turns demands into candidates; that recall's catalogue has the titles for profiles
            and traces. Asked for anew for each batch, because the catalogue changes.
        store: slates in Redis.
        outbox: the record on ``nearline.slates`` and dead triggers.
        new_days: how long an item is new to the shop, for counting.
    """

    def __init__(
        self,
        ladder: Ladder,
        recall: HasRecall,
        store: SlateStore,
        outbox: Outbox,
        kafka: KafkaSettings,
        settings: InferSettings,
        new_days: float = 30,
        tracing: Tracing | None = None,
    ) -> None:
        self._ladder = ladder
        self._recall = recall
        self._store = store
        self._outbox = outbox
        self._kafka = kafka
        self._settings = settings
        self.outcomes: dict[str, int] = dict.fromkeys(Outcome, 0)
        self.rungs: dict[str, int] = {}
        self.positions: dict[str, int] = {}
        self.tally = InferTally(new_days)
        self._tracing = tracing

    async def serve(self, received: Sequence[Received]) -> None:
        """Serve every trigger of a batch; return when all is in Redis and acknowledged."""
        newest: dict[str, Received] = {}
        records: list[_Record] = []
        for one in received:
            if one.trigger is None:
                await self._bury(one, "bad_trigger", one.problem)
                continue
            user = one.trigger.user
            other = newest.get(user)
            older, newest[user] = _by_age(other, one)
            if older is not None and older.trigger is not None:
                records.append(self._superseded(older.trigger, newest[user].trigger))
        waiting = list(newest.values())
        for start in range(0, len(waiting), self._settings.model_batch):
            chunk = waiting[start : start + self._settings.model_batch]
            with about_triggers([one.trigger.id for one in chunk if one.trigger is not None]):
                records.extend(await self._serve_or_bury(chunk))
        for user, record, *headers in records:
            await self._outbox.send(self._kafka.slates_topic, record, user, headers[0] if headers else ())
        await self._outbox.flush()

    async def _serve_or_bury(self, chunk: list[Received]) -> list[_Record]:
        """Serve a chunk; where that fails on its contents, one by one, and bury the trigger at fault.

        Without this a single trigger that nobody foresaw would stop its partition for good.
        """
        try:
            return await self._serve_chunk(chunk)
        except (RedisError, KafkaError):
            raise  # the servers' fault, not a trigger's: the worker ends and the next one reads again
        except Exception as error:
            if len(chunk) == 1:
                log.exception("a trigger could not be served")
                detail = f"{type(error).__name__}: {error}"
                await self._bury(chunk[0], "infer_error", detail)
                return [(t.user, dead_outcome(t, detail)) for t in (chunk[0].trigger,) if t is not None]
            return [record for one in chunk for record in await self._serve_or_bury([one])]

    async def _serve_chunk(self, chunk: list[Received]) -> list[_Record]:
        began = time.perf_counter()
        triggers = [one.trigger for one in chunk if one.trigger is not None]
        served = await patiently(
            "reading slates", lambda: self._store.served([trigger.user for trigger in triggers])
        )
        records: list[_Record] = []
        thoughts: list[Thought] = []
        titles = self._recall.now.catalog
        for one, trigger, (before, cached) in zip(chunk, triggers, served, strict=True):
            if before.version >= trigger.seq:
                records.append(await self._served_before(trigger, before))
            else:
                shopper = shopper_of(trigger, titles, read_demands(cached))
                traced = self._tracing.following(one.headers) if self._tracing else None
                thoughts.append(Thought(trigger, shopper, one.received_at, traced))
        if not thoughts:
            return records
        prepared = time.perf_counter()
        now = time.time() * 1000
        deadlines = [
            time.monotonic() + self._settings.deadline_s - (now - thought.trigger.made_at) / 1000
            for thought in thoughts
        ]
        sets = await self._ladder.infer([thought.shopper for thought in thoughts], deadlines)
        inferred = time.perf_counter()
        # Only now, after the model: what was removed meanwhile is in no slate.
        recall = self._recall.now
        result = await asyncio.to_thread(self._recalled, recall, thoughts, sets)
        recalled = time.perf_counter()
        shared = {
            "prepare": (prepared - began) * 1000,
            "infer": (inferred - prepared) * 1000,
            "encode": result.encode_ms,
            "search": result.search_ms,
            "fuse": result.fuse_ms,
            "recall": (recalled - inferred) * 1000,
        }
        made_at = int(time.time() * 1000)
        batch: list[Written] = []
        traces: list[Trace] = []
        latest = self._recall.now.catalog
        for place, (thought, demands) in enumerate(zip(thoughts, sets, strict=True)):
            found = candidates = result.candidates[place]
            if latest is not recall.catalog:  # changed while the lists were made
                candidates = [candidate for candidate in found if latest.is_offered(candidate.item)]
            slate = slate_of(thought, demands, candidates, made_at)
            chosen = Chosen(candidates, result.demands[place], result.pools[place])
            trace = chain_of(thought, demands, chosen, slate, recall.catalog, shared)
            if self._tracing is not None and thought.traced is not None:
                trace.trace_id = self._tracing.id_of(thought.traced)
            cached_demands = demands_json(demands) if demands.rung == "llm" else None
            batch.append(Written(slate, trace, cached_demands))
            traces.append(trace)
        wrote = await patiently("writing slates", lambda: self._store.write(batch))
        finished = time.perf_counter()
        write_ms = (finished - recalled) * 1000
        for thought, demands, trace, new in zip(thoughts, sets, traces, wrote, strict=True):
            trace.timings_ms["write"] = write_ms
            records.append(self._wrote(thought, demands, trace, new))
        rungs = ", ".join(f"{n} {rung}" for rung, n in Counter(trace.rung for trace in traces).items())
        log.info("%d slates (%s) in %.0f ms", len(traces), rungs, (finished - began) * 1000)
        return records

    def _wrote(self, thought: Thought, demands: DemandSet, trace: Trace, new: bool) -> _Record:
        """Count a slate that was just written, where it was newer than the shopper's; return its record."""
        at = time.time() * 1000
        trace.timings_ms["total"] = at - thought.trigger.made_at
        trace.outcome = outcome = Outcome.SERVED if new else Outcome.SUPERSEDED
        self.outcomes[outcome] += 1
        if new:
            self.rungs[trace.rung] = self.rungs.get(trace.rung, 0) + 1
            self.tally.served(trace, demands.timings_ms, self._categories(trace))
            for candidate in trace.candidates:
                channel = candidate["channel"]
                self.positions[channel] = self.positions.get(channel, 0) + 1
        record = trace.user, msgspec.json.encode(trace)
        if self._tracing is None or thought.traced is None:
            return record
        return *record, self._tracing.slate(thought, trace, demands.timings_ms, at)

    def _categories(self, trace: Trace) -> list[str]:
        """The category of each place, of the items that are still there."""
        catalog = self._recall.now.catalog
        rows = (catalog.row(candidate["item"]) for candidate in trace.candidates)
        return [catalog.category(row) for row in rows if row is not None]

    def _recalled(self, recall: Recall, thoughts: list[Thought], sets: list[DemandSet]) -> RecallResult:
        """Candidates for every thought; popular ones where the encoder does not answer."""
        days = self._settings.bought_days
        requests = [
            request_of(thought, demands, days) for thought, demands in zip(thoughts, sets, strict=True)
        ]
        try:
            return recall.recall(requests)
        except EncoderUnavailableError as error:
            log.warning("%s Serving popular items meanwhile.", error)
            for place, demands in enumerate(sets):
                sets[place] = replace(demands, rung=Rung.POPULAR, note=f"{demands.note} {error}".strip())
            return recall.recall([replace(request, queries=()) for request in requests])

    async def _served_before(self, trigger: Trigger, before: Served) -> tuple[str, bytes]:
        """The record of a trigger whose slate, or a newer one, is in Redis already."""
        if before.trigger == trigger.id:
            # Read again after a crash: its slate is there, its record may not be. The trace has it.
            self.outcomes[Outcome.DUPLICATE] += 1
            trace = await patiently("reading a trace", lambda: self._store.trace(trigger.user))
            if trace is not None and trace.version == trigger.seq:
                trace.outcome = Outcome.SERVED
                return trigger.user, msgspec.json.encode(trace)
        return self._superseded(trigger, None, version=before.version)

    def _superseded(
        self, trigger: Trigger, by: Trigger | None, version: int | None = None
    ) -> tuple[str, bytes]:
        self.outcomes[Outcome.SUPERSEDED] += 1
        seq = by.seq if by is not None else version or 0
        return trigger.user, superseded_record(trigger, seq)

    async def _bury(self, one: Received, reason: str, detail: str) -> None:
        """Record a trigger that cannot be served on the dead topic, with why."""
        self.outcomes[Outcome.DEAD] += 1
        log.warning("dead trigger at %s-%d offset %d: %s", *one.origin, detail)
        record = dead_record(one.value, one.origin, reason, detail, int(time.time() * 1000))
        await self._outbox.send(self._kafka.dead_topic, record, key=None)


def _by_age(other: Received | None, one: Received) -> tuple[Received | None, Received]:
    """(the older, the newer) of two triggers of a shopper."""
    if other is None or other.trigger is None or one.trigger is None:
        return None, one
    return (other, one) if one.trigger.seq >= other.trigger.seq else (one, other)


def request_of(thought: Thought, demands: DemandSet, bought_days: int) -> RecallRequest:
    """What recall is asked for a shopper; what they bought within ``bought_days`` is left out."""
    trigger = thought.trigger
    acts = {act.event_id: act for act in thought.shopper.recent}
    moments = {recent.event_id: recent.ts for recent in trigger.recent}
    return RecallRequest(
        queries=tuple(
            [
                Query(
                    demand.query,
                    _SAID if demand.kind == EXPLICIT else 1.0,
                    why_of(demand, acts),
                    evidence_of(demand, trigger.ts, moments),
                )
                for demand in demands.demands
            ]
        ),
        exclude=bought_items(trigger, bought_days),
        categories=thought.shopper.categories,
        acts=tuple([Act(item, weight) for item, weight in taken_items(trigger).items()]),
        user=trigger.user,
        version=trigger.seq,
    )


def read_demands(data: bytes | None) -> tuple[Demand, ...]:
    """The shopper's last inferred demands; none where what Redis holds is of another version."""
    if data is None:
        return ()
    try:
        return _read_demands(data)
    except msgspec.DecodeError:
        return ()
