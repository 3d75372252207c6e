"""What speaks for a demand, as recall weighs it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from index.demand_weights.weights import Evidence
from stream.gate.state.ledger import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.demand import Demand

__all__ = ["evidence_of"]


def evidence_of(demand: Demand, at: int, moments: Mapping[str, int]) -> Evidence:
    """What is known for a demand at a trigger: the model's confidence, the judge's score, and how old the events are that speak for it.

    How well it meets the shopper's preferences, and how it is connected with their history, recall finds out itself.

    Args:
        demand: the demand.
        at: the trigger's event time, milliseconds.
        moments: event time of the shopper's recent events by their ids.
    """
    return Evidence(
        query=demand.query,
        kind=demand.kind,
        confidence=_share(demand.confidence),
        judged=_share(demand.judged),
        ages_days=tuple(
            [max(at - moments[event], 0) / DAY_MS for event in demand.evidence if event in moments]
        ),
    )


def _share(value: float | None) -> float | None:
    """A probability that rounding may have pushed beyond 0 or 1."""
    return None if value is None or value != value else min(max(value, 0.0), 1.0)  # noqa: PLR0124 - a NaN
