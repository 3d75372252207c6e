"""What speaks for a demand, from a trigger."""

from __future__ import annotations

from agents.demand import Demand
from stream.gate.state.ledger import DAY_MS
from stream.infer.evidence import evidence_of

NOW = 1_735_689_600_000
MOMENTS = {"e1": NOW - 2 * DAY_MS, "e2": NOW}


def test_the_events_that_support_a_demand_have_ages_in_days() -> None:
    found = evidence_of(Demand("garlic bread", "llm", ("e1", "gone", "e2"), 0.5, 0.75), NOW, MOMENTS)
    assert (found.query, found.kind, found.confidence, found.judged) == ("garlic bread", "llm", 0.5, 0.75)
    assert found.ages_days == (2.0, 0.0)


def test_a_confidence_beyond_its_range_or_without_a_number_does_no_harm() -> None:
    values = (1.0000001, -0.1, float("nan"), None)
    found = [evidence_of(Demand("q", "llm", (), value), NOW, MOMENTS).confidence for value in values]
    assert found == [1.0, 0.0, None, None]
