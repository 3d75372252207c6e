"""The slate and its whole chain, put together from what each stage gave. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from index.ranking.live import LIVE_FEATURES
from stream.slates import SLATE_SCHEMA, Outcome, Slate, SlateCandidate, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context

    from agents.demand import Demand, DemandSet
    from agents.shopper import Act, Shopper
    from index.built.catalog import Catalog
    from index.recall import Candidate
    from stream.triggers import Trigger

__all__ = [
    "Chosen",
    "Thought",
    "chain_of",
    "dead_outcome",
    "demands_json",
    "slate_of",
    "superseded_record",
    "why_of",
]


class Thought(NamedTuple):
    """A trigger on its way: the shopper it shows, when the worker read it (wall clock, ms), and the trace it is part of."""

    trigger: Trigger
    shopper: Shopper
    received_at: float
    traced: Context | None = None


class Chosen(NamedTuple):
    """What recall made of one shopper's demands: the slate's items, the demands' weights, and the pool's sizes."""

    candidates: Sequence[Candidate]
    weights: Mapping[str, Mapping[str, float]]
    pool: dict[str, int]


def slate_of(thought: Thought, demands: DemandSet, candidates: Sequence[Candidate], made_at: int) -> Slate:
    """The slate that the storefront reads."""
    return Slate(
        schema=SLATE_SCHEMA,
        version=thought.trigger.seq,
        trigger=thought.trigger.id,
        user=thought.trigger.user,
        made_at=made_at,
        rung=str(demands.rung),
        candidates=[
            SlateCandidate(c.item, round(float(c.score), 6), c.query or "", c.why, c.channel)
            for c in candidates
        ],
    )


def chain_of(
    thought: Thought,
    demands: DemandSet,
    chosen: Chosen,
    slate: Slate,
    catalog: Catalog,
    timings: Mapping[str, float],
) -> Trace:
    """The slate's chain, from the events to each item. Write and total times are added when known."""
    trigger = thought.trigger
    return Trace(
        schema=SLATE_SCHEMA,
        version=slate.version,
        trigger=trigger.id,
        user=slate.user,
        made_at=slate.made_at,
        outcome=Outcome.SERVED,
        rung=slate.rung,
        fired={
            "rule": trigger.rule,
            "rules": trigger.rules,
            "seq": trigger.seq,
            "event_id": trigger.event_id,
            "ts": trigger.ts,
            "made_at": trigger.made_at,
        },
        events=[asdict(act) for act in thought.shopper.recent],
        prompt={
            "version": demands.prompt_version,
            "text": demands.prompt,
            "model": demands.model,
            "runtime": demands.runtime,
            "prompt_tokens": demands.prompt_tokens,
            "output_tokens": demands.output_tokens,
        },
        output=demands.raw_output,
        demands=[
            {**asdict(demand), "weight": dict(chosen.weights.get(demand.query, {}))}
            for demand in demands.demands
        ],
        rejected=[asdict(rejected) for rejected in demands.rejected],
        candidates=[
            {
                "item": candidate.item,
                "title": _title(catalog, candidate.item),
                "score": shown.score,
                "query": candidate.query or "",
                "why": candidate.why,
                "channel": candidate.channel,
                "ranks": candidate.ranks,
                "parts": candidate.parts,
                "features": candidate.features,
            }
            for candidate, shown in zip(chosen.candidates, slate.candidates, strict=True)
        ],
        features=list(LIVE_FEATURES),
        pool=chosen.pool,
        timings_ms={
            "gate": float(trigger.made_at - trigger.sent_at),
            "queue": max(0.0, thought.received_at - trigger.made_at),
            **{stage: round(ms, 3) for stage, ms in timings.items()},
        },
        note=demands.note,
    )


_AFTER = {
    "view": "looking at",
    "click": "clicking on",
    "search": "searching for",
    "favorite": "saving",
    "cart": "putting into the cart",
    "order": "buying",
    "inquiry": "asking about",
    "image_search": "searching by picture for",
}


_KNOWN = {
    "preference:long": "because you often choose “{}”",
    "preference:recent": "because you lately looked for “{}”",
    "preference:potential": "because others like you came to want “{}”",
    "trend": "because many ask for “{}” now",
}


def why_of(demand: Demand, acts: Mapping[str, Act]) -> str:
    """In words why a demand is there: the act that supports it, else what is known of the shopper.

    Args:
        demand: the demand.
        acts: what the shopper did lately, by the events' ids.
    """
    for event_id in demand.evidence:
        act = acts.get(event_id)
        if act is not None and act.type in _AFTER:
            return f"after {_AFTER[act.type]} “{act.text}”"
    for fact in demand.evidence:
        for known, words in _KNOWN.items():
            if fact.startswith(f"{known}:"):
                return words.format(fact.rpartition(":")[2])
    return "after what you did lately" if acts else "popular in your categories"


def superseded_record(trigger: Trigger, by_version: int) -> bytes:
    """The record of a trigger that a newer one of the same shopper has overtaken."""
    return _without_slate(trigger, Outcome.SUPERSEDED, by_version=by_version)


def dead_outcome(trigger: Trigger, detail: str) -> bytes:
    """The record of a trigger that could not be served; the trigger itself is on the dead topic."""
    return _without_slate(trigger, Outcome.DEAD, note=detail)


def _without_slate(trigger: Trigger, outcome: Outcome, **more: object) -> bytes:
    head = {"schema": SLATE_SCHEMA, "version": trigger.seq, "trigger": trigger.id, "user": trigger.user}
    return msgspec.json.encode({**head, "outcome": outcome, **more})


def demands_json(demands: DemandSet) -> bytes:
    """The demands as the ladder's cache keeps them."""
    return msgspec.json.encode(demands.demands)


def _title(catalog: Catalog, item: str) -> str:
    row = catalog.row(item)
    return catalog.title(row) if row is not None else ""
