"""The gate: every event of a batch is accounted for, whatever is in it."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.dead import DeadRecord
from stream.events import Defect, DefectiveEventError, EventDecoder
from stream.gate.gate import Arrival, Bounds, Gate, Outcome, Partition
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.ruleset import RuleSet, load_rules
from stream.gate.state.activity import Activity
from stream.gate.state.ledger import DAY_MS
from stream.triggers import Trigger, decode_trigger, trigger_id

START = 1_700_000_000_000
NOW = START + 10**9
BOUNDS = Bounds(lateness_ms=DAY_MS, recent_events=6, ledger_weeks=53, user_events_per_minute=600)
EVERY_VIEW = RuleSet.model_validate(
    {"rules": [{"id": "every", "when": {"types": ["view"], "count": 1, "within": "1m"}}]}
)


def gate(rules: RuleSet | None = None, categories: dict[str, str] | None = None) -> Gate:
    return Gate(CompiledRules(rules or load_rules()), BOUNDS, categories)


def arrival(offset: int, value: bytes, topic: str = "views") -> Arrival:
    event: Any
    try:
        event = EventDecoder().decode(value, NOW)
    except DefectiveEventError as error:
        event = error
    return Arrival((START, offset), topic, offset, event, value, START)


def shopping(offset: int, name: str = "", **more: Any) -> Arrival:
    fields = {
        "event_id": name or f"e{offset}",
        "user_id": "u",
        "type": "view",
        "ts": START + offset,
        "item_id": "i",
    }
    return arrival(offset, json.dumps({**fields, **more}).encode())


def triggers(outcome: Outcome) -> list[Trigger]:
    return [decode_trigger(value) for _, value in outcome.triggers]


def test_a_repeated_event_is_a_duplicate_and_changes_nothing() -> None:
    partition, it = Partition(0), gate()
    it.apply(partition, [shopping(0, "same")], NOW)
    before = partition.users["u"].encode()
    it.apply(partition, [shopping(1, "same"), shopping(2, "same", ts=START + 99)], NOW)
    assert partition.users["u"].encode() == before
    assert (partition.counts.applied, partition.counts.duplicate) == (1, 2)


def test_an_event_much_older_than_the_shoppers_newest_is_late() -> None:
    partition = Partition(0)
    old = [shopping(1, ts=START - DAY_MS), shopping(2, ts=START - DAY_MS + 1)]
    gate().apply(partition, [shopping(0, ts=START + 1), *old], NOW)
    assert (partition.counts.applied, partition.counts.late) == (2, 1)


def test_an_event_older_than_a_full_ring_is_late() -> None:
    partition = Partition(0)
    gate().apply(partition, [shopping(n, ts=START + 10 * n) for n in range(1, 8)], NOW)
    gate().apply(partition, [shopping(8, ts=START + 19), shopping(9, ts=START + 20)], NOW)
    assert (partition.counts.applied, partition.counts.late) == (8, 1)


def test_an_item_the_catalogue_does_not_have_is_dropped_and_its_event_counts() -> None:
    partition = Partition(0)
    it = gate(categories={"known": "tea"})
    it.apply(partition, [shopping(0, item_id="known"), shopping(1, item_id="unheard-of")], NOW)
    assert [recent.item_id for recent in partition.users["u"].recent.decode()] == ["known", ""]
    assert partition.counts.applied == 2
    assert partition.counts.fields_dropped == 1


def test_without_a_catalogue_items_are_taken_as_they_come() -> None:
    partition = Partition(0)
    gate().apply(partition, [shopping(0, item_id="whatever")], NOW)
    assert partition.users["u"].recent.decode()[0].item_id == "whatever"
    assert partition.counts.fields_dropped == 0


def test_orders_go_into_the_ledger_in_whole_cents() -> None:
    partition = Partition(0)
    it = gate(categories={"i": "tea"})
    it.apply(partition, [shopping(n, type="order", quantity=2, amount=0.1) for n in range(10)], NOW)
    ledger = partition.users["u"].ledger
    assert ledger is not None
    [entry] = ledger.entries()
    assert (entry.category, entry.cents, entry.quantity, entry.lines) == ("tea", 100, 20, 10)


def test_a_trigger_carries_who_why_when_and_the_snapshot() -> None:
    partition = Partition(3)
    it = gate(EVERY_VIEW, {"i": "tea"})
    order = shopping(0, type="order", amount=2, quantity=1)
    outcome = it.apply(partition, [order, shopping(1), shopping(2)], NOW)
    first, second = triggers(outcome)
    assert first.id == trigger_id("u", "every", 1) != second.id
    assert (first.user, first.rule, first.rules, first.event_id) == ("u", "every", EVERY_VIEW.digest, "e1")
    assert (first.ts, first.sent_at, first.made_at) == (START + 1, START, NOW)
    assert (first.seq, second.seq) == (1, 2)
    assert [r.event_id for r in first.recent] == ["e0", "e1"]
    assert [(e.category, e.cents) for e in first.ledger] == [("tea", 200)]
    assert [key for key, _ in outcome.triggers] == [b"u", b"u"]


def test_two_rules_on_one_event_get_numbers_one_after_the_other() -> None:
    both = RuleSet.model_validate(
        {"rules": [{"id": n, "when": {"types": ["view"], "count": 1, "within": "1m"}} for n in ("b", "a")]}
    )
    outcome = gate(both).apply(Partition(0), [shopping(0)], NOW)
    assert [(t.rule, t.seq) for t in triggers(outcome)] == [("b", 1), ("a", 2)]


def test_an_event_the_gate_fails_on_is_dead_with_its_words_and_the_rest_goes_on() -> None:
    class Broken(CompiledRules):
        def observe(self, activity: Any, event: Any, category: str) -> Any:
            if event.event_id == "e1":
                raise ZeroDivisionError("a defect in a rule")
            return super().observe(activity, event, category)

    partition = Partition(2)
    it = Gate(Broken(load_rules()), BOUNDS)
    outcome = it.apply(partition, [shopping(n) for n in range(3)], NOW)
    [record] = [msgspec.json.decode(record, type=DeadRecord) for _, record in outcome.dead]
    assert record.reason == Defect.GATE_ERROR
    assert record.detail == "ZeroDivisionError: a defect in a rule"
    assert (record.topic, record.partition, record.offset) == ("views", 2, 1)
    assert (partition.counts.applied, partition.counts.dead) == (2, 1)
    assert partition.counts.balanced
    assert partition.offsets == {"views": 3}


def test_a_shopper_beyond_their_events_a_minute_is_counted_and_no_more() -> None:
    partition, it = Partition(0), Gate(CompiledRules(EVERY_VIEW), replace(BOUNDS, user_events_per_minute=3))
    outcome = it.apply(partition, [shopping(n) for n in range(10)], NOW)
    assert len(outcome.triggers) == 3
    assert (partition.counts.applied, partition.counts.limited, partition.counts.balanced) == (10, 7, True)
    assert [r.event_id for r in partition.users["u"].recent.decode()] == ["e0", "e1", "e2"]
    following = it.apply(partition, [shopping(10, ts=START + 60_000), shopping(11, user_id="v")], NOW)
    assert [t.user for t in triggers(following)] == ["u", "v"]
    assert partition.counts.limited == 7


def test_what_a_shopper_has_left_of_the_minute_survives_a_checkpoint() -> None:
    partition, it = Partition(0), Gate(CompiledRules(EVERY_VIEW), replace(BOUNDS, user_events_per_minute=3))
    it.apply(partition, [shopping(n) for n in range(2)], NOW)
    partition.users["u"] = Activity.decode(partition.users["u"].encode(), "u")
    it.apply(partition, [shopping(n) for n in range(2, 5)], NOW)
    assert partition.counts.limited == 2


arrivals = st.one_of(
    st.builds(lambda name, ts, kind, item: (name, ts, kind, item),
              st.integers(0, 12), st.integers(0, 40) | st.just(-2 * DAY_MS), st.sampled_from(["view", "search", "order"]), st.sampled_from(["i", "x"])),
    st.sampled_from([b"", b"{", b"[]", b'{"type":"view"}']),
)  # fmt: skip


def build(drawn: list[Any]) -> list[Arrival]:
    made = []
    for offset, what in enumerate(drawn):
        if isinstance(what, bytes):
            made.append(arrival(offset, what))
        else:
            name, ts, kind, item = what
            made.append(
                shopping(
                    offset,
                    f"e{name}",
                    ts=START + ts,
                    type=kind,
                    item_id=item,
                    query="q",
                    user_id=f"u{name % 3}",
                )
            )
    return made


@settings(max_examples=60, deadline=None)
@given(st.lists(arrivals, max_size=40))
def test_received_is_applied_and_duplicate_and_late_and_dead(drawn: list[Any]) -> None:
    partition = Partition(0)
    outcome = gate(categories={"i": "tea"}).apply(partition, build(drawn), NOW)
    counts = partition.counts
    assert counts.balanced
    assert counts.received == len(drawn)
    assert counts.dead == len(outcome.dead) == sum(isinstance(d, bytes) for d in drawn)
    assert counts.triggers == len(outcome.triggers) == sum(a.seq for a in partition.users.values())
    assert partition.offsets == ({"views": len(drawn)} if drawn else {})
    assert partition.dirty <= set(partition.users)


@settings(max_examples=80, deadline=None)
@given(st.lists(arrivals, max_size=40), st.lists(st.integers(0, 40), max_size=4))
def test_the_state_is_the_same_in_whatever_batches_the_events_come(drawn: list[Any], cuts: list[int]) -> None:
    events, it = build(drawn), gate(EVERY_VIEW)
    whole, pieces = Partition(0), Partition(0)
    at_once = it.apply(whole, events, NOW).triggers
    in_pieces = []
    edges = [0, *sorted(cuts), len(events)]
    for start, end in itertools.pairwise(edges):
        in_pieces += it.apply(pieces, events[start:end], NOW).triggers
    assert in_pieces == at_once
    assert pieces.counts == whole.counts
    assert {u: a.encode() for u, a in pieces.users.items()} == {u: a.encode() for u, a in whole.users.items()}
