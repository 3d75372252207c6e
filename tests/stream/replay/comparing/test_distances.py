"""Distances are 0 for a run like another, and tolerances are held against them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.replay.comparing.difference import Agreement, Difference, OverTime, RuleChange, Side
from stream.replay.comparing.distances import METRICS, SAME, breaches, distances
from stream.replay.errors import RunError


def side(**more: Any) -> Side:
    given: dict[str, Any] = {
        "name": "run", "triggers": 10, "shoppers": 4, "slates": 10, "rungs": {"llm": 10}, "categories": 4.0,
        "unseen": 0.1, "new": 0.2, "items": 100, "acts": {"click": 50, "order": 20},
        "hits": {"click": 10, "order": 5}, "hits_at": {}, "asked": 10, "prompt_tokens": 0, "output_tokens": 0,
        "model_calls": 0, "texts_encoded": 0, "from_cassette": 0, "misses": 0, "seconds": {},
    }  # fmt: skip
    return Side(**(given | more))


def difference(**more: Any) -> Difference:
    given: dict[str, Any] = {
        "same": {}, "rules": [RuleChange("r", 10, 0, 0)], "thought": 10, "prompts_changed": 0,
        "demands_changed": 0, "demands_kept": 1.0,
        "agreement": Agreement(10, 10, {10: 1.0, 20: 1.0, 50: 1.0}, 1.0, 1.0, [0] * 10 + [10]),
        "rungs_moved": {}, "sides": [side(), side()], "only_hits": [{}, {}], "horizon_s": 1.0,
        "over_time": OverTime(0, 1, [], []),
    }  # fmt: skip
    return Difference(**(given | more))


def test_a_run_like_another_has_no_distance_by_any_metric() -> None:
    assert distances(difference()) == dict.fromkeys(METRICS, 0.0)
    assert breaches(difference()) == []
    assert breaches(difference(), dict.fromkeys(METRICS, 0.0)) == []


def test_a_run_without_slates_is_measured_by_its_triggers() -> None:
    none = Agreement(0, 0, {10: None, 20: None, 50: None}, None, None, [0] * 11)
    found = difference(agreement=none, thought=0, demands_kept=None, rules=[RuleChange("r", 6, 3, 2)])
    apart = distances(found)
    assert (apart["triggers.lost"], apart["triggers.gained"]) == (2 / 8, 3 / 8)
    assert {name for name, far in apart.items() if far} == {"triggers.lost", "triggers.gained"}


@pytest.mark.parametrize(
    ("change", "metric", "distance"),
    [
        ({"demands_changed": 3}, "demands.changed", 0.3),
        ({"demands_kept": 0.75}, "demands.lost", 0.25),
        ({"rungs_moved": {"llm to popular": 2}}, "rungs.moved", 0.2),
        ({"prompts_changed": 10}, "prompts.changed", 1.0),
        ({"sides": [side(), side(hits={"click": 5, "order": 5})]}, "hits.click", 0.1),
        ({"sides": [side(), side(hits={"click": 10, "order": 9})]}, "hits.order", 0.0),
        ({"sides": [side(), side(items=80)]}, "items", 0.2),
        ({"sides": [side(), side(categories=5.0)]}, "categories", 0.25),
        ({"sides": [side(), side(new=0.05)]}, "new", 0.15),
        ({"sides": [side(), side(unseen=0.3)]}, "unseen", 0.2),
        ({"agreement": Agreement(10, 10, {10: 0.9, 20: 0.8, 50: 0.7}, 0.5, 0.6, [])}, "overlap.20", 0.2),
        ({"agreement": Agreement(10, 10, {10: 0.9, 20: 0.8, 50: 0.7}, -1.0, 0.6, [])}, "kendall", 2.0),
        ({"agreement": Agreement(10, 9, {10: 0.9, 20: 0.8, 50: 0.7}, 0.5, 0.6, [])}, "slates.changed", 0.1),
    ],
)
def test_each_metric_has_its_distance(change: dict[str, Any], metric: str, distance: float) -> None:
    found = difference(**change)
    assert distances(found)[metric] == pytest.approx(distance)
    assert breaches(found, {metric: distance + 0.001}) == []
    assert [one.metric for one in breaches(found, {metric: 0.0})] == ([metric] if distance else [])
    assert [one.metric for one in breaches(found)] == ([metric] if metric in SAME and distance else [])


@given(st.integers(1, 10**7), st.integers(0, 10**7))
def test_one_trigger_too_few_among_any_number_is_not_the_same(both: int, gained: int) -> None:
    found = difference(rules=[RuleChange("r", both, gained, 1)])
    assert "triggers.lost" in {one.metric for one in breaches(found)}


def test_a_tolerance_of_no_metric_or_below_none_is_refused() -> None:
    with pytest.raises(RunError, match="overlap: no metric"):
        breaches(difference(), {"overlap": 0.1})
    with pytest.raises(RunError, match="tolerance of rbo"):
        breaches(difference(), {"rbo": -0.1})
