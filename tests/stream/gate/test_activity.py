"""A shopper's activity: the ring, the ledger, and the bytes they are written down as."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import CheckpointError
from stream.events import EventDecoder
from stream.gate.activity import DAY_MS, STATE_VERSION, WEEK_MS, Activity, LedgerEntry, Recent, week_of

START = 1_700_000_000_000
_decode = EventDecoder().decode


def event(name: str, ts: int, kind: str = "view", **more: Any) -> Any:
    fields = {"event_id": name, "user_id": "u", "type": kind, "ts": ts, "item_id": "i", **more}
    return _decode(msgspec.json.encode(fields), ts)


def ring(activity: Activity) -> list[Recent]:
    return msgspec.json.decode(activity.ring_json(), type=list[Recent])


def test_the_ring_keeps_the_newest_and_forgets_the_oldest() -> None:
    activity = Activity()
    for n in range(10):
        activity.remember(event(f"e{n}", START + n), "", 0, 4)
    assert [r.event_id for r in ring(activity)] == ["e6", "e7", "e8", "e9"]
    assert activity.last_ts == START + 9


def test_an_event_out_of_order_is_put_where_it_belongs() -> None:
    activity = Activity()
    for name, ts in [("a", 10), ("d", 40), ("b", 20), ("c", 30)]:
        activity.remember(event(name, START + ts), "", 0, 4)
    assert [r.event_id for r in ring(activity)] == ["a", "b", "c", "d"]
    assert activity.last_ts == START + 40


def test_a_full_ring_says_what_is_too_old_to_tell_from_a_repetition() -> None:
    activity = Activity()
    for n in range(4):
        assert not activity.too_old_to_know(START - 1, 4)
        activity.remember(event(f"e{n}", START + 10 * n), "", 0, 4)
    assert activity.too_old_to_know(START - 1, 4)
    assert not activity.too_old_to_know(START, 4)


def test_a_recent_event_says_all_that_inference_needs() -> None:
    activity = Activity()
    activity.remember(event("e", START, "order", quantity=3, amount=9.99, scene="detail"), "tea", 999, 4)
    assert ring(activity) == [Recent("e", "order", START, "i", "", "tea", 3, 999, "detail")]


def test_weeks_begin_on_monday_in_utc() -> None:
    monday = 1_699_833_600_000  # 2023-11-13
    assert week_of(monday - 1) + 1 == week_of(monday) == week_of(monday + WEEK_MS - 1)


def test_the_ledger_adds_up_by_week_and_category_and_forgets_old_weeks() -> None:
    activity = Activity()
    activity.enter(START, "tea", 250, 2)
    activity.enter(START + 1, "tea", 100, 1)
    activity.enter(START, "cups", 999, 1)
    activity.enter(START + WEEK_MS, "tea", 1, 1)
    entries = msgspec.json.decode(activity.ledger_json(), type=list[LedgerEntry])
    week = week_of(START)
    assert entries == [
        LedgerEntry(week, "cups", 999, 1, 1),
        LedgerEntry(week, "tea", 350, 3, 2),
        LedgerEntry(week + 1, "tea", 1, 1, 1),
    ]
    activity.last_ts = START + 3 * WEEK_MS
    activity.trim(2, {})
    assert list(activity.ledger) == [(week + 1, "tea")]


def test_counts_that_have_left_their_window_or_their_rule_are_forgotten() -> None:
    activity = Activity()
    activity.last_ts = 1000
    activity.counts = {"a.x.0": [1, 500, 990], "a.x.0|tea": [800], "gone.x.0": [1000], "b.x.0": []}
    activity.trim(53, {"a.x.0": 100, "b.x.0": 100})
    assert activity.counts == {"a.x.0": [990]}


names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=8)


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    activity = Activity()
    for n in range(draw(st.integers(0, 8))):
        happening = event(
            draw(names) + str(n),
            START + draw(st.integers(0, 50)),
            draw(st.sampled_from(["view", "order", "click"])),
            query=draw(st.none() | names),
        )
        activity.remember(happening, draw(names), draw(st.integers(0, 10**9)), 5)
    for _ in range(draw(st.integers(0, 4))):
        activity.enter(
            START + draw(st.integers(0, 60)) * DAY_MS, draw(names), draw(st.integers(0, 10**11)), 2
        )
    activity.seq = draw(st.integers(0, 10**6))
    activity.last_fired = draw(st.integers(0, START))
    activity.fired = draw(
        st.dictionaries(names, st.lists(st.integers(0, START), min_size=2, max_size=2), max_size=3)
    )
    activity.counts = draw(st.dictionaries(names, st.lists(st.integers(0, START), max_size=3), max_size=3))
    return activity


@settings(max_examples=80, deadline=None)
@given(activities())
def test_what_is_written_down_reads_back_the_same(activity: Activity) -> None:
    data = activity.encode()
    again = Activity.decode(data, "u")
    assert again.encode() == data
    for name in Activity.__slots__:
        if name != "touched":
            assert getattr(again, name) == getattr(activity, name), name


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12, unique=True), st.randoms())
def test_the_same_events_in_any_order_of_arrival_give_the_same_bytes(times: list[int], rng: Any) -> None:
    def written(order: list[int]) -> bytes:
        activity = Activity()
        for ts in order:
            activity.remember(event(f"e{ts}", START + ts), "tea", ts, 12)
            activity.enter(START + ts, f"c{ts % 3}", ts, 1)
        return activity.encode()

    shuffled = times.copy()
    rng.shuffle(shuffled)
    assert written(shuffled) == written(times)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff", b"{}", b"[]", b"7", b"null", b"[1]", b"[null]", b'["1"]', b"[1,0,0,0,{},{},[]]",
        b"[1,0,0,0,{},{},[],[7]]", b"[1,0,0,0,{},{},[],[[]]]", b'[1,0,0,0,{},{},[],[["e","view"]]]',
        b"[1,0,0,0,{},{},[[1]],[]]", b"[1,0,0,0,{},[],[],[]]", b'[1,"x",0,0,{},{},[],[]]', b"[1,0,0,0,{},{},[],[]",
        b"[" * 3000, b'[1,0,0,0,{"r":[]},{},[],[]]', b'[1,0,0,0,{"r":[1]},{},[],[]]',
    ],
)  # fmt: skip
def test_a_damaged_state_is_a_checkpoint_error_that_names_the_shopper(data: bytes) -> None:
    with pytest.raises(CheckpointError) as caught:
        Activity.decode(data, "shopper-9")
    assert "shopper-9" in caught.value.message
    assert caught.value.way_out


def test_a_state_of_another_version_is_refused_by_its_version() -> None:
    data = Activity().encode().replace(b"[%d," % STATE_VERSION, b"[99,", 1)
    with pytest.raises(CheckpointError, match="version 99"):
        Activity.decode(data, "u")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_state_or_a_checkpoint_error(data: bytes) -> None:
    try:
        Activity.decode(data, "u")
    except CheckpointError as refused:
        assert "'u'" in refused.message  # noqa: PT017  # a state by chance would be no failure
