"""What a version of the rules did: triggers a minute before and after it came into force. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.web.chart import Chart, Mark, Series, line_chart
from console.web.live.minutes import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.web.live.minutes import Minute
    from stream.gate.rules.book import Version

__all__ = ["BEFORE_MS", "Effect", "RuleEffect", "effect"]

BEFORE_MS = 30 * MINUTE_MS
"""How much of the time before and after a version is compared."""


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """Triggers of a rule a minute, and events' share that fired it in per mille; None where nothing was watched."""

    rule: str
    before: float | None
    after: float | None
    before_share: float | None
    after_share: float | None


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a version; minutes watched before and after it, and the picture of both."""

    before_minutes: int
    after_minutes: int
    rules: list[RuleEffect]
    chart: Chart | None


def effect(
    version: Version, minutes: Sequence[Minute], until: float, others: Sequence[Version] = ()
) -> Effect:
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
    return Effect(len(before), len(after), rows if before or after else [], chart)


def _row(words: str, before: Sequence[Minute], after: Sequence[Minute], rule: str | None) -> RuleEffect:
    return RuleEffect(
        words, _per_minute(before, rule), _per_minute(after, rule), _share(before, rule), _share(after, rule)
    )


def _per_minute(minutes: Sequence[Minute], rule: str | None) -> float | None:
    return _fired(minutes, rule) / len(minutes) if minutes else None


def _share(minutes: Sequence[Minute], rule: str | None) -> float | None:
    events = sum(one.events.get("received", 0) for one in minutes)
    return 1000 * _fired(minutes, rule) / events if events else None


def _fired(minutes: Sequence[Minute], rule: str | None) -> int:
    if rule is None:
        return sum(sum(one.triggers.values()) for one in minutes)
    return sum(one.triggers.get(rule, 0) for one in minutes)
