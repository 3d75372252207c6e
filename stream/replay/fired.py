"""What a capture's events lead to: the triggers of all partitions in one order, and between them changes of the catalogue.

The gate is applied as it is live. No clock is read: a trigger is made at the time of its event. A partition's rules switch at
the offsets where they switched live, unless rules are given.
"""

from __future__ import annotations

import heapq
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from stream.catalog.record import BadChangeError, decode_changes
from stream.events import DefectiveEventError
from stream.gate.gate import Bounds, Gate, Partition
from stream.gate.rules.conditions import CompiledRules
from stream.gate.state.accounting import Accounting
from stream.replay.order import arrivals_of
from stream.replay.rules_kept import Stretch, stretches_of
from stream.replay.shelf import Shelf
from stream.triggers import Trigger, decode_trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from index.living import Change
    from stream.gate.gate import Arrival, Outcome
    from stream.gate.rules.ruleset import RuleSet
    from stream.replay.capture import Capture
    from stream.replay.manifest import Part
    from stream.replay.rules_kept import RulesKept
    from stream.settings import GateSettings

__all__ = ["Changed", "Did", "Fired", "Firings", "Place", "acts_of", "by_rules", "placed"]

Place: TypeAlias = tuple[int, int, int]
"""Time of sending, partition (-1 for the catalogue), and place among what has both."""

_ACTED = frozenset({"click", "order"})


class Did(NamedTuple):
    """A click or an order: what a shopper really did."""

    user: str
    ts: int
    type: str
    item: str


class Fired(NamedTuple):
    """A trigger in its place."""

    place: Place
    partition: int
    trigger: Trigger


class Changed(NamedTuple):
    """Changes of the catalogue that one record held, in their place."""

    place: Place
    changes: Sequence[Change]


class Firings:
    """Runs a capture through the gate.

    Args:
        capture: the events.
        gate: bounds as they are live.
        rules: the rules to try; None for those recorded, each where it was in force.
        kept: the recorded rules, and ``otherwise`` what counts where no gate has left a boundary.
        otherwise: see ``kept``.
        categories: item id to category, as the gate has it live; None without a catalogue.
        users: only these shoppers.
        did: called with the clicks and orders of each batch.
        known: for each ``TOPIC:PARTITION`` of the catalog topic the first change that the catalogue does not have yet.

    Attributes:
        counts: what became of the events so far.
        bad_changes: records of the catalog topic that are no change.
        events: read so far.
        unseen: of the shoppers asked for, those without an event so far.
    """

    def __init__(
        self,
        capture: Capture,
        gate: GateSettings,
        *,
        rules: RuleSet | None,
        kept: RulesKept,
        otherwise: RuleSet,
        categories: Mapping[str, str] | None = None,
        users: frozenset[str] | None = None,
        did: Callable[[Sequence[Did]], None] | None = None,
        known: Mapping[str, int] | None = None,
    ) -> None:
        self._capture = capture
        self._settings = gate
        self._rules = rules
        self._kept = kept
        self._otherwise = otherwise
        self._gate = Gate(CompiledRules(rules or otherwise), Bounds.of(gate), categories)
        self._users = users
        self._did = did
        self._known = known or {}
        self._done: dict[int, Accounting] = {}
        self.bad_changes = 0
        self.events = 0
        self.unseen = set(users or ())

    @property
    def counts(self) -> Accounting:
        """What became of the events so far."""
        return sum(self._done.values(), Accounting())

    def stream(self, *, catalog: bool = True) -> Iterator[Fired | Changed]:
        """Yield triggers, and changes of the catalogue where wanted, by time, partition and offset.

        Raises:
            CaptureError: a file of the capture is damaged, or lacks the text of its rules.
        """
        parts = self._capture.parts()
        numbers = len(parts)
        # Shoppers in memory are shared out: the cap is the worker's, whatever the number of partitions.
        most = int(self._settings.max_memory_mb * 2**20 / max(numbers, 1))
        streams: list[Iterator[Fired | Changed]] = [
            self._partition(number, found, most) for number, found in parts.items()
        ]
        if catalog:
            streams += [self._changes(part) for part in self._capture.catalog_parts()]
        return heapq.merge(*streams, key=itemgetter(0))

    def _partition(self, number: int, parts: Sequence[Part], most: int) -> Iterator[Fired]:
        partition = Partition(number)
        self._done[number] = partition.counts
        stretches = self._stretches(number)
        with Shelf(most) as shelf:
            at = 0
            for batch in arrivals_of(self._capture, parts, self._settings, self._users):
                self.events += len(batch)
                if self.unseen:
                    self.unseen.difference_update([arrival.event.user_id for arrival in batch])
                if self._did is not None and (did := acts_of(batch)):
                    self._did(did)
                shelf.load(partition, batch)
                for run in by_rules(partition, batch, stretches):
                    for place, trigger in placed(self._gate.apply(partition, run, 0)):
                        yield Fired((place, number, at), number, trigger)
                        at += 1
                shelf.keep(partition)

    def _stretches(self, number: int) -> list[Stretch]:
        if self._rules is not None:
            return []
        return stretches_of(self._kept, number, self._otherwise)

    def _changes(self, part: Part) -> Iterator[Changed]:
        first = self._known.get(f"{part.topic}:{part.partition}", 0)
        at = -1
        for records in self._capture.read(part):
            for record in records:
                if record.offset < first:
                    continue
                # Along a topic the order is that of its offsets, whatever its times say.
                at = max(at, record.timestamp)
                try:
                    changes = decode_changes(record.value)
                except BadChangeError:
                    self.bad_changes += 1
                else:
                    yield Changed((at, -1, part.partition), changes)


def by_rules(
    partition: Partition, batch: Sequence[Arrival], stretches: list[Stretch]
) -> Iterator[Sequence[Arrival]]:
    """The batch in runs of events under the same rules; the partition is brought under each before its run."""
    if not stretches:
        yield batch
        return
    start = 0
    while start < len(batch):
        while len(stretches) > 1 and stretches[1].holds(batch[start]):
            del stretches[0]
        now = stretches[0]
        partition.rules, partition.in_force = now.rules, now.in_force
        end = len(batch)
        if len(stretches) > 1:
            following = stretches[1]
            end = next((at for at in range(start + 1, end) if following.holds(batch[at])), end)
        yield batch[start:end]
        start = end


def placed(outcome: Outcome) -> Iterator[tuple[int, Trigger]]:
    """Each trigger with the time of sending at which its event stands in the order; made when the event happened."""
    for (_, value), fired in zip(outcome.triggers, outcome.fired, strict=True):
        trigger = decode_trigger(value)
        trigger.made_at = trigger.ts
        yield fired.arrival.key[0], trigger


def acts_of(batch: Sequence[Arrival]) -> list[Did]:
    """The clicks and orders of a batch."""
    return [
        Did(event.user_id, event.ts, event.type, event.item_id)
        for arrival in batch
        if not isinstance(event := arrival.event, DefectiveEventError)
        and event.type in _ACTED
        and event.item_id
    ]
