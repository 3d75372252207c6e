"""Rules made ready for the hot path: which conditions an event counts for, and which rules it fires.

Evaluation is pure and in event time: nothing here reads a clock, so live running, replay and
simulation share it. A condition keeps the last event times that count for it (at most ``count``, or
``at_most + 1``), so whether it holds is one subtraction. Windows reach back from the shopper's newest
event: what has once left a window never counts again, so when it is forgotten changes nothing.
"""

from __future__ import annotations

import zlib
from bisect import insort
from typing import TYPE_CHECKING, Literal, NamedTuple

from stream.gate.activity import decode_recent
from stream.gate.rule_checks import SHARE_STEPS

if TYPE_CHECKING:
    from collections.abc import Collection

    from stream.events import Event
    from stream.gate.activity import Activity
    from stream.gate.rules import Rule, RuleSet

__all__ = ["CompiledRules", "Firing"]

_HOUR_MS = 3_600_000


class Firing(NamedTuple):
    """A rule that an event met. ``ordinal`` counts the rule's firings for this shopper from 1."""

    rule: str
    ordinal: int


class _Counter:
    """One condition of one rule."""

    __slots__ = ("at_most", "keep", "key", "need", "per", "rule", "scene", "scene_not", "window")

    def __init__(self, rule: _Rule, key: str, need: int, window: int, *, at_most: bool) -> None:
        self.rule = rule
        self.key = key
        self.at_most = at_most
        # What decides is the time of the need-th newest event: for `at_most: k` the (k + 1)-th.
        self.need = need + 1 if at_most else need
        self.keep = self.need
        self.window = window
        self.per: Literal["user", "category", "session"] = "user"
        self.scene: str | None = None
        self.scene_not: str | None = None

    def slot(self, event: Event, category: str) -> str:
        """Where the shopper's times for this condition are kept."""
        if self.per == "user":
            return self.key
        return f"{self.key}|{category if self.per == 'category' else event.session_id or ''}"

    def holds(self, times: list[int] | None, at: int) -> bool:
        """Whether the condition holds at event time ``at``."""
        reached = times is not None and len(times) >= self.need and at - times[-self.need] <= self.window
        return reached is not self.at_most


class _Rule:
    """One rule, compiled."""

    __slots__ = ("cooldown", "counters", "every", "hours", "id", "min_gap", "share")

    def __init__(self, rule: Rule) -> None:
        self.id = rule.id
        self.every = rule.when.all is not None
        self.cooldown = rule.cooldown
        self.min_gap = rule.min_gap
        self.share = round(rule.share * SHARE_STEPS)
        self.hours = frozenset(rule.hours) if rule.hours is not None else None
        self.counters: list[_Counter] = []
        for number, condition in enumerate(rule.when.conditions):
            need = condition.count if condition.count is not None else condition.at_most
            counter = _Counter(
                self,
                f"{rule.id}.{rule.digest}.{number}",
                need or 0,
                condition.within,
                at_most=condition.count is None,
            )
            counter.per = condition.per
            counter.scene = condition.scene
            counter.scene_not = condition.scene_not
            self.counters.append(counter)

    def met(self, activity: Activity, event: Event, category: str) -> bool:
        """Whether the rule's conditions hold, ignoring what may hold it back."""
        counts, at = activity.counts, max(event.ts, activity.last_ts)
        results = (counter.holds(counts.get(counter.slot(event, category)), at) for counter in self.counters)
        return all(results) if self.every else any(results)

    def free(self, activity: Activity, event: Event) -> bool:
        """Whether nothing holds the rule back: cooldown, gap, hours, share."""
        ts = event.ts
        if self.cooldown:
            fired = activity.fired.get(self.id)
            if fired is not None and ts - fired[1] < self.cooldown:
                return False
        if self.min_gap and activity.seq and ts - activity.last_fired < self.min_gap:
            return False
        if self.hours is not None and ts // _HOUR_MS % 24 not in self.hours:
            return False
        if self.share < SHARE_STEPS:
            bucket = zlib.crc32(f"{self.id}\0{event.user_id}".encode()) % SHARE_STEPS
            return bucket < self.share
        return True


class CompiledRules:
    """A :class:`~stream.gate.rules.RuleSet` indexed by event type.

    Attributes:
        number: version in the book of rules; 0 for a rules file.
        digest: the rule set's digest.
        version: what triggers carry: ``NUMBER:DIGEST``, or the digest alone for a rules file.
        windows: window in milliseconds by condition key.
    """

    def __init__(self, rules: RuleSet, number: int = 0) -> None:
        self.number = number
        self.digest = rules.digest
        self.version = f"{number}:{rules.digest}" if number else rules.digest
        self.windows: dict[str, int] = {}
        self._by_type: dict[str, tuple[_Counter, ...]] = {}
        by_type: dict[str, list[_Counter]] = {}
        for rule in rules.rules:
            compiled = _Rule(rule)
            for counter, condition in zip(compiled.counters, rule.when.conditions, strict=True):
                self.windows[counter.key] = counter.window
                for kind in condition.types:
                    by_type.setdefault(kind, []).append(counter)
        self._by_type = {kind: tuple(counters) for kind, counters in by_type.items()}

    def observe(self, activity: Activity, event: Event, category: str) -> list[Firing]:
        """Count ``event`` in and return the rules it fires, in the order of the file.

        ``activity`` is changed: counts, and for what fired its ordinal, time and sequence.
        """
        counters = self._by_type.get(event.type)
        if counters is None:
            return []
        ts = event.ts
        at = max(ts, activity.last_ts)
        counts = activity.counts
        candidates: list[_Rule] | None = None
        for counter in counters:
            if counter.scene is not None and event.scene != counter.scene:
                continue
            if counter.scene_not is not None and event.scene == counter.scene_not:
                continue
            slot = counter.key if counter.per == "user" else counter.slot(event, category)
            times = counts.get(slot)
            if times is None:
                counts[slot] = times = [ts]
            else:
                if ts >= times[-1]:
                    times.append(ts)
                else:
                    insort(times, ts)
                if len(times) > counter.keep:
                    del times[0]
            # Under `any`, it is a condition of the event's own that must hold.
            if not counter.at_most and counter.holds(times, at):
                rule = counter.rule
                if candidates is None:
                    candidates = [rule]
                elif rule not in candidates:
                    candidates.append(rule)
        if candidates is None:
            return []
        return [
            self._fire(rule, activity, event, category)
            for rule in candidates
            if rule.met(activity, event, category) and rule.free(activity, event)
        ]

    def recount(self, activity: Activity, keys: Collection[str]) -> None:
        """Make the counts of the conditions ``keys`` from the shopper's recent events.

        What the rule has fired on does not count again. Recent events do not know their session, so
        what counts per session begins anew.
        """
        counts = activity.counts
        for ts, fragment in activity.ring.values():
            recent = decode_recent(fragment)
            for counter in self._by_type.get(recent.type, ()):
                if counter.key not in keys or counter.per == "session":
                    continue
                scene = recent.scene or None
                if counter.scene is not None and scene != counter.scene:
                    continue
                if counter.scene_not is not None and scene == counter.scene_not:
                    continue
                fired = activity.fired.get(counter.rule.id)
                if fired is not None and not counter.at_most and ts <= fired[1]:
                    continue
                slot = counter.key if counter.per == "user" else f"{counter.key}|{recent.category}"
                times = counts.setdefault(slot, [])
                times.append(ts)  # the ring ascends in event time
                if len(times) > counter.keep:
                    del times[0]

    @staticmethod
    def _fire(rule: _Rule, activity: Activity, event: Event, category: str) -> Firing:
        for counter in rule.counters:
            if not counter.at_most:  # counts start anew; what must be rare goes on being rare
                activity.counts.pop(counter.slot(event, category), None)
        fired = activity.fired.setdefault(rule.id, [0, 0])
        fired[0] += 1
        fired[1] = max(fired[1], event.ts)
        activity.seq += 1
        activity.last_fired = max(activity.last_fired, event.ts)
        return Firing(rule.id, fired[0])
