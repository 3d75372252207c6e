"""Writes the run of a replay on the wire, in the form and order of one in place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.replay.errors import WireError
from stream.replay.run import SCHEMA, Run
from stream.replay.wire.messages import bare_trace
from stream.slates import Slate, SlateCandidate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stream.gate.state.accounting import Accounting
    from stream.replay.run import RunWriter, Told
    from stream.replay.wire.collector import Collector, Gathered
    from stream.replay.wire.messages import ReplayedTrace

__all__ = ["Came", "write_run"]


class Came(NamedTuple):
    """What it came to: the gates' accounting, what models and cassette were asked for, and seconds."""

    counts: Accounting
    asked: Mapping[str, int]
    seconds: float


def write_run(
    writer: RunWriter, collector: Collector, told: Told, came: Came, *, slates: bool, chains: bool
) -> Run:
    """Write all that was gathered, and finish the run.

    Args:
        writer: of the run.
        collector: what the workers published.
        told: how the run was made; prompt and model are added.
        came: what it came to.
        slates: whether triggers have slates.
        chains: keep the whole chain of each.

    Raises:
        WireError: a trigger has no slate.
        RunError: the run cannot be written.
    """
    rungs: dict[str, int] = {}
    seconds = dict.fromkeys(("prepare", "infer", "recall"), 0.0)
    chunks: dict[str, int] = {}
    asked = place = 0
    for place, one in enumerate(collector.in_order(), start=1):
        _write_trigger(writer, place - 1, one)
        if not slates:
            continue
        chain = one.chain
        if chain is None:
            raise WireError(f"Trigger {one.trigger.id} has no slate.", way_out="Replay again.")
        rungs[chain.rung] = rungs.get(chain.rung, 0) + 1
        asked += chain.prompt["prompt_tokens"] > 0
        told.prompt = chain.prompt["version"]
        told.model = f"{chain.prompt['runtime']} {chain.prompt['model']}"
        if chain.beside.together not in chunks:
            prepare, infer, *recall = chain.beside.stages
            for stage, ms in zip(seconds, (prepare, infer, sum(recall)), strict=True):
                seconds[stage] += ms / 1e3
        number = chunks.setdefault(chain.beside.together, len(chunks))
        _write_chain(writer, place - 1, chain, number, chains=chains)
    calls = came.asked.get("llm")
    run = Run(
        schema=SCHEMA,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        told=told,
        hashes=writer.hashes(),
        events=came.counts.received,
        accounting=came.counts,
        triggers=place,
        rungs=dict(sorted(rungs.items())),
        model_calls=asked if calls is None else calls,
        texts_encoded=came.asked.get("texts", 0),
        hits=came.asked.get("hits", 0),
        misses=came.asked.get("misses", 0),
        seconds={name: round(value, 3) for name, value in {"all": came.seconds, **seconds}.items()},
    )
    writer.finish(run)
    return run


def _write_trigger(writer: RunWriter, place: int, one: Gathered) -> None:
    trigger = one.trigger
    value = msgspec.json.encode(trigger)
    writer.hash("triggers", value)
    head = (place, trigger.id, trigger.rule, trigger.rules, trigger.user, trigger.seq)
    writer.add("triggers", [(*head, trigger.event_id, trigger.ts, trigger.sent_at, one.partition, value)])


def _write_chain(writer: RunWriter, place: int, chain: ReplayedTrace, together: int, *, chains: bool) -> None:
    prompt, beside = chain.prompt, chain.beside
    # A demand's weights are recall's, which comes after it.
    demands = msgspec.json.encode(
        [{name: part for name, part in one.items() if name != "weight"} for one in chain.demands]
    )
    rejected = msgspec.json.encode(chain.rejected)
    writer.hash("prompts", f"{prompt['version']}\0{prompt['text']}".encode())
    writer.hash("demands", b"\0".join((chain.rung.encode(), demands, rejected)))
    asked = (prompt["version"], prompt["text"], chain.output)
    by = (prompt["model"], prompt["runtime"], prompt["prompt_tokens"], prompt["output_tokens"])
    writer.add("demands", [(place, chain.rung, *asked, demands, rejected, chain.note, *by)])
    slate = msgspec.json.encode(_slate_of(chain))
    writer.hash("slates", slate)
    writer.name([item for item, _, _ in beside.items], _Titles(beside.items))
    kept = msgspec.json.encode(bare_trace(chain)) if chains else None
    writer.add("slates", [(place, slate, *beside.variety, kept)])
    writer.add("timings", [(place, together, *beside.stages)])


def _slate_of(chain: ReplayedTrace) -> Slate:
    """The slate that the storefront reads, out of its chain."""
    return Slate(
        schema=chain.schema,
        version=chain.version,
        trigger=chain.trigger,
        user=chain.user,
        made_at=chain.made_at,
        rung=chain.rung,
        candidates=[
            SlateCandidate(one["item"], one["score"], one["query"], one["why"], one["channel"])
            for one in chain.candidates
        ],
    )


class _Titles:
    """Items with title and category, asked as a catalogue is."""

    def __init__(self, items: Sequence[tuple[str, str, str]]) -> None:
        self._items = items
        self._rows = {item: row for row, (item, _, _) in enumerate(items)}

    def row(self, item_id: str) -> int | None:
        """Its place."""
        return self._rows.get(item_id)

    def title(self, row: int) -> str:
        """Its title."""
        return self._items[row][1]

    def category(self, row: int) -> str:
        """Its category."""
        return self._items[row][2]
