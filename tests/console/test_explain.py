"""What ``nearline explain`` says of a slate."""

from __future__ import annotations

from typing import Any

import pytest

from console.errors import ConsoleError
from console.output import console
from console.verbs.explain import explain, print_chain
from index.ranking.live import LIVE_FEATURES
from stream.slates import Trace


def trace(**other: Any) -> Trace:
    candidate = {
        "item": "i1",
        "title": "Garlic [bold]bread",
        "score": 0.6,
        "query": "garlic bread",
        "channel": "lexical",
        "ranks": {"garlic bread": 1},
        "parts": {"lexical": 0.5, "behaviour": 0.25, "likeness": -0.15},
        "features": [None] * len(LIVE_FEATURES),
    }
    fields: dict[str, Any] = {
        "schema": 1,
        "version": 3,
        "trigger": "ab",
        "user": "ann",
        "made_at": 0,
        "outcome": "served",
        "rung": "llm",
        "fired": {"rule": "five-views", "rules": "r1", "event_id": "e1"},
        "events": [{"ts": 0, "type": "view", "text": "Pasta", "category": "Food"}],
        "prompt": {"version": "p", "model": "m", "runtime": "local", "prompt_tokens": 1, "output_tokens": 1},
        "output": "",
        "demands": [
            {
                "query": "garlic bread",
                "kind": "llm",
                "confidence": 0.5,
                "evidence": ["e1"],
                "weight": {"given": 1.0, "weight": 1.25, "recency": -0.1, "path": 0.32},
            }
        ],
        "rejected": [],
        "candidates": [candidate],
        "timings_ms": {"search": 1.0},
        "pool": {"lexical": 9, "behaviour": 4, "all": 11},
    }
    return Trace(**{**fields, **other})


def printed(told: Trace, capsys: pytest.CaptureFixture[str]) -> str:
    width, console.width = console.width, 240
    try:
        print_chain(told, list(enumerate(told.candidates, 1)))
    finally:
        console.width = width
    return capsys.readouterr().out


def test_every_position_shows_the_parts_that_add_up_to_its_score(capsys: pytest.CaptureFixture[str]) -> None:
    told = trace()
    out = printed(told, capsys)
    assert "0.6000 = lexical 0.5000 + behaviour 0.2500 - likeness 0.1500" in out
    for candidate in told.candidates:
        assert round(sum(candidate["parts"].values()), 6) == candidate["score"]
    assert "1.25 (recency -0.10, path +0.32)" in out
    assert "Chosen from 11 items (lexical 9, behaviour 4)." in out
    assert "Garlic [bold]bread" in out


def test_a_traced_slate_names_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Trace 4bf92f3577b34da6a3ce929d0e0e4736." in printed(
        trace(trace_id="4bf92f3577b34da6a3ce929d0e0e4736"), capsys
    )
    assert "Trace " not in printed(trace(), capsys)


@pytest.mark.parametrize("asked", [{}, {"user": "ann", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}])
def test_either_a_shopper_or_a_trace_is_explained(asked: dict[str, str]) -> None:
    with pytest.raises(ConsoleError, match="Expected a shopper or a trace"):
        explain(**asked)


def test_a_trace_of_an_earlier_worker_is_explained_by_its_score_and_ranks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = trace(pool={})
    del old.candidates[0]["parts"], old.demands[0]["weight"]
    out = printed(old, capsys)
    assert "0.60000" in out
    assert "garlic bread: 1" in out
    assert "Chosen from" not in out
