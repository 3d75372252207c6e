"""What a version of the rules did: triggers and slates a minute before and after it came into force. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.web.chart import Chart, Mark, Series, line_chart
from console.web.live.minutes import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from console.web.live.minutes import At
    from stream.gate.rules.book import Version

__all__ = ["BEFORE_MS", "Effect", "RuleEffect", "ShownEffect", "breadth_of", "effect", "share_of_places"]

BEFORE_MS = 30 * MINUTE_MS
"""How much of the time before and after a version is compared."""
_MODEL = "llm"


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """Triggers of a rule a minute, and events' share that fired it in per mille; None where nothing was counted."""

    rule: str
    before: float | None
    after: float | None
    before_share: float | None
    after_share: float | None


@dataclass(frozen=True, slots=True)
class ShownEffect:
    """A figure of what shoppers were shown, before and after; ``share`` where it is one of 1."""

    name: str
    before: float | None
    after: float | None
    share: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a version; minutes counted before and after it, and the picture of both."""

    before_minutes: int
    after_minutes: int
    rules: list[RuleEffect]
    shown: list[ShownEffect]
    chart: Chart | None


def effect(version: Version, minutes: Sequence[At], until: float, others: Sequence[Version] = ()) -> Effect:
    """The effect of ``version`` by the minutes around it, up to ``until`` (milliseconds; the next version, or now).

    The minute in which it came belongs to neither side.
    """
    start = version.at - BEFORE_MS
    before = [one for one in minutes if start <= one.at and one.at + MINUTE_MS <= version.at]
    after = [one for one in minutes if version.at <= one.at and one.at + MINUTE_MS <= until]
    names = sorted({rule for one in (*before, *after) for rule in one.triggers})
    rows = [_row("all rules", before, after, None), *(_row(name, before, after, name) for name in names)]
    near = [one for one in minutes if start <= one.at <= until]
    chart = None
    if len(near) > 1:
        series = [
            Series(
                name, [(one.at + MINUTE_MS / 2, float(one.triggers.get(name, 0))) for one in near], place % 8
            )
            for place, name in enumerate(names)
        ]
        marks = [Mark(one.at, f"v{one.number}") for one in (version, *others)]
        chart = line_chart(series, near[0].at, until, marks=marks)
    known = bool(before or after)
    return Effect(
        len(before), len(after), rows if known else [], _shown(before, after) if known else [], chart
    )


def share_of_places(minutes: Sequence[At], kind: str) -> float | None:
    """The share of places with a ``kind`` of discovery; None without places."""
    places = sum(one.places for one in minutes)
    return sum(one.discovery.get(kind, 0) for one in minutes) / places if places else None


def breadth_of(minutes: Sequence[At]) -> float | None:
    """Categories of a slate, in the mean; None without slates."""
    slates = sum(sum(one.breadth.values()) for one in minutes)
    wide = sum(
        int(name) * count for one in minutes for name, count in one.breadth.items() if name.isdecimal()
    )
    return wide / slates if slates else None


def _shown(before: Sequence[At], after: Sequence[At]) -> list[ShownEffect]:
    def sides(name: str, of: Callable[[Sequence[At]], float | None], *, share: bool = False) -> ShownEffect:
        return ShownEffect(name, of(before), of(after), share)

    return [
        sides("slates a minute", lambda side: sum(one.made for one in side) / len(side) if side else None),
        sides("slates from the language model", _by_the_model, share=True),
        sides("places with an item new to the shop", lambda side: share_of_places(side, "new"), share=True),
        sides(
            "places of a category new to the shopper",
            lambda side: share_of_places(side, "unseen_category"),
            share=True,
        ),
        sides("categories of a slate", breadth_of),
    ]


def _by_the_model(side: Sequence[At]) -> float | None:
    made = sum(one.made for one in side)
    return sum(one.slates.get(_MODEL, 0) for one in side) / made if made else None


def _row(words: str, before: Sequence[At], after: Sequence[At], rule: str | None) -> RuleEffect:
    return RuleEffect(
        words, _per_minute(before, rule), _per_minute(after, rule), _share(before, rule), _share(after, rule)
    )


def _per_minute(minutes: Sequence[At], rule: str | None) -> float | None:
    return _fired(minutes, rule) / len(minutes) if minutes else None


def _share(minutes: Sequence[At], rule: str | None) -> float | None:
    events = sum(one.events.get("received", 0) for one in minutes)
    return 1000 * _fired(minutes, rule) / events if events else None


def _fired(minutes: Sequence[At], rule: str | None) -> int:
    if rule is None:
        return sum(sum(one.triggers.values()) for one in minutes)
    return sum(one.triggers.get(rule, 0) for one in minutes)
