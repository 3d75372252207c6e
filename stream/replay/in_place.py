"""Replays a capture in this process: no broker, no Redis, as fast as the machine goes.

Gate, ladder, recall and slate are the functions that a worker runs. Two things differ, because a worker's clock decides them
live: every trigger is thought about, where a worker keeps only the newest of a shopper's that it reads together; and
no trigger is given up for being late. Every moment is the event's: a slate is made, and an item is as old, as when it happened.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.gate.state.ledger import DAY_MS
from stream.infer.chain import Chosen, Thought, chain_of, demands_json, slate_of
from stream.infer.pipeline import read_demands, request_of
from stream.infer.shopper import Labels, shopper_of
from stream.replay.errors import CaptureError
from stream.replay.fired import Changed, Fired
from stream.replay.run import SCHEMA, Run
from stream.replay.variety import varieties_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.demand import DemandSet
    from agents.ladder import Ladder
    from index.living import LivingRecall
    from index.recall import Recall
    from stream.replay.cassette import Cassette
    from stream.replay.fired import Firings
    from stream.replay.run import RunWriter, Told
    from stream.replay.variety import Variety
    from stream.settings import InferSettings, SlateSettings

__all__ = ["NEVER", "TOGETHER", "InPlace", "Progress", "Thinking", "still"]

# Recall embeds and searches a batch at once; the same for every replay, so that its numbers are too.
TOGETHER = 64
NEVER = 1e12
"""A deadline, in seconds of any clock, that does not come."""


class Thinking(NamedTuple):
    """What turns triggers into slates.

    Attributes:
        ladder: with a clock that stands still (:func:`still`), so that no trigger is late.
        living: the catalogue, changed by what the capture has of the catalog topic.
        infer, slates: settings as they are live.
        new_days: for how long an item counts as new.
        called: how many calls the language model (None: all that it answered) and the encoder (texts) have had.
    """

    ladder: Ladder
    living: LivingRecall
    infer: InferSettings
    slates: SlateSettings
    new_days: float
    called: Callable[[], tuple[int | None, int]]


class Progress(NamedTuple):
    """How far a replay is: events read, triggers fired, and the time on the shoppers' clocks (ms)."""

    events: int
    triggers: int
    at: int


class InPlace:
    """One replay.

    Args:
        firings: the events and the rules.
        thinking: what becomes of triggers; None to stop at them.
        writer: where the run goes.
        speed: seconds of the shoppers' clocks in one of ours; None for as fast as it goes.
        chains: keep the whole chain of each slate.
    """

    def __init__(
        self,
        firings: Firings,
        thinking: Thinking | None,
        writer: RunWriter,
        *,
        speed: float | None = None,
        chains: bool = False,
    ) -> None:
        self._firings = firings
        self._thinking = thinking
        self._writer = writer
        self._speed = speed
        self._chains = chains
        self._waiting: dict[str, tuple[int, Fired]] = {}
        self._day = 0
        self._on: tuple[Recall, int, Recall, Labels] | None = None
        self._cached: dict[str, tuple[int, bytes]] = {}
        self._kept_ms = thinking.slates.cached_demands_ttl_s * 1000 if thinking is not None else 0
        self._rungs: dict[str, int] = {}
        self._seconds = dict.fromkeys(("all", "prepare", "infer", "recall"), 0.0)
        self._triggers = 0
        self._asked = 0
        self._chunks = 0

    async def run(
        self, told: Told, cassette: Cassette | None = None, progress: Callable[[Progress], None] | None = None
    ) -> Run:
        """Replay all of it and finish the run.

        Raises:
            CaptureError: a file of the capture is damaged, or there is no event in it.
            CallMissingError: the cassette is strict and lacks a call.
        """
        thinking, began = self._thinking, time.perf_counter()
        first: int | None = None
        for one in self._firings.stream(catalog=thinking is not None):
            at = one.place[0]
            first = at if first is None else first
            if self._speed is not None:
                await self._pace(began, (at - first) / 1000 / self._speed)
            if isinstance(one, Changed):
                await self._think()
                if thinking is not None:
                    thinking.living.apply(one.changes)
                    thinking.living.settle()
            else:
                await self._take(one)
                if progress is not None:
                    progress(Progress(self._firings.events, self._triggers, one.trigger.ts))
        await self._think()
        self._seconds["all"] = time.perf_counter() - began
        if not self._firings.events:
            raise CaptureError(
                "There is no event to replay.", way_out="Choose other --users, or another capture."
            )
        if self._firings.unseen:
            told.notes.append(f"There is no event of {', '.join(sorted(self._firings.unseen))}.")
        if self._firings.bad_changes:
            told.notes.append(f"{self._firings.bad_changes} records of the catalog topic are no change.")
        calls, encoded = thinking.called() if thinking is not None else (0, 0)
        run = Run(
            schema=SCHEMA,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            told=told,
            hashes=self._writer.hashes(),
            events=self._firings.events,
            accounting=self._firings.counts,
            triggers=self._triggers,
            rungs=dict(sorted(self._rungs.items())),
            model_calls=self._asked if calls is None else calls,
            texts_encoded=encoded,
            hits=cassette.hits if cassette is not None else 0,
            misses=cassette.misses if cassette is not None else 0,
            seconds={name: round(seconds, 3) for name, seconds in self._seconds.items()},
        )
        self._writer.finish(run)
        return run

    async def _take(self, fired: Fired) -> None:
        """Take note of a trigger, and let it wait for others to be thought about with."""
        trigger, place = fired.trigger, self._triggers
        self._triggers += 1
        value = msgspec.json.encode(trigger)
        self._writer.hash("triggers", value)
        head = (place, trigger.id, trigger.rule, trigger.rules, trigger.user, trigger.seq)
        self._writer.add(
            "triggers", [(*head, trigger.event_id, trigger.ts, trigger.sent_at, fired.partition, value)]
        )
        if self._thinking is None:
            return
        day = trigger.ts // DAY_MS
        # A shopper's next trigger knows the demands of this one, and recall has one day at a time.
        if trigger.user in self._waiting or day != self._day or len(self._waiting) >= TOGETHER:
            await self._think()
        self._day = day
        self._waiting[trigger.user] = (place, fired)

    async def _think(self) -> None:
        """From the triggers that wait to their slates."""
        thinking = self._thinking
        if thinking is None or not self._waiting:
            return
        began = time.perf_counter()
        recall, labels = self._recall(thinking)
        places = [place for place, _ in self._waiting.values()]
        thoughts = []
        for _, fired in self._waiting.values():
            trigger = fired.trigger
            shopper = shopper_of(trigger, labels, read_demands(self._remembered(fired)))
            thoughts.append(Thought(trigger, shopper, trigger.made_at))
        self._waiting.clear()
        prepared = time.perf_counter()
        sets = await thinking.ladder.infer([one.shopper for one in thoughts], [NEVER] * len(thoughts))
        inferred = time.perf_counter()
        days = thinking.infer.bought_days
        # What is known of each item beside its place is for the chain alone.
        requests = [request_of(*pair, days) for pair in zip(thoughts, sets, strict=True)]
        result = recall.recall(requests, record=self._chains)
        recalled = time.perf_counter()
        varieties = varieties_of(thoughts, result.candidates, recall, labels, thinking.new_days)
        for place, thought, demands, candidates, weights, pool, variety in zip(
            places, thoughts, sets, result.candidates, result.demands, result.pools, varieties, strict=True
        ):
            self._demanded(place, thought, demands)
            self._served(place, thought, demands, Chosen(candidates, weights, pool), recall, variety)
        spent = (prepared - began, inferred - prepared, recalled - inferred)
        for stage, seconds in zip(("prepare", "infer", "recall"), spent, strict=True):
            self._seconds[stage] += seconds
        told = (spent[0] * 1e3, spent[1] * 1e3, result.encode_ms, result.search_ms, result.fuse_ms)
        self._writer.add("timings", [(place, self._chunks, *told) for place in places])
        self._chunks += 1

    def _demanded(self, place: int, thought: Thought, demands: DemandSet) -> None:
        self._rungs[demands.rung] = self._rungs.get(demands.rung, 0) + 1
        data = demands_json(demands)
        if demands.rung == "llm":
            self._cached[thought.trigger.user] = (thought.trigger.ts, data)
        rejected = msgspec.json.encode(demands.rejected)
        self._writer.hash("prompts", f"{demands.prompt_version}\0{demands.prompt}".encode())
        self._writer.hash("demands", b"\0".join((demands.rung.encode(), data, rejected)))
        self._asked += demands.prompt_tokens > 0
        asked = (demands.prompt_version, demands.prompt, demands.raw_output)
        by = (demands.model, demands.runtime, demands.prompt_tokens, demands.output_tokens)
        self._writer.add("demands", [(place, str(demands.rung), *asked, data, rejected, demands.note, *by)])

    def _served(
        self,
        place: int,
        thought: Thought,
        demands: DemandSet,
        chosen: Chosen,
        recall: Recall,
        variety: Variety,
    ) -> None:
        slate = slate_of(thought, demands, chosen.candidates, thought.trigger.ts)
        data = msgspec.json.encode(slate)
        self._writer.hash("slates", data)
        chain = None
        if self._chains:
            chain = msgspec.json.encode(chain_of(thought, demands, chosen, slate, recall.catalog, {}))
        items = [act.item_id for act in thought.shopper.recent]
        items += [one.item for one in chosen.candidates]
        self._writer.name(items, recall.catalog)
        self._writer.add("slates", [(place, data, *variety, chain)])

    def _recall(self, thinking: Thinking) -> tuple[Recall, Labels]:
        """Recall over the catalogue as it is now, on the day of the triggers that wait, and the catalogue's labels."""
        now, on = thinking.living.now, self._on
        if on is None or on[0] is not now or on[1] != self._day:
            labels = on[3] if on is not None and on[0] is now else Labels(now.catalog)
            on = self._on = (now, self._day, now.on(self._day), labels)
        return on[2], on[3]

    def _remembered(self, fired: Fired) -> bytes | None:
        """The shopper's last demands by the model, as long as they are kept live."""
        found = self._cached.get(fired.trigger.user)
        if found is None or fired.trigger.ts - found[0] > self._kept_ms:
            return None
        return found[1]

    @staticmethod
    async def _pace(began: float, due: float) -> None:
        ahead = due - (time.perf_counter() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)


def still() -> float:
    """A clock that stands still."""
    return 0.0
