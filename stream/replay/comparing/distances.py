"""How far a run is from one it should be like: one number for each metric, 0 where nothing changed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from stream.replay.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.replay.comparing.difference import Difference, Side

__all__ = ["METRICS", "SAME", "Breach", "breaches", "distances"]

METRICS: Final = {
    "triggers.lost": "share of the expected triggers that did not fire",
    "triggers.gained": "triggers that were not expected, for each that was",
    "prompts.changed": "share of the prompts that are others, of triggers in both",
    "demands.changed": "share of triggers in both with other demands, or in another order",
    "demands.lost": "share of demands in one alone, a mean over triggers in both",
    "rungs.moved": "share of triggers in both whose demands come from another rung",
    "slates.changed": "share of slates with other items, or in another order",
    "overlap.10": "share of the first 10 items that are others, a mean over slates",
    "overlap.20": "the same of the first 20",
    "overlap.50": "the same of the first 50",
    "kendall": "1 less Kendall's tau of the items in both, 0 to 2",
    "rbo": "1 less rank-biased overlap (persistence 0.9)",
    "hits.click": "share of the clicks that followed which the slates had and have no more; more hits are no distance",
    "hits.order": "the same of orders",
    "categories": "categories in a slate, more or fewer, for each that was",
    "items": "different items shown, more or fewer, for each that was",
    "unseen": "share of places of categories the shopper had not touched, more or less",
    "new": "share of places of items new to the shop, more or less",
}
"""The metrics, and what their distance is."""

SAME: Final = (
    "triggers.lost",
    "triggers.gained",
    "demands.changed",
    "rungs.moved",
    "slates.changed",
)
"""What may not differ at all where nothing is said of tolerances."""

_ROUNDING = 1e-4
"""Means are kept to four digits; a tolerance is not missed by what that takes away."""


class Breach(NamedTuple):
    """A metric that is further off than it may be."""

    metric: str
    distance: float
    allowed: float

    def __str__(self) -> str:
        return f"{self.metric} {self.distance:.4f}, allowed {self.allowed:g} ({METRICS[self.metric]})"


def distances(found: Difference) -> dict[str, float]:
    """The distance of the second run from the first, by metric; without slates, theirs are 0."""
    both = sum(change.both for change in found.rules)
    expected = both + sum(change.lost for change in found.rules)
    agreement, one, other = found.agreement, *found.sides
    thought = max(found.thought, 1)
    kept = found.demands_kept
    return {
        "triggers.lost": sum(change.lost for change in found.rules) / max(expected, 1),
        "triggers.gained": sum(change.gained for change in found.rules) / max(expected, 1),
        "prompts.changed": found.prompts_changed / thought,
        "demands.changed": found.demands_changed / thought,
        "demands.lost": 0.0 if kept is None else 1 - kept,
        "rungs.moved": sum(found.rungs_moved.values()) / thought,
        "slates.changed": 1 - agreement.same / agreement.slates if agreement.slates else 0.0,
        **{
            f"overlap.{depth}": 0.0 if share is None else 1 - share
            for depth, share in agreement.overlap.items()
        },
        "kendall": 0.0 if agreement.kendall is None else 1 - agreement.kendall,
        "rbo": 0.0 if agreement.rbo is None else 1 - agreement.rbo,
        "hits.click": _fewer(one, other, "click"),
        "hits.order": _fewer(one, other, "order"),
        "categories": _apart(one.categories, other.categories),
        "items": _apart(one.items, other.items),
        "unseen": abs(one.unseen - other.unseen),
        "new": abs(one.new - other.new),
    }


def breaches(found: Difference, tolerances: Mapping[str, float] | None = None) -> list[Breach]:
    """The metrics further off than ``tolerances`` allow.

    Metrics that it does not name may be anything; without tolerances, those in ``SAME`` must be 0.

    Raises:
        RunError: a tolerance is of no metric, or negative.
    """
    allowed = dict.fromkeys(SAME, 0.0) if tolerances is None else dict(tolerances)
    if unknown := sorted(allowed.keys() - METRICS.keys()):
        raise RunError(f"{', '.join(unknown)}: no metric.", way_out=f"There are {', '.join(METRICS)}.")
    if wrong := sorted(name for name, most in allowed.items() if not most >= 0):
        raise RunError(f"The tolerance of {wrong[0]} is {allowed[wrong[0]]}.", way_out="Give 0 or more.")
    apart = distances(found)
    return [
        Breach(name, apart[name], most)
        for name, most in allowed.items()
        # Where nothing may differ, nothing does: shares of counts are exact.
        if apart[name] > (most + _ROUNDING if most else 0.0)
    ]


def _fewer(one: Side, other: Side, kind: str) -> float:
    acts = max(one.acts.get(kind, 0), 1)
    return max(0.0, (one.hits.get(kind, 0) - other.hits.get(kind, 0)) / acts)


def _apart(one: float, other: float) -> float:
    return abs(other - one) / one if one else float(other > 0)
