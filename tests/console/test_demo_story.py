"""One shopper's story in words."""

from __future__ import annotations

from typing import Any

from console.demo.story import tell
from stream.slates import Trace


def trace(**changes: Any) -> Trace:
    given: dict[str, Any] = {
        "schema": 1,
        "version": 3,
        "trigger": "ab",
        "user": "1204",
        "made_at": 0,
        "outcome": "served",
        "rung": "llm",
        "fired": {"rule": "five-views"},
        "events": [
            {"type": "search", "text": "pasta", "ts": 1_483_271_570_001},
            {"type": "view", "text": "Spaghetti", "ts": 1_483_271_580_001},
            {"type": "view", "text": "Spaghetti", "ts": 1_483_271_590_001},
            {"type": "impression", "text": "Soap", "ts": 1_483_271_590_001},
        ],
        "prompt": {},
        "output": "",
        "demands": [{"query": "garlic bread"}, {"query": "red wine"}],
        "rejected": [{"query": "spaghetti", "reason": "copy"}],
        "candidates": [{"title": "Baguette"}, {"title": "Baguette"}, {"title": "Chianti"}],
        "timings_ms": {},
    }
    return Trace(**{**given, **changes})


def test_it_says_what_they_did_what_was_inferred_and_what_they_would_be_shown() -> None:
    words = "\n".join(tell(trace()))
    assert "searched for “pasta” and looked at “Spaghetti”." in words
    assert "“five-views”" in words
    assert "“garlic bread” and “red wine”" in words
    assert "“spaghetti” (copy)" in words
    assert "“Baguette” and “Chianti”, and more: 3 items in all" in words


def test_repetitions_and_impressions_are_left_out() -> None:
    first = tell(trace())[0]
    assert first.count("Spaghetti") == 1
    assert "Soap" not in first


def test_another_rung_is_not_passed_off_as_the_models() -> None:
    words = "\n".join(tell(trace(rung="preference")))
    assert "Without the language model (rung “preference”)" in words
    assert "language model inferred" not in words
