"""The simulation: the gate applied to history, once for the rules asked about and once for those in force.

Both gates see the same batches, so their firings are compared batch by batch and none is kept: memory goes
with shoppers and hours, not with events.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.events import DefectiveEventError
from stream.gate.gate import Bounds, Gate, Partition
from stream.gate.rules.conditions import CompiledRules
from stream.gate.state.accounting import Accounting
from stream.simulate.report import Report, changes_of, overlaps_of, rules_of
from stream.simulate.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stream.gate.gate import Arrival
    from stream.gate.rules.ruleset import RuleSet
    from stream.settings import GateSettings
    from stream.simulate.cost import CostMeter
    from stream.simulate.history import History

__all__ = ["Firing", "Simulation", "simulate"]
# New objects between two runs of the garbage collector; Python's own few hundred cost a tenth of the time.
_COLLECT_EVERY = 100_000


class Firing(msgspec.Struct, gc=False):
    """A trigger's head, as the gate encoded it; the snapshot after it is passed over."""

    id: str
    rule: str
    user: str
    seq: int
    event_id: str
    ts: int
    sent_at: int


_decode = msgspec.json.Decoder(Firing).decode


class _Group(NamedTuple):
    """All that one event fired."""

    user: str
    event_id: str
    ts: int
    rules: tuple[str, ...]
    records: tuple[bytes, ...]


class _Side:
    """One rule set with its state and counts."""

    def __init__(
        self, rules: RuleSet, bounds: Bounds, categories: Mapping[str, str] | None, meter: CostMeter
    ) -> None:
        self.rules = CompiledRules(rules)
        self.ids = [rule.id for rule in rules.rules]
        self.gate = Gate(self.rules, bounds, categories)
        self.tally = Tally(self.ids)
        self.meter = meter
        self.events = 0  # that fired any rule
        self._partitions: dict[int, Partition] = {}

    def apply(
        self, number: int, arrivals: Sequence[Arrival], told: Callable[[Firing], None] | None
    ) -> Iterator[_Group]:
        """Apply a batch and yield what it fired, event by event."""
        partition = self.partition(number)
        outcome = self.gate.apply(partition, arrivals, 0)
        partition.dirty.clear()  # nothing is written down here
        group: list[Firing] = []
        records: list[bytes] = []
        for _, record in outcome.triggers:
            firing = _decode(record)
            if told is not None:
                told(firing)
            if group and (group[0].event_id != firing.event_id or group[0].user != firing.user):
                yield _group(group, records)
                group, records = [], []
            group.append(firing)
            records.append(record)
        if group:
            yield _group(group, records)

    def partition(self, number: int) -> Partition:
        """The state of a partition, empty at first."""
        found = self._partitions.get(number)
        if found is None:
            found = self._partitions[number] = Partition(number)
        return found

    def count(self, group: _Group) -> None:
        """Count what one event fired."""
        self.events += 1
        self.tally.add(group.user, group.ts, group.rules)
        for record in group.records:
            self.meter.add(group.user, group.event_id, group.ts, record)

    def forget(self, number: int) -> None:
        """Let go of a partition that is read to its end."""
        self._partitions.pop(number, None)


def _group(firings: list[Firing], records: list[bytes]) -> _Group:
    first = firings[0]
    return _Group(
        first.user, first.event_id, first.ts, tuple(firing.rule for firing in firings), tuple(records)
    )


class Simulation:
    """Counts what rules do, batch by batch. Pure: events are handed in.

    Args:
        rules: the rules asked about, ``against`` those to hold them against, each with its meter of cost.
        gate: bounds as they are live.
        categories: item id to category, as the gate has it live; None without a catalogue.
        told: called with every firing of the rules asked about.
    """

    def __init__(
        self,
        rules: tuple[RuleSet, CostMeter],
        gate: GateSettings,
        *,
        against: tuple[RuleSet, CostMeter] | None = None,
        categories: Mapping[str, str] | None = None,
        told: Callable[[Firing], None] | None = None,
    ) -> None:
        bounds = Bounds.of(gate)
        self._new = _Side(rules[0], bounds, categories, rules[1])
        self._old = _Side(against[0], bounds, categories, against[1]) if against else None
        self._told = told
        self._users: set[str] = set()
        self._gained: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._counts = Accounting()
        self._first: int | None = None
        self._last: int | None = None
        self.warm_up = 0
        self.events = 0

    def apply(self, number: int, arrivals: Sequence[Arrival], *, counts: bool = True) -> None:
        """Apply events of one partition in their order; without ``counts`` they only make the state."""
        if not arrivals:
            return
        self.events += len(arrivals)
        partition = self._new.partition(number)
        before = msgspec.structs.replace(partition.counts)
        new = list(self._new.apply(number, arrivals, self._told if counts else None))
        old = list(self._old.apply(number, arrivals, None)) if self._old else []
        if not counts:
            self.warm_up += len(arrivals)
            return
        self._counts = self._counts + _difference(partition.counts, before)
        self._see(arrivals)
        for group in new:
            self._new.count(group)
        if self._old:
            for group in old:
                self._old.count(group)
            self._compare(new, old)

    def forget(self, number: int) -> None:
        """Let go of the state of a partition that is read to its end."""
        for side in (self._new, self._old):
            if side is not None:
                side.forget(number)

    def report(self, source: str, seconds: float, notes: Sequence[str]) -> Report:
        """What was counted so far."""
        new, old = self._new, self._old
        span = self._last - self._first if self._first is not None and self._last is not None else 0
        return Report(
            source=source,
            rules=new.rules.version,
            against=old.rules.version if old else None,
            first=self._first,
            last=self._last,
            accounting=self._counts,
            warm_up=self.warm_up,
            users=len(self._users),
            reached=len(new.tally.reached()),
            per_rule=rules_of(new.tally, span),
            per_rule_against=rules_of(old.tally, span) if old else [],
            overlaps=overlaps_of(new.tally),
            changes=changes_of(new.tally, old.tally, self._gained, self._lost, (old.events, new.events))
            if old
            else [],
            cost=new.meter.cost(),
            cost_against=old.meter.cost() if old else None,
            seconds=round(seconds, 3),
            events_per_second=round(self.events / max(seconds, 1e-9), 1),
            notes=list(notes),
        )

    def _see(self, arrivals: Sequence[Arrival]) -> None:
        events = [a.event for a in arrivals if not isinstance(a.event, DefectiveEventError)]
        if events:
            self._users.update([event.user_id for event in events])
            times = [event.ts for event in events]
            first, last = min(times), max(times)
            self._first = first if self._first is None else min(self._first, first)
            self._last = last if self._last is None else max(self._last, last)

    def _compare(self, new: list[_Group], old: list[_Group]) -> None:
        after, before = ({(g.user, g.event_id, r) for g in groups for r in g.rules} for groups in (new, old))
        self._gained.update(rule for _, _, rule in after - before)
        self._lost.update(rule for _, _, rule in before - after)
        whole_after, whole_before = ({(g.user, g.event_id) for g in groups} for groups in (new, old))
        self._gained["*"] += len(whole_after - whole_before)
        self._lost["*"] += len(whole_before - whole_after)


def _difference(after: Accounting, before: Accounting) -> Accounting:
    pairs = zip(msgspec.structs.astuple(after), msgspec.structs.astuple(before), strict=True)
    return Accounting(*(a - b for a, b in pairs))


async def simulate(
    simulation: Simulation,
    history: History,
    *,
    counts_from: int | None = None,
    progress: Callable[[int, float | None], None] | None = None,
) -> Report:
    """Run ``history`` through ``simulation``.

    Args:
        simulation: the rules.
        history: the events.
        counts_from: events sent before this (milliseconds) only make the state.
        progress: called now and then with the events read and the share of the whole, where known.
    """
    began = time.perf_counter()
    thresholds = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *thresholds[1:])
    try:
        async for batch in history.batches():
            arrivals = batch.arrivals
            if counts_from is not None:
                # In the merge's order the time of sending never falls, so this cuts a batch in two.
                cut = next((i for i, a in enumerate(arrivals) if a.key[0] >= counts_from), len(arrivals))
                simulation.apply(batch.partition, arrivals[:cut], counts=False)
                arrivals = arrivals[cut:]
            simulation.apply(batch.partition, arrivals)
            if batch.last:
                simulation.forget(batch.partition)
            if progress is not None:
                progress(simulation.events, batch.share)
    finally:
        gc.set_threshold(*thresholds)
    return simulation.report(history.name, time.perf_counter() - began, history.notes)
