"""A shopper's newest events as lines: what is kept, in which order, and what is found again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import EventDecoder
from stream.gate.state.recent import Recent, RecentEvents, fingerprint

START = 1_700_000_000_000
_decode = EventDecoder().decode


def event(name: str, ts: int, kind: str = "view", **more: Any) -> Any:
    fields = {"event_id": name, "user_id": "u", "type": kind, "ts": ts, "item_id": "i", **more}
    return _decode(msgspec.json.encode(fields), ts)


class Keeper:
    """Recent events with the newest time that their shopper would keep."""

    def __init__(self, capacity: int) -> None:
        self.events, self.capacity, self.last = RecentEvents(), capacity, 0

    def add(self, happening: Any, cents: int = 0) -> None:
        newest = happening.ts >= self.last
        self.last = max(self.last, happening.ts)
        print_ = fingerprint(happening.event_id)
        self.events.add(happening, cents, print_, self.capacity, newest=newest)

    def has(self, name: str) -> bool:
        return fingerprint(name) in self.events.seen and self.events.has(name)

    @property
    def names(self) -> list[str]:
        return [recent.event_id for recent in self.events.decode()]


@pytest.mark.parametrize("asked_each_time", [True, False])
def test_the_newest_are_kept_and_the_oldest_forgotten(asked_each_time: bool) -> None:
    keeper = Keeper(4)
    for n in range(10):
        keeper.add(event(f"e{n}", START + n))
        if asked_each_time:
            keeper.events.lines()
    assert keeper.names == ["e6", "e7", "e8", "e9"]
    assert len(keeper.events) == 4
    assert keeper.events.oldest_ts() == START + 6


def test_an_event_out_of_order_is_put_where_it_belongs() -> None:
    keeper = Keeper(4)
    for name, ts in [("a", 10), ("d", 40), ("b", 20), ("c", 30), ("e", 35)]:
        keeper.add(event(name, START + ts))
    assert keeper.names == ["b", "c", "e", "d"]


def test_one_older_than_all_of_a_full_run_is_not_kept() -> None:
    keeper = Keeper(2)
    for name, ts in [("a", 10), ("b", 20), ("c", 5)]:
        keeper.add(event(name, START + ts))
    assert keeper.names == ["a", "b"]
    assert not keeper.has("c")


def test_a_recent_event_says_all_that_inference_needs() -> None:
    keeper = Keeper(4)
    keeper.add(event("e", START, "order", quantity=3, amount=9.99, scene="detail"), 999)
    keeper.add(event("s", START, "search", query="tea", item_id=None))
    assert keeper.events.decode() == [
        Recent("e", "order", START, "i", "detail", "", 3, 999),
        Recent("s", "search", START, query="tea"),
    ]


def test_the_same_fingerprint_is_no_proof() -> None:
    keeper = Keeper(4)
    keeper.add(event('a"],["b', START))
    assert keeper.has('a"],["b')
    assert not keeper.events.has("b")
    assert not keeper.events.has("a")


words = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=6)
steps = st.lists(st.tuples(words, st.integers(0, 20), st.none() | words, st.booleans()), max_size=24)


@settings(max_examples=150, deadline=None)
@given(steps, st.integers(1, 6))
def test_it_is_the_obvious_list(made: list[tuple[str, int, str | None, bool]], capacity: int) -> None:
    keeper = Keeper(capacity)
    obvious: list[tuple[int, str]] = []
    for number, (name, ts, query, asked) in enumerate(made):
        event_id = f"{name}{number}"
        keeper.add(event(event_id, START + ts, query=query))
        obvious.append((START + ts, event_id))
        obvious = sorted(obvious, key=lambda entry: entry[0])[-capacity:]
        if asked:
            keeper.events = RecentEvents.of(b"[%b]" % keeper.events.lines())
        assert all(keeper.has(known) for _, known in obvious)
        assert not keeper.has(f"{name}{number + 1}")
    assert keeper.names == [event_id for _, event_id in obvious]
    assert len(keeper.events) == len(obvious)


@pytest.mark.parametrize(
    "data", [b"", b"7", b"[7]", b'[["e","view"]]', b'[["e","view",1]]', b'[\n["e","view","x"]]']
)
def test_what_is_no_run_of_lines_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        RecentEvents.of(data)
