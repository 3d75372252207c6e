"""The plain model: what a partition's records must lead to, said again in slow and obvious Python.

It is written from the documents (docs/architecture.md, the comments of the rules file, the docstrings
of what is on the topics) and imports nothing of the product. It keeps every event that counted and looks
through all of them for every answer.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from .judged import Event, Limits

__all__ = ["Book", "Generation", "Shopper", "condition_times", "observe"]

DAY_MS = 86_400_000
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}


@dataclass(frozen=True)
class _Condition:
    types: frozenset[str]
    count: int | None
    at_most: int | None
    within: int
    per: str
    scene: str | None
    scene_not: str | None
    name: tuple[str, str, int]  # rule, what the rule's `when` says, number of the condition

    def about(self, event: Event) -> bool:
        if event.type not in self.types:
            return False
        if self.scene is not None and event.scene != self.scene:
            return False
        return self.scene_not is None or event.scene != self.scene_not

    def group(self, event: Event) -> str:
        """Events of one group are counted together. Without a catalogue no item has a category."""
        return event.session if self.per == "session" else ""


@dataclass(frozen=True)
class _Rule:
    id: str
    all: bool
    conditions: tuple[_Condition, ...]
    cooldown: int
    min_gap: int
    share: float
    hours: frozenset[int] | None


class Book:
    """The rules of a file, in its order."""

    def __init__(self, text: str) -> None:
        self.rules = [_rule(entry) for entry in yaml.safe_load(text)["rules"]]

    def conditions(self) -> list[_Condition]:
        """Every condition of every rule."""
        return [condition for rule in self.rules for condition in rule.conditions]


@dataclass(frozen=True)
class Generation:
    """What a partition is under from a boundary on: the number of changes before, and the rules.

    ``since`` gives for the name of each condition the generation that it has been in force from without a break.
    """

    number: int
    version: int
    book: Book
    since: dict[Any, int]

    @classmethod
    def after(cls, before: Generation | None, number: int, version: int, book: Book) -> Generation:
        """The generation that follows ``before``; the first of a partition follows none."""
        known = before.since if before is not None else {}
        return cls(number, version, book, {c.name: known.get(c.name, number) for c in book.conditions()})


def _rule(entry: dict[str, Any]) -> _Rule:
    when = entry["when"]
    if "all" not in when and "any" not in when:
        when = {"all": [when]}
    said = json.dumps(when, sort_keys=True)
    conditions = tuple(
        _Condition(
            frozenset(c["types"]),
            c.get("count"),
            c.get("at_most"),
            _duration(c["within"]),
            c.get("per", "user"),
            c.get("scene"),
            c.get("scene_not"),
            (entry["id"], said, number),
        )
        for number, c in enumerate(when.get("all") or when["any"])
    )
    hours = None
    if "hours" in entry:
        first, last = map(int, entry["hours"].split("-"))
        hours = frozenset(range(first, last) if first < last else [*range(first, 24), *range(last)])
    return _Rule(
        entry["id"],
        "all" in when,
        conditions,
        _duration(entry.get("cooldown", "0s")),
        _duration(entry.get("min_gap", "0s")),
        entry.get("share", 1.0),
        hours,
    )


def _duration(text: str) -> int:
    return round(sum(float(n) * UNITS[unit] for n, unit in re.findall(r"([\d.]+)(ms|[smhdw])", text)))


@dataclass
class Shopper:
    """All that is known of a shopper.

    Attributes:
        recent: the newest events by event time, oldest first; of equal times the earlier applied first.
        orders: every order: (week, cents, quantity).
        under: the rules of the last event.
        counted: (condition, group) to the times of the events that count for it.
        fired: rule to its firings: (ordinal, event time of the latest).
    """

    user: str
    under: Generation
    recent: list[Event] = field(default_factory=list)
    orders: list[tuple[int, int, int]] = field(default_factory=list)
    counted: dict[tuple[Any, str], list[int]] = field(default_factory=dict)
    fired: dict[str, tuple[int, int]] = field(default_factory=dict)
    seq: int = 0
    last_ts: int = 0
    last_fired: int = 0

    def fate(self, event: Event, limits: Limits) -> str:
        """``applied``, ``duplicate`` or ``late``."""
        if any(known.event_id == event.event_id for known in self.recent):
            return "duplicate"
        if event.ts < self.last_ts - limits.lateness_ms:
            return "late"
        full = len(self.recent) >= limits.recent_events
        if event.ts < self.last_ts and full and event.ts < self.recent[0].ts:
            return "late"
        return "applied"

    def bring_under(self, rules: Generation) -> None:
        """Come under changed rules: what stayed goes on counting, what is new counts the recent events.

        Not those that the rule has fired on, and none per session, which recent events do not know.
        """
        known, self.under = self.under.number, rules
        if rules.number <= known:
            return
        for name, group in list(self.counted):
            if rules.since.get(name, rules.number) > known:
                del self.counted[name, group]
        for condition in rules.book.conditions():
            if rules.since[condition.name] <= known or condition.per == "session":
                continue
            fired = self.fired.get(condition.name[0])
            for event in self.recent:
                if condition.about(event) and (
                    condition.at_most is not None or not fired or event.ts > fired[1]
                ):
                    self.counted.setdefault((condition.name, ""), []).append(event.ts)

    def ledger(self, weeks: int) -> list[list[Any]]:
        """Purchases by week, oldest first: [week, category, cents, quantity, lines]."""
        oldest = _week(self.last_ts) - weeks
        kept = [order for order in self.orders if order[0] >= oldest]
        return [
            [
                week,
                "",
                sum(cents for w, cents, _ in kept if w == week),
                sum(quantity for w, _, quantity in kept if w == week),
                sum(1 for w, _, _ in kept if w == week),
            ]
            for week in sorted({w for w, _, _ in kept})
        ]


def _week(ts: int) -> int:
    """Mondays since 1970, whose first of January was a Thursday."""
    return (ts // DAY_MS + 3) // 7


def condition_times(shopper: Shopper) -> dict[tuple[str, int, str], list[int]]:
    """Of each condition in force what can still matter: its newest times within its window."""
    found = {}
    for condition in shopper.under.book.conditions():
        enough = condition.count if condition.at_most is None else condition.at_most + 1
        for (name, group), times in shopper.counted.items():
            live = sorted(t for t in times if t >= shopper.last_ts - condition.within)[-(enough or 0) :]
            if name == condition.name and live:
                found[condition.name[0], condition.name[2], group] = live
    return found


def observe(
    shopper: Shopper, event: Event, rules: Generation, limits: Limits, sent_at: int
) -> list[dict[str, Any]]:
    """Apply an event to a shopper; return the triggers that must come of it."""
    now = max(shopper.last_ts, event.ts)
    shopper.bring_under(rules)
    for condition in rules.book.conditions():
        if condition.about(event):
            shopper.counted.setdefault((condition.name, condition.group(event)), []).append(event.ts)
    fired = []
    for rule in rules.book.rules:
        own = [c for c in rule.conditions if c.at_most is None and c.about(event)]
        met = [_holds(shopper, c, event, now) for c in rule.conditions]
        if not any(_holds(shopper, c, event, now) for c in own):
            continue
        if not (all(met) if rule.all else any(met)) or _held_back(shopper, rule, event):
            continue
        for condition in rule.conditions:
            if condition.at_most is None:
                shopper.counted.pop((condition.name, condition.group(event)), None)
        ordinal, latest = shopper.fired.get(rule.id, (0, 0))
        shopper.fired[rule.id] = (ordinal + 1, max(latest, event.ts))
        shopper.last_fired = max(shopper.last_fired, event.ts)
        shopper.seq += 1
        fired.append((rule.id, ordinal + 1, shopper.seq))
    shopper.last_ts = now
    place = len(shopper.recent)
    while place and shopper.recent[place - 1].ts > event.ts:
        place -= 1
    shopper.recent.insert(place, event)
    del shopper.recent[: -limits.recent_events]
    if event.type == "order":
        shopper.orders.append((_week(event.ts), event.cents, event.quantity or 1))
    return [
        {
            "id": hashlib.blake2b(f"{shopper.user}\0{rule}\0{ordinal}".encode(), digest_size=10).hexdigest(),
            "rule": rule,
            "rules": rules.version,
            "user": shopper.user,
            "seq": seq,
            "event_id": event.event_id,
            "ts": event.ts,
            "sent_at": sent_at,
            "recent": [known.recent() for known in shopper.recent],
            "ledger": shopper.ledger(limits.ledger_weeks),
        }
        for rule, ordinal, seq in fired
    ]


def _holds(shopper: Shopper, condition: _Condition, event: Event, now: int) -> bool:
    times = shopper.counted.get((condition.name, condition.group(event)), [])
    inside = sum(1 for t in times if now - t <= condition.within)
    if condition.at_most is not None:
        return inside <= condition.at_most
    return inside >= (condition.count or 0)


def _held_back(shopper: Shopper, rule: _Rule, event: Event) -> bool:
    latest = shopper.fired.get(rule.id)
    if rule.cooldown and latest and event.ts - latest[1] < rule.cooldown:
        return True
    if rule.min_gap and shopper.seq and event.ts - shopper.last_fired < rule.min_gap:
        return True
    if rule.hours is not None and event.ts // 3_600_000 % 24 not in rule.hours:
        return True
    return zlib.crc32(f"{rule.id}\0{event.user}".encode()) % 10_000 >= round(rule.share * 10_000)
