"""The gate: a batch of one partition's events in, triggers and dead events out.

Pure: no broker, no Redis, no clock. What it changes is the partition's state in memory, and that is
a function of the events applied, in their order. The shell around it is :mod:`stream.gate.agent`.
"""

from __future__ import annotations

from collections.abc import Sequence  # msgspec resolves the annotation at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

import msgspec

from stream.dead import Origin, dead_record
from stream.events import Defect, DefectiveEventError, Event
from stream.gate.rules.in_force import bring_under
from stream.gate.state.accounting import Accounting
from stream.gate.state.activity import Activity
from stream.gate.state.recent import fingerprint
from stream.triggers import encode_trigger, trigger_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.gate.rules.conditions import CompiledRules
    from stream.gate.rules.in_force import InForce
    from stream.settings import GateSettings

__all__ = ["Arrival", "Bounds", "Fired", "Gate", "MergeKey", "Outcome", "Partition"]

# Conditions per category or session have counts for every category and session. A shopper with more than these has
# those that no longer matter forgotten whenever there is a new one.
_MOST_COUNTS = 16

# Memory of a shopper beside the bytes of the state, and as much again while changed and not written down
# (bench/gate/million.py).
_SHOPPER_BYTES = 4_000

MergeKey: TypeAlias = tuple[int, int]  # when the record was sent, event time; both in milliseconds


class Arrival(msgspec.Struct, gc=False):
    """One record of an event topic, decoded.

    ``key`` is its place in the merge of the partition's topics (:mod:`stream.gate.merge`); it never
    falls along a topic. ``event`` is what it says, or what is wrong with it. ``headers`` are the record's,
    where traces are wanted.
    """

    key: MergeKey
    topic: str
    offset: int
    event: Event | DefectiveEventError
    value: bytes | None
    sent_at: int
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits the gate keeps; see ``GateSettings`` for their meaning."""

    lateness_ms: int
    recent_events: int
    ledger_weeks: int
    user_events_per_minute: int

    @classmethod
    def of(cls, settings: GateSettings) -> Self:
        """The limits that the settings say: the same for a worker, a simulation and a replay."""
        return cls(
            int(settings.lateness_s * 1000),
            settings.recent_events,
            settings.ledger_weeks,
            settings.user_events_per_minute,
        )


@dataclass(slots=True)
class Partition:
    """State of one partition, owned by one worker.

    Attributes:
        number: the partition, the same on all event topics.
        epoch: the owner's generation, by which checkpoints are fenced.
        users: shoppers in memory, the least recently written down first.
        state_bytes: what their states take, not compressed, as last written or read.
        dirty: shoppers changed since the last checkpoint.
        offsets: per topic the offset of the next event to apply.
        counts: what became of the partition's events.
        rules: the rules it is evaluated by, and ``in_force`` since where; without, the gate's own.
        settled: whether all that an earlier owner may have applied is applied again.
    """

    number: int
    epoch: int = 0
    users: dict[str, Activity] = field(default_factory=dict)
    state_bytes: int = 0
    dirty: set[str] = field(default_factory=set)
    offsets: dict[str, int] = field(default_factory=dict)
    counts: Accounting = field(default_factory=Accounting)
    rules: CompiledRules | None = None
    in_force: InForce | None = None
    settled: bool = False

    @property
    def memory_bytes(self) -> int:
        """About how much memory the shoppers take."""
        return self.state_bytes + _SHOPPER_BYTES * (len(self.users) + len(self.dirty))

    def written(self) -> None:
        """Take note that the changed shoppers are written down: they are the most recently active now."""
        for user in self.dirty:
            self.users[user] = self.users.pop(user)
        self.dirty.clear()

    def forget_idle(self, surplus: int) -> None:
        """Forget the least recently active shoppers, until ``surplus`` bytes are free; the changed ones stay."""
        idle = []
        for user, activity in self.users.items():
            if surplus <= 0:
                break
            if user not in self.dirty:
                idle.append(user)
                surplus -= activity.size + _SHOPPER_BYTES
        for user in idle:
            self.state_bytes -= self.users.pop(user).size


class Fired(NamedTuple):
    """Which rule a trigger is of, its id, and the event that it fired on."""

    rule: str
    trigger: str
    arrival: Arrival


@dataclass(slots=True)
class Outcome:
    """What a batch led to, as (key, value) of the records to publish: triggers by shopper, dead events without key.

    ``fired`` says of each trigger, and ``reasons`` of each dead event, what it comes from.
    """

    triggers: list[tuple[bytes | None, bytes]] = field(default_factory=list)
    dead: list[tuple[bytes | None, bytes]] = field(default_factory=list)
    fired: list[Fired] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


class Gate:
    """Applies batches to partitions.

    Args:
        rules: the rules of partitions that have none of their own.
        bounds: lateness and sizes.
        categories: item id to category for every item of the catalogue; None if the gate knows no
            catalogue, and then every item is taken as it comes.
    """

    def __init__(
        self, rules: CompiledRules, bounds: Bounds, categories: Mapping[str, str] | None = None
    ) -> None:
        self.rules = rules
        self._bounds = bounds
        self._categories = categories

    def apply(self, partition: Partition, batch: Sequence[Arrival], now: int) -> Outcome:
        """Apply ``batch`` in its order; ``now`` is the wall clock in milliseconds.

        Every shopper of the batch whose state exists must be in ``partition.users`` already.
        """
        outcome = Outcome()
        counts = partition.counts
        counts.received += len(batch)
        for arrival in batch:
            event = arrival.event
            if isinstance(event, DefectiveEventError):
                self._bury(partition, arrival, event.defect, event.detail, now, outcome)
            else:
                try:
                    self._apply_one(partition, arrival, event, now, outcome)
                except Exception as error:  # noqa: BLE001  # one event must not stop a partition
                    detail = f"{type(error).__name__}: {error}"
                    self._bury(partition, arrival, Defect.GATE_ERROR, detail, now, outcome)
            partition.offsets[arrival.topic] = arrival.offset + 1
        counts.applied = counts.received - counts.duplicate - counts.late - counts.dead
        return outcome

    def _apply_one(
        self, partition: Partition, arrival: Arrival, event: Event, now: int, outcome: Outcome
    ) -> None:
        bounds = self._bounds
        user, ts, event_id = event.user_id, event.ts, event.event_id
        activity = partition.users.get(user)
        if activity is None:
            activity = partition.users[user] = Activity()
        print_ = fingerprint(event_id)
        if print_ in activity.recent.seen and activity.recent.has(event_id):
            partition.counts.duplicate += 1
            return
        if ts < activity.last_ts and (
            ts < activity.last_ts - bounds.lateness_ms or activity.too_old_to_know(ts, bounds.recent_events)
        ):
            partition.counts.late += 1
            return
        partition.dirty.add(user)
        if activity.beyond(ts, bounds.user_events_per_minute):
            partition.counts.limited += 1
            return
        category = ""
        item = event.item_id
        if item and self._categories is not None:
            known = self._categories.get(item)
            if known is None:  # an item the catalogue does not have: the event counts, the item does not
                event.item_id = None
                partition.counts.fields_dropped += 1
            else:
                category = known
        cents = round(event.amount * 100) if event.amount else 0
        rules, in_force = partition.rules or self.rules, partition.in_force
        if in_force is not None and activity.built < in_force.generation:
            bring_under(rules, in_force.generation, in_force.since, activity, self._categories or {})
        before = len(activity.counts)
        fired = rules.observe(activity, event, category)
        if len(activity.counts) > max(before, _MOST_COUNTS):
            activity.sweep(rules.windows)
        activity.remember(event, cents, print_, bounds.recent_events)
        if event.type == "order":
            activity.enter(ts, category, cents, event.quantity or 1, bounds.ledger_weeks)
        if fired:
            recent = b"[%b]" % activity.recent.lines()
            ledger = activity.ledger_json(bounds.ledger_weeks)
            first = activity.seq - len(fired) + 1
            key = user.encode()
            for place, firing in enumerate(fired):
                head: dict[str, object] = {
                    "id": (id_ := trigger_id(user, firing.rule, firing.ordinal)),
                    "rule": firing.rule,
                    "rules": rules.version,
                    "user": user,
                    "seq": first + place,
                    "event_id": event.event_id,
                    "ts": ts,
                    "sent_at": arrival.sent_at,
                    "made_at": now,
                }
                outcome.triggers.append((key, encode_trigger(head, recent, ledger)))
                outcome.fired.append(Fired(firing.rule, id_, arrival))
            partition.counts.triggers += len(fired)

    @staticmethod
    def _bury(
        partition: Partition, arrival: Arrival, reason: str, detail: str, now: int, outcome: Outcome
    ) -> None:
        partition.counts.dead += 1
        origin = Origin(arrival.topic, partition.number, arrival.offset)
        outcome.dead.append((None, dead_record(arrival.value, origin, reason, detail, now)))
        outcome.reasons.append(reason)
