"""Numbers to shapes: what the page draws as SVG. Pure; coordinates are of a box of 100 by 100 that the page stretches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Bar", "Curve", "bars", "columns", "curve"]


class Bar(NamedTuple):
    """A pair of bars: label, both values, and both as a share of the longest bar, 0 to 100."""

    label: str
    values: tuple[float, float]
    shares: tuple[float, float]


class Curve(NamedTuple):
    """A stepped line and the area under it, as paths."""

    line: str
    area: str


def bars(rows: Mapping[str, tuple[float, float]]) -> list[Bar]:
    """Pairs of bars on one scale."""
    longest = max((max(pair) for pair in rows.values()), default=0.0) or 1.0
    return [
        Bar(label, (a, b), (round(100 * a / longest, 2), round(100 * b / longest, 2)))
        for label, (a, b) in rows.items()
    ]


def columns(counts: Sequence[int]) -> list[tuple[float, int]]:
    """For each column its height, 0 to 100 of the highest, and its count."""
    highest = max(counts, default=0) or 1
    return [(round(100 * count / highest, 2), count) for count in counts]


def curve(counts: Sequence[int], highest: int) -> Curve:
    """Counts of equal steps of time as a stepped line, where ``highest`` is the top of the box."""
    if not counts:
        return Curve("", "")
    wide = 100 / len(counts)
    parts = []
    for at, count in enumerate(counts):
        level = round(100 - 100 * count / max(highest, 1), 2)
        parts.append(f"{round(at * wide, 2)},{level} {round((at + 1) * wide, 2)},{level}")
    steps = " L".join(parts)
    return Curve(f"M{steps}", f"M0,100 L{steps} L100,100 Z")
