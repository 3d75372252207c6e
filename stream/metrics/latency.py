"""Times counted into buckets: cheap to note, and good for percentiles. Pure."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Final

__all__ = ["BOUNDS_S", "Latency"]

BOUNDS_S: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.175, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 8.0, 15.0, 30.0, 60.0, 300.0),
)
"""Upper bounds of the buckets, in seconds; with a bound at each latency that the product promises."""


class Latency:
    """A histogram of seconds over :data:`BOUNDS_S` and one bucket beyond."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def note(self, seconds: float) -> None:
        """Count one time; a negative one, of two clocks that differ, counts as none."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    @property
    def count(self) -> int:
        """How many times were noted."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper bound, how many are not above it), as Prometheus wants its buckets."""
        bounds = [*(repr(bound) for bound in BOUNDS_S), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))

    def quantile(self, share: float) -> float | None:
        """The time that ``share`` of all are not above, interpolated within its bucket; None before the first.

        Times beyond the last bound are given as the last bound, as Prometheus' ``histogram_quantile`` does.
        """
        count = self.count
        if not count:
            return None
        rank, below = share * count, 0
        for place, inside in enumerate(self.counts):
            if inside and below + inside >= rank:
                if place == len(BOUNDS_S):
                    break
                lower = BOUNDS_S[place - 1] if place else 0.0
                return lower + (BOUNDS_S[place] - lower) * max(rank - below, 0.0) / inside
            below += inside
        return BOUNDS_S[-1]
