"""The merge: one order of a partition's topics, whenever and in whatever pieces they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import Defect, DefectiveEventError
from stream.gate.gate import Arrival
from stream.gate.merge import BEFORE_ALL, Horizon, Merge, next_key

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stream.gate.gate import MergeKey

TOPICS = ("views", "clicks", "orders")
NOTHING = DefectiveEventError(Defect.EMPTY, "stands for any record: the merge looks at keys only")
WAIT, LIMIT = 40.0, 1000.0


def arrival(topic: str, offset: int, sent_at: int, ts: int = 0) -> Arrival:
    return Arrival((sent_at, ts), topic, offset, NOTHING, b"", sent_at)


def merge() -> Merge:
    return Merge(TOPICS, WAIT, LIMIT)


def release(it: Merge, behind: Collection[str], asked: float, now: float) -> list[Arrival]:
    return it.release(Horizon(behind, asked, now), now)


def names(released: Sequence[Arrival]) -> list[tuple[str, int]]:
    return [(a.topic, a.offset) for a in released]


def test_events_wait_until_every_other_topic_was_found_empty_a_while_after_they_were_read() -> None:
    it = merge()
    it.add("orders", [arrival("orders", 0, 7)], 100)
    assert release(it, [], 100, 100) == []
    assert release(it, [], 139, 500) == [], "time alone proves nothing"
    assert names(release(it, [], 140, 500)) == [("orders", 0)]
    assert len(it) == 0


def test_an_earlier_event_that_comes_within_the_wait_goes_first() -> None:
    it = merge()
    it.add("orders", [arrival("orders", 0, 7)], 100)
    it.add("views", [arrival("views", 0, 6)], 139)
    assert names(release(it, [], 141, 141)) == [("views", 0), ("orders", 0)]


def test_an_event_read_only_now_waits_though_older_ones_are_due() -> None:
    it = merge()
    it.add("orders", [arrival("orders", 0, 7)], 100)
    it.add("orders", [arrival("orders", 1, 9)], 140)
    assert names(release(it, [], 150, 150)) == [("orders", 0)]
    it.add("views", [arrival("views", 0, 8)], 151)
    assert names(release(it, [], 200, 200)) == [("views", 0), ("orders", 1)]


def test_a_topic_that_is_behind_is_waited_for_up_to_where_it_was_read() -> None:
    it = merge()
    it.add("orders", [arrival("orders", n, 10 * n) for n in range(10)], 0)
    assert release(it, ["views"], 500, 500) == [], "nothing of views is known yet"
    it.add("views", [arrival("views", 0, 35)], 500)
    assert names(release(it, ["views"], 600, 600)) == [("orders", n) for n in range(4)]


def test_events_with_the_key_of_a_topic_that_is_behind_wait_for_its_others_of_that_key() -> None:
    it = merge()
    it.add("views", [arrival("views", 0, 5)], 0)
    it.add("clicks", [arrival("clicks", 0, 5)], 0)
    assert release(it, ["views"], 100, 100) == []
    it.add("views", [arrival("views", 1, 5), arrival("views", 2, 6)], 100)
    assert names(release(it, ["views"], 200, 200)) == [("views", 0), ("views", 1), ("clicks", 0)]


def test_a_topic_that_cannot_be_read_is_given_up_after_the_limit_and_until_it_is_read_again() -> None:
    it = merge()
    it.add("orders", [arrival("orders", 0, 7)], 0)
    now = 0.0
    while not (released := release(it, ["views"], now, now)):
        now += 50
        assert now < 5 * LIMIT
    assert names(released) == [("orders", 0)]
    assert LIMIT <= now <= LIMIT + 200
    it.add("orders", [arrival("orders", 1, 8)], now)
    assert names(release(it, ["views"], now + WAIT, now + WAIT)) == [("orders", 1)], "not waited for again"
    it.add("views", [arrival("views", 0, 9)], now + 50)
    it.add("orders", [arrival("orders", 2, 10)], now + 50)
    assert release(it, ["views"], now + 100, now + 100) == [], "it is read again, so it counts again"


def test_a_standstill_of_the_worker_is_not_patience_with_a_topic() -> None:
    it = merge()
    it.add("orders", [arrival("orders", 0, 7)], 0)
    assert release(it, ["views"], 0, 0) == []
    assert release(it, ["views"], 3_600_000, 3_600_000) == []


def test_a_broker_that_answers_nothing_is_waited_for_without_a_limit() -> None:
    it = merge()
    it.add("orders", [arrival("orders", 0, 7)], 0)
    for now in range(0, 20 * int(LIMIT), 50):
        assert it.release(Horizon(["views"], 0, 0), now) == []
    it.add("views", [arrival("views", 0, 5)], now)
    assert names(release(it, [], now + WAIT, now + WAIT)) == [("views", 0), ("orders", 0)]


def test_a_topic_far_ahead_is_read_no_further_and_the_slowest_always_is() -> None:
    it = merge()
    it.add("orders", [arrival("orders", n, n) for n in range(100)], 0)
    it.add("views", [arrival("views", 0, 1)], 0)
    assert it.ahead(["views", "orders"], held=50) == {"orders"}
    assert it.ahead(["views", "orders"], held=500) == set()
    assert it.ahead([], held=1) == set()


def test_keys_never_fall_along_a_topic_whatever_the_clocks_say() -> None:
    key = next_key(BEFORE_ALL, 100, 7)
    assert key == (100, 7)
    assert next_key(key, 100, 9) == (100, 9)
    assert next_key(key, 100, 3) == (100, 7)
    assert next_key(key, 90, 99) == (100, 99)
    assert next_key(key, 101, 1) == (101, 1), "an event from the future holds nothing back"
    assert next_key(key, -1, None) == key


@given(st.lists(st.tuples(st.integers(-1, 30), st.none() | st.integers(0, 30)), max_size=30))
def test_the_keys_of_a_topic_ascend(records: list[tuple[int, int | None]]) -> None:
    key: MergeKey = BEFORE_ALL
    for sent_at, ts in records:
        following = next_key(key, sent_at, ts)
        assert following >= key
        key = following


logs = st.fixed_dictionaries(
    {topic: st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12) for topic in TOPICS}
)


def build(steps: dict[str, list[tuple[int, int]]]) -> dict[str, list[Arrival]]:
    built: dict[str, list[Arrival]] = {}
    for topic, moves in steps.items():
        sent_at, key, built[topic] = 0, BEFORE_ALL, []
        for offset, (step, ts) in enumerate(moves):
            sent_at += step
            key = next_key(key, sent_at, ts)
            built[topic].append(Arrival(key, topic, offset, NOTHING, b"", sent_at))
    return built


@settings(max_examples=80, deadline=None)
@given(logs, st.data())
def test_topics_that_are_full_already_come_in_one_order_whatever_pieces_they_are_read_in(
    steps: dict[str, list[tuple[int, int]]], data: st.DataObject
) -> None:
    log = build(steps)
    rank = {topic: n for n, topic in enumerate(TOPICS)}
    expected = sorted(
        (a for arrivals in log.values() for a in arrivals), key=lambda a: (a.key, rank[a.topic], a.offset)
    )
    it, now = merge(), 0.0
    read = dict.fromkeys(TOPICS, 0)
    released: list[Arrival] = []
    while len(released) < len(expected):
        now += data.draw(st.sampled_from([1.0, 30.0, 100.0]))
        behind = [t for t in TOPICS if read[t] < len(log[t])]
        if behind:
            topic = data.draw(st.sampled_from(behind))
            count = data.draw(st.integers(1, 5))
            it.add(topic, log[topic][read[topic] : read[topic] + count], now)
            read[topic] += count
        released += release(it, [t for t in TOPICS if read[t] < len(log[t])], now, now)
    assert released == expected


@settings(max_examples=80, deadline=None)
@given(logs, st.data())
def test_what_is_released_of_each_topic_is_always_its_next_and_all_of_it_comes(
    steps: dict[str, list[tuple[int, int]]], data: st.DataObject
) -> None:
    log = build(steps)
    it, now = merge(), 0.0
    read = dict.fromkeys(TOPICS, 0)
    following = dict.fromkeys(TOPICS, 0)
    total = sum(map(len, log.values()))

    def take(released: Sequence[Arrival]) -> None:
        assert [a.key for a in released] == sorted(a.key for a in released)
        for a in released:
            assert a.offset == following[a.topic]
            following[a.topic] += 1

    for _ in range(data.draw(st.integers(0, 30))):
        now += data.draw(st.sampled_from([0.0, 1.0, 50.0, 5000.0]))
        topic = data.draw(st.sampled_from(TOPICS))
        count = data.draw(st.integers(0, 4))
        it.add(topic, log[topic][read[topic] : read[topic] + count], now)
        read[topic] = min(read[topic] + count, len(log[topic]))
        behind = data.draw(st.sets(st.sampled_from(TOPICS)))
        asked = now - data.draw(st.sampled_from([0.0, 20.0, 5000.0]))
        take(release(it, behind, asked, now))
    for topic in TOPICS:
        it.add(topic, log[topic][read[topic] :], now)
    take(release(it, [], now + WAIT, now + WAIT))
    assert sum(following.values()) == total
    assert len(it) == 0
