"""What slates are counted by."""

from __future__ import annotations

from typing import Any

from index.ranking.live import LIVE_FEATURES
from stream.metrics.infer import InferTally
from stream.slates import Trace


def features(age: float | None, category: float) -> list[float | None]:
    found: list[float | None] = [None] * len(LIVE_FEATURES)
    found[LIVE_FEATURES.index("age_days")] = age
    found[LIVE_FEATURES.index("category")] = category
    return found


def trace(shown: list[list[float | None]], **other: Any) -> Trace:
    fields: dict[str, Any] = {
        "schema": 1,
        "version": 3,
        "trigger": "ab",
        "user": "ann",
        "made_at": 0,
        "outcome": "served",
        "rung": "llm",
        "fired": {},
        "events": [],
        "prompt": {"prompt_tokens": 40, "output_tokens": 12},
        "output": "",
        "demands": [{"kind": "llm"}, {"kind": "llm"}, {"kind": "explicit"}],
        "rejected": [
            {"query": "a", "reason": "judged: nothing answers it"},
            {"query": "b", "reason": "copy of the input"},
            {"query": "c", "reason": "a reason of a model's own making"},
        ],
        "candidates": [{"features": one} for one in shown],
        "timings_ms": {"gate": 100.0, "queue": 5.0, "fuse": 30.0, "write": 2.0, "total": 400.0},
    }
    return Trace(**{**fields, **other})


def test_rejections_are_counted_by_reason_without_the_words_that_follow() -> None:
    tally = InferTally(30)
    tally.served(trace([]), {})
    assert tally.rejected == {"judged": 1, "copy of the input": 1, "other": 1}
    assert tally.kept == 2
    assert tally.tokens == {"in": 40, "out": 12}
    tally.served(trace([], rung="cached"), {})
    assert tally.kept == 2, "those the model wrote earlier"


def test_places_of_discovery_are_those_with_new_items_and_of_untouched_categories() -> None:
    tally = InferTally(30)
    tally.served(trace([features(3, 0.0), features(400, 0.7), features(None, 0.0), []]), {})
    assert tally.discovered == {"new": 1, "unseen_category": 2}
    tally.served(trace([features(400, 0.0), features(400, 0.0)]), {})
    assert tally.discovered["unseen_category"] == 2, "to a shopper without categories none is unseen"


def test_times_are_counted_by_stage_in_seconds() -> None:
    tally = InferTally(30)
    tally.served(trace([]), {"profile": 1.5, "model": 250.0})
    assert tally.stages["rank"].total_s == 0.03
    assert tally.stages["model"].total_s == 0.25
    assert tally.stages["encode"].count == 0
    assert tally.to_slate.total_s == 0.5


def test_categories_breadth_and_slates_with_new_items_are_counted() -> None:
    tally = InferTally(30)
    tally.served(trace([features(3, 0.0), features(2, 0.7)]), {}, ["Tea", "Milk", "Tea"])
    tally.served(trace([features(400, 0.7)]), {}, ["Tea"])
    assert tally.categories == {"Tea": 3, "Milk": 1}
    assert tally.breadth == {2: 1, 1: 1}
    assert tally.with_new == 1
