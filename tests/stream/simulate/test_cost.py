"""Cost is calls counted, prompts rendered, and measured rates; nothing else."""

from __future__ import annotations

import pytest
from msgspec.json import encode

from agents import prompts
from agents.profile import render
from agents.settings import AgentSettings
from agents.structured import queries
from stream.gate.state.ledger import LedgerEntry
from stream.gate.state.recent import Recent
from stream.infer.shopper import shopper_of
from stream.simulate.cost import CostMeter, NoTitles, Rates
from stream.triggers import Trigger, decode_trigger


def record(user: str, ts: int, query: str = "garden chair") -> bytes:
    recent = [Recent("e1", "search", ts, query=query)] if query else [Recent("e1", "view", ts, item_id="77")]
    return encode(Trigger("id", "rule", "v", user, 1, "e1", ts, 0, 0, recent, []))


def meter(**rates: float) -> CostMeter:
    return CostMeter(Rates(**rates), AgentSettings(), NoTitles())  # type: ignore[arg-type]


def test_triggers_of_a_shopper_within_the_time_are_one_call() -> None:
    counted = meter(together_s=10)
    for place, (user, ts) in enumerate([("a", 0), ("a", 9_999), ("b", 5_000), ("a", 10_000), ("a", 25_000)]):
        counted.add(user, f"e{place}", ts, record(user, ts))
    cost = counted.cost()
    assert (cost.triggers, cost.superseded, cost.calls) == (5, 1, 4)


def test_without_a_time_only_triggers_of_one_event_are_one_call() -> None:
    counted = meter(together_s=0)
    for user, event, ts in [("a", "e1", 5), ("a", "e1", 5), ("a", "e2", 5), ("b", "e1", 5)]:
        counted.add(user, event, ts, record(user, ts))
    assert (counted.cost().superseded, counted.cost().calls) == (1, 3)


def test_tokens_are_of_the_prompt_as_it_is_rendered_live() -> None:
    counted = meter(chars_per_token=2.0, static_chars_per_token=4.0, output_tokens=10, seconds_per_call=0.5)
    for number in range(50):
        counted.add(f"u{number}", "e", 0, record(f"u{number}", 0))
    agents = AgentSettings()
    prompt = prompts.load(agents.prompt)
    text = render(shopper_of(decode_trigger(record("u", 0)), NoTitles()), agents.profile_chars).text
    assert "garden chair" in text
    static = len(prompt.static(queries(agents.queries, agents.query_chars))) / 4
    own = len(prompt.turn(text)) / 2
    cost = counted.cost()
    assert cost.static_tokens == pytest.approx(static, abs=0.1)
    assert cost.own_tokens == pytest.approx(own, abs=0.1)
    assert cost.prompt_tokens == round(50 * (static + own))
    assert (cost.output_tokens, cost.model_seconds) == (500, 25.0)


def test_triggers_without_any_words_make_no_call() -> None:
    counted = meter()
    for number in range(100):
        counted.add(f"u{number}", "e", 0, record(f"u{number}", 0, "rug" if number % 4 else ""))
    cost = counted.cost()
    assert (cost.unreadable, cost.calls, cost.sample) == (25, 75, 100)


def test_the_sample_is_bounded_and_even() -> None:
    counted = CostMeter(Rates(), AgentSettings(), NoTitles(), sample=400)
    for number in range(4000):
        counted.add(f"u{number}", "e", 0, record(f"u{number}", 0, "rug" if number >= 2000 else ""))
    cost = counted.cost()
    assert cost.sample == 400
    assert cost.calls / 4000 == pytest.approx(0.5, abs=0.1)


def test_each_lead_that_the_events_are_enough_for_is_a_call() -> None:
    asked = AgentSettings.model_validate({"runtime": "local", "leads": ["recent", "long-term", "trend"]})
    counted = CostMeter(Rates(), asked, NoTitles())
    for number in range(10):
        counted.add(f"new{number}", "e", 0, record(f"new{number}", 0))
    assert (counted.cost().calls, counted.cost().unreadable) == (10, 0)
    bought = decode_trigger(record("old", 0))
    bought.ledger = [LedgerEntry(week=2_900, category="garden", quantity=2, cents=900, lines=1)]
    for number in range(10):
        counted.add(f"old{number}", "e", 0, encode(bought))
    assert (counted.cost().calls, counted.cost().unreadable) == (30, 0)


def test_nothing_fired_costs_nothing() -> None:
    cost = meter().cost()
    assert (cost.triggers, cost.calls, cost.prompt_tokens, cost.model_seconds) == (0, 0, 0, 0)
