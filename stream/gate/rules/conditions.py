"""Rules made ready for the hot path: which conditions an event counts for, and which rules it fires.

Evaluation is pure and in event time: nothing here reads a clock, so live running, replay and
simulation share it. A condition keeps the last event times that count for it (at most ``count``, or
``at_most + 1``), so whether it holds is one subtraction. Windows reach back from the shopper's newest
event: what has once left a window never counts again, so when it is forgotten changes nothing.
"""

from __future__ import annotations

import zlib
from bisect import insort
from typing import TYPE_CHECKING, NamedTuple

from stream.gate.rules.checks import SHARE_STEPS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stream.events import Event
    from stream.gate.rules.ruleset import Condition, Rule, RuleSet
    from stream.gate.state.activity import Activity

__all__ = ["CompiledRules", "Firing"]

_HOUR_MS = 3_600_000


class Firing(NamedTuple):
    """A rule that an event met. ``ordinal`` counts the rule's firings for this shopper from 1."""

    rule: str
    ordinal: int


class _Counter:
    """One condition of one rule.

    Attributes:
        key: where the shopper's times for it are kept, if it counts per user; the beginning of it otherwise.
        need: it holds when so many of the times are within ``window``, and so many are kept. What decides is the time
            of the need-th newest event; for ``at_most: k``, which must not hold so, of the (k + 1)-th.
    """

    __slots__ = ("at_most", "key", "need", "per", "rule", "scene", "scene_not", "window")

    def __init__(self, rule: _Rule, number: int, digest: str, condition: Condition) -> None:
        self.rule = rule
        self.key = f"{rule.id}.{digest}.{number}"
        self.at_most = condition.count is None
        self.need = condition.count if condition.count is not None else (condition.at_most or 0) + 1
        self.window = condition.within
        self.per = condition.per
        self.scene = condition.scene
        self.scene_not = condition.scene_not

    def slot(self, category: str, session: str | None) -> str:
        """Where the shopper's times for this condition are kept."""
        if self.per == "user":
            return self.key
        return f"{self.key}|{category if self.per == 'category' else session or ''}"

    def takes(self, scene: str | None) -> bool:
        """Whether events of this scene count."""
        if self.scene is not None and scene != self.scene:
            return False
        return self.scene_not is None or scene != self.scene_not

    def holds(self, times: list[int] | None, at: int) -> bool:
        """Whether the condition holds at event time ``at``."""
        reached = times is not None and len(times) >= self.need and at - times[-self.need] <= self.window
        return reached is not self.at_most


class _Rule:
    """One rule, compiled."""

    __slots__ = ("alone", "cooldown", "counters", "every", "hours", "id", "min_gap", "share")

    def __init__(self, rule: Rule) -> None:
        self.id = rule.id
        self.every = rule.when.all is not None
        self.cooldown = rule.cooldown
        self.min_gap = rule.min_gap
        self.share = round(rule.share * SHARE_STEPS)
        self.hours = frozenset(rule.hours) if rule.hours is not None else None
        self.counters = [
            _Counter(self, number, rule.digest, condition)
            for number, condition in enumerate(rule.when.conditions)
        ]
        self.alone = len(self.counters) == 1

    def met(self, activity: Activity, event: Event, category: str) -> bool:
        """Whether the rule's conditions hold, ignoring what may hold it back."""
        counts, at = activity.counts, max(event.ts, activity.last_ts)
        session = event.session_id
        for counter in self.counters:
            if counter.holds(counts.get(counter.slot(category, session)), at) is not self.every:
                return not self.every
        return self.every

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
    """A :class:`~stream.gate.rules.ruleset.RuleSet` indexed by event type.

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
        by_type: dict[str, list[_Counter]] = {}
        for rule in rules.rules:
            for counter, condition in zip(_Rule(rule).counters, rule.when.conditions, strict=True):
                self.windows[counter.key] = counter.window
                for kind in condition.types:
                    by_type.setdefault(kind, []).append(counter)
        scenes = {scene for all_ in by_type.values() for one in all_ for scene in (one.scene, one.scene_not)}
        self._by_type = {
            kind: {scene: tuple(one for one in counters if one.takes(scene)) for scene in scenes | {None}}
            for kind, counters in by_type.items()
        }

    def observe(self, activity: Activity, event: Event, category: str) -> Sequence[Firing]:
        """Count ``event`` in and return the rules it fires, in the order of the file.

        ``activity`` is changed: counts, and for what fired its ordinal, time and sequence.
        """
        counters = self._counters(event.type, event.scene)
        if not counters:
            return ()
        ts, last = event.ts, activity.last_ts
        at = max(last, ts)
        counts = activity.counts
        candidates: list[_Rule] | None = None
        for counter in counters:
            slot = counter.key if counter.per == "user" else counter.slot(category, event.session_id)
            times = counts.get(slot)
            need = counter.need
            if times is None:
                counts[slot] = times = [ts]
            else:
                if ts >= times[-1]:
                    times.append(ts)
                else:
                    insort(times, ts)
                if len(times) > need:
                    del times[0]
            # Under `any`, it is a condition of the event's own that must hold.
            if len(times) == need and at - times[0] <= counter.window and not counter.at_most:
                rule = counter.rule
                if not rule.free(activity, event):
                    continue
                if candidates is None:
                    candidates = [rule]
                elif rule not in candidates:
                    candidates.append(rule)
        if candidates is None:
            return ()
        # Asked again whether it is free: an earlier rule may have fired in between and opened a gap.
        return [
            self._fire(rule, activity, event, category)
            for rule in candidates
            if (rule.alone or rule.met(activity, event, category)) and rule.free(activity, event)
        ]

    def _counters(self, kind: str, scene: str | None) -> tuple[_Counter, ...]:
        """The conditions that an event counts for. Scenes that no rule names are alike."""
        by_scene = self._by_type.get(kind)
        return () if by_scene is None else by_scene.get(scene, by_scene[None])

    def recount(self, activity: Activity, keys: Collection[str], categories: Mapping[str, str]) -> None:
        """Make the counts of the conditions ``keys`` from the shopper's recent events.

        ``categories`` gives the category of an item.
        What the rule has fired on does not count again. Recent events do not know their session, so
        what counts per session begins anew.
        """
        counts = activity.counts
        for recent in activity.recent.decode():
            ts = recent.ts
            for counter in self._counters(recent.type, recent.scene or None):
                if counter.key not in keys or counter.per == "session":
                    continue
                fired = activity.fired.get(counter.rule.id)
                if fired is not None and not counter.at_most and ts <= fired[1]:
                    continue
                slot = counter.slot(categories.get(recent.item_id, ""), None)
                times = counts.setdefault(slot, [])
                times.append(ts)  # recent events ascend in event time
                if len(times) > counter.need:
                    del times[0]

    @staticmethod
    def _fire(rule: _Rule, activity: Activity, event: Event, category: str) -> Firing:
        for counter in rule.counters:
            if not counter.at_most:  # counts start anew; what must be rare goes on being rare
                activity.counts.pop(counter.slot(category, event.session_id), None)
        fired = activity.fired.setdefault(rule.id, [0, 0])
        fired[0] += 1
        fired[1] = max(fired[1], event.ts)
        activity.seq += 1
        activity.last_fired = max(activity.last_fired, event.ts)
        return Firing(rule.id, fired[0])
