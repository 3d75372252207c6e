"""What the gate counts beside its accounting, and its numbers as metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stream.metrics.latency import Latency
from stream.metrics.minutes import Count
from stream.metrics.readings import bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stream.gate.agent import GateAgent
    from stream.gate.gate import Outcome
    from stream.gate.rules.live import LiveRules
    from stream.gate.source import EventSource
    from stream.gate.state.accounting import Accounting
    from stream.metrics.readings import Readings

__all__ = ["GateReadings", "GateTally"]

_OUTCOMES = ("applied", "duplicate", "late", "dead")
_KINDS = ("received", *_OUTCOMES, "triggers")


class GateTally:
    """Counts what triggers, dead events and checkpoints there were; an event that is neither costs nothing.

    Attributes:
        fired: triggers by rule.
        dead: dead events by reason.
        to_trigger: from event to trigger.
        checkpoints: how long they took.
        evicted: shoppers forgotten to stay within the memory.
    """

    def __init__(self) -> None:
        self.fired: dict[str, int] = {}
        self.dead: dict[str, int] = {}
        self.to_trigger = Latency()
        self.checkpoints = Latency()
        self.evicted = 0

    def batch(self, outcome: Outcome, now: int) -> None:
        """Count what a batch led to at the time ``now`` (wall clock, milliseconds)."""
        for firing in outcome.fired:
            bounded(self.fired, firing.rule)
            self.to_trigger.note((now - firing.arrival.sent_at) / 1000)
        self._reasons(outcome.reasons)

    def _reasons(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            bounded(self.dead, str(reason))


class GateReadings:
    """Reads the gate's numbers when they are asked for."""

    def __init__(self, agent: GateAgent, source: EventSource, rules: LiveRules) -> None:
        self._agent = agent
        self._source = source
        self._rules = rules

    def __call__(self, readings: Readings) -> None:
        """Put the numbers of now into ``readings``."""
        self._partitions(readings)
        agent, tally, say = self._agent, self._agent.tally, readings.say
        for (topic, partition), lag in self._source.lags().items():
            say("nearline_event_lag", lag, topic=topic, partition=str(partition))
        readings.say_all("nearline_cloud_events_total", self._source.cloud_events(), "topic")
        readings.say_all("nearline_dead_events_total", tally.dead, "reason")
        readings.say_all("nearline_triggers_total", tally.fired, "rule")
        readings.times("nearline_event_to_trigger_seconds", tally.to_trigger)
        say("nearline_events_waiting", self._source.waiting)
        say("nearline_records_unacknowledged", agent.unacknowledged)
        if agent.checkpointed_at is not None:
            say("nearline_checkpoint_age_seconds", max(time.monotonic() - agent.checkpointed_at, 0.0))
        readings.times("nearline_checkpoint_seconds", tally.checkpoints)
        say("nearline_checkpoint_bytes_total", agent.store.bytes_written)
        say("nearline_checkpoint_states_total", agent.store.states_written)
        say("nearline_users_memory_bytes", agent.memory_bytes)
        say("nearline_users_evicted_total", tally.evicted)
        say("nearline_rules_version", self._rules.newest.number)
        say("nearline_rules_refused", float(self._rules.refused is not None))

    def by_minute(self) -> Iterator[Count]:
        """The counts that are kept by the minute."""
        for number in self._agent.partitions:
            since = self._agent.counted_since(number)
            for name in ("received", *_OUTCOMES):
                yield Count("events", name, getattr(since, name), str(number))
        for rule, fired in self._agent.tally.fired.items():
            yield Count("triggers", rule, fired)

    def _partitions(self, readings: Readings) -> None:
        say = readings.say
        for number, partition in sorted(self._agent.partitions.items()):
            name, counts = str(number), partition.counts
            since = self._agent.counted_since(number)
            say("nearline_events_received_total", since.received, partition=name)
            for outcome in _OUTCOMES:
                say("nearline_events_total", getattr(since, outcome), partition=name, outcome=outcome)
            say("nearline_events_limited_total", since.limited, partition=name)
            say("nearline_event_fields_dropped_total", since.fields_dropped, partition=name)
            for kind in _KINDS:
                say("nearline_accounting", getattr(counts, kind), partition=name, kind=kind)
            say("nearline_accounting_holds", float(self._holds(number, counts, since)), partition=name)
            say("nearline_users_in_memory", len(partition.users), partition=name)
            if partition.rules is not None:
                say("nearline_rules_version_in_force", partition.rules.number, partition=name)

    def _holds(self, number: int, counts: Accounting, since: Accounting) -> bool:
        """Whether all is accounted for, and no more than the source has read, which counts for itself."""
        read = self._source.read_since(number)
        return counts.balanced and (read is None or since.received <= read)
