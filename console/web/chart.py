"""Figures as lines and bars: coordinates for the SVG that the templates draw. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.web.words import NOTHING, amount, rate, when

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Bar", "Chart", "Line", "Mark", "Series", "bars", "line_chart", "sparkline"]

WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 16, 30
_TICKS = 4
_MOST_SERIES = 8
_STEPS_MS = (60_000, 300_000, 900_000, 1_800_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000)


@dataclass(frozen=True, slots=True)
class Series:
    """What a line shows: its name, and (time in milliseconds, value) ascending. ``dashed`` for what was before.

    ``unit`` stands behind the newest value.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    dashed: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth a line of its own."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A series as drawn: ``points`` for a polyline; ``last`` its newest value in words."""

    name: str
    colour: int
    dashed: bool
    points: str
    last: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as drawn, in a box of ``width`` by ``height``; ticks and marks are (place, label)."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    marks: list[tuple[float, str]]
    empty: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of 0 to 100 beside its name."""

    name: str
    width: float
    value: str
    colour: int = 0


def line_chart(
    series: Sequence[Series], start: float, end: float, *, marks: Sequence[Mark] = (), least: float = 1.0
) -> Chart:
    """Lines from ``start`` to ``end`` (milliseconds), from zero up; ``least`` is the lowest top of the scale.

    At most the eight series with the largest sums are drawn.
    """
    chosen = sorted(series, key=lambda one: -sum(value for _, value in one.points))[:_MOST_SERIES]
    chosen.sort(key=lambda one: (one.name, one.dashed))
    end = max(end, start + 1)
    top = _round_up(max([least, *(value for one in chosen for _, value in one.points)]))
    across, down = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(at: float) -> float:
        return round(_LEFT + across * (min(max(at, start), end) - start) / (end - start), 1)

    def y(value: float) -> float:
        return round(_TOP + down * (1 - value / top), 1)

    lines = [
        Line(
            one.name,
            one.colour,
            one.dashed,
            " ".join(f"{x(at)},{y(value)}" for at, value in one.points),
            rate(one.points[-1][1]) + one.unit if one.points else NOTHING,
        )
        for one in chosen
    ]
    return Chart(
        WIDTH,
        HEIGHT,
        _LEFT,
        WIDTH - _RIGHT,
        _TOP,
        HEIGHT - _BOTTOM,
        lines,
        [(x(at), label) for at, label in _times(start, end)],
        [(y(top * step / _TICKS), _scale(top * step / _TICKS)) for step in range(_TICKS + 1)],
        [(x(mark.at), mark.label) for mark in marks if start <= mark.at <= end],
        not any(one.points for one in chosen),
    )


def bars(values: Mapping[str, float], words: Mapping[str, str] | None = None) -> list[Bar]:
    """A bar for each value, the largest fills its place; ``words`` stand beside in place of the number."""
    largest = max(values.values(), default=0.0) or 1.0
    return [
        Bar(name, round(100 * value / largest, 1), (words or {}).get(name) or amount(value), place)
        for place, (name, value) in enumerate(values.items())
    ]


def sparkline(values: Sequence[float], width: int = 120, height: int = 28) -> str:
    """The points of a polyline through ``values``, from zero up; empty for fewer than two."""
    if len(values) < 2:
        return ""
    top = max(values) or 1.0
    step = width / (len(values) - 1)
    return " ".join(
        f"{round(place * step, 1)},{round(height - 2 - (height - 4) * value / top, 1)}"
        for place, value in enumerate(values)
    )


def _round_up(value: float) -> float:
    """The next number that four equal steps suit."""
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 2, 4, 8, 10) if size * step >= value * 0.9999)


def _scale(value: float) -> str:
    return amount(value) if value >= 10 or value == int(value) else f"{value:.2g}"


def _times(start: float, end: float) -> list[tuple[float, str]]:
    span = end - start
    step = next((size for size in _STEPS_MS if span / size <= 7), None) or math.ceil(
        span / 7 / _STEPS_MS[-1]
    ) * float(_STEPS_MS[-1])
    first = math.ceil(start / step) * step
    form = "%H:%M" if step < _STEPS_MS[-1] else "%b %d"
    return [
        (first + place * step, when(first + place * step, form))
        for place in range(int((end - first) // step) + 1)
    ]
