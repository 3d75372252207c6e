"""A shopper's activity: the ring, the ledger, and the bytes they are written down as."""

from __future__ import annotations

import random
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import CheckpointError
from stream.events import EventDecoder
from stream.gate.state.activity import STATE_VERSION, Activity
from stream.gate.state.ledger import DAY_MS, WEEK_MS
from stream.gate.state.recent import fingerprint

START = 1_700_000_000_000
_decode = EventDecoder().decode


def event(name: str, ts: int, kind: str = "view", **more: Any) -> Any:
    fields = {"event_id": name, "user_id": "u", "type": kind, "ts": ts, "item_id": "i", **more}
    return _decode(msgspec.json.encode(fields), ts)


def remember(activity: Activity, happening: Any, capacity: int = 24, cents: int = 0) -> None:
    activity.remember(happening, cents, fingerprint(happening.event_id), capacity)


def test_an_event_out_of_order_does_not_turn_the_clock_back() -> None:
    activity = Activity()
    remember(activity, event("a", START + 40))
    remember(activity, event("b", START + 20))
    assert activity.last_ts == START + 40
    assert [recent.event_id for recent in activity.recent.decode()] == ["b", "a"]


def test_full_recent_events_say_what_is_too_old_to_tell_from_a_repetition() -> None:
    activity = Activity()
    for n in range(4):
        assert not activity.too_old_to_know(START - 1, 4)
        remember(activity, event(f"e{n}", START + 10 * n), 4)
    assert activity.too_old_to_know(START - 1, 4)
    assert not activity.too_old_to_know(START, 4)


def test_a_trigger_shows_no_older_weeks_than_the_ledger_keeps() -> None:
    activity = Activity()
    activity.enter(START, "tea", 250, 2, 2)
    activity.last_ts = START + 3 * WEEK_MS
    assert activity.ledger_json(3) != b"[]"
    assert activity.ledger_json(2) == b"[]"


def test_counts_that_have_left_their_window_or_their_rule_are_forgotten() -> None:
    activity = Activity()
    activity.last_ts = 1000
    activity.counts = {"a.x.0": [1, 500, 990], "a.x.0|tea": [800], "gone.x.0": [1000], "b.x.0": []}
    activity.sweep({"a.x.0": 100, "b.x.0": 100})
    assert activity.counts == {"a.x.0": [990]}


@pytest.mark.parametrize("name", ["e%04d", "5b0f4a7e-9c1d-4b%02x-8f3e-2d6c1a%06x"])
def test_a_year_of_activity_is_at_most_a_kilobyte(name: str) -> None:
    rng = random.Random(7)
    activity = Activity()
    for n in range(60):
        ts = START + n * 6 * DAY_MS + rng.randrange(DAY_MS)
        made = str(uuid.UUID(int=rng.getrandbits(128))) if "-" in name else name % n
        kind = "order" if n % 4 == 0 else "view"
        remember(activity, event(made, ts, kind, item_id=str(rng.randrange(20_000)), scene="detail"), 24)
        if kind == "order":
            activity.enter(ts, rng.choice(["Dairy", "Frozen meat", "Snacks"]), rng.randrange(5_000), 1, 53)
    data = activity.encode()
    assert len(data) <= 1_024
    assert Activity.decode(data, "u").encode() == data


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
        remember(activity, happening, 5, draw(st.integers(0, 10**9)))
    for _ in range(draw(st.integers(0, 4))):
        activity.enter(
            START + draw(st.integers(0, 60)) * DAY_MS, draw(names), draw(st.integers(0, 10**11)), 2, 53
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
        if name == "ledger":
            assert again.ledger_json(99) == activity.ledger_json(99)
        elif name != "size":
            assert getattr(again, name) == getattr(activity, name), name


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12, unique=True), st.randoms())
def test_the_same_events_in_any_order_of_arrival_give_the_same_bytes(times: list[int], rng: Any) -> None:
    def written(order: list[int]) -> bytes:
        activity = Activity()
        for ts in order:
            remember(activity, event(f"e{ts}", START + ts), 12, ts)
            activity.enter(START + ts, f"c{ts % 3}", ts, 1, 53)
        return activity.encode()

    shuffled = times.copy()
    rng.shuffle(shuffled)
    assert written(shuffled) == written(times)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff", b"{}", b"[]", b"7", b"null", b"[2]", b"[null]", b'["2"]', b"[2,0,0,0,0,0,0,{},{},[]]",
        b"[2,0,0,0,0,0,0,{},{},[],[7]]", b"[2,0,0,0,0,0,0,{},{},[],[[]]]", b'[2,0,0,0,0,0,0,{},{},[],[["e","view",1]]]',
        b"[2,0,0,0,0,0,0,{},{},[[1]],[]]", b"[2,0,0,0,0,0,0,{},[],[],[]]", b'[2,"x",0,0,0,0,0,{},{},[],[]]',
        b"[2,0,0,0,0,0,0,{},{},[],[]", b"[" * 3000, b'[2,0,0,0,0,0,0,{"r":[1]},{},[],[]]', b"L", b"Lxx", b"Z", b"Zxxxxx",
        b"L\xff\xff\xff\x7f0",
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
