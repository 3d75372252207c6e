"""From heartbeats to rates, minutes, lost workers and what needs a look."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from console.web.effect import effect
from console.web.live.beats import by_label, named, read_beats, total
from console.web.live.minutes import MINUTE_MS, Minute, Minutes
from console.web.live.picture import picture
from console.web.live.watch import Watch
from stream.gate.rules.book import Version
from stream.metrics.heartbeat import Beat, heartbeat_key, workers_key

START = 1_000_000 * MINUTE_MS


def beat(
    at: float,
    worker: str = "w1",
    roles: tuple[str, ...] = ("gate", "infer"),
    started: float = START - 1,
    **counts: float,
) -> Beat:
    metrics = {
        'nearline_events_received_total{partition="0"}': counts.get("received", 0.0),
        'nearline_events_total{partition="0",outcome="applied"}': counts.get("received", 0.0)
        - counts.get("dead", 0.0),
        'nearline_events_total{partition="0",outcome="dead"}': counts.get("dead", 0.0),
        'nearline_triggers_total{rule="five-views"}': counts.get("triggers", 0.0),
        'nearline_slates_total{rung="llm"}': counts.get("slates", 0.0),
        'nearline_slates_total{rung="popular"}': counts.get("popular", 0.0),
        'nearline_event_lag{topic="views",partition="0"}': counts.get("lag", 0.0),
        'nearline_accounting{partition="0",kind="received"}': 10.0,
        'nearline_accounting{partition="0",kind="applied"}': 10.0,
        'nearline_accounting_holds{partition="0"}': counts.get("holds", 1.0),
        'nearline_worker_ready{check="gate"}': 1.0,
        "nearline_checkpoint_age_seconds": counts.get("checkpoint", 0.5),
    }
    return Beat(
        1,
        worker,
        int(at),
        int(started),
        list(roles),
        "http://127.0.0.1:1",
        {"rules": "r1", "index": None},
        metrics,
    )


def watch() -> Watch:
    return Watch(Redis(), "nl:")


def test_a_metrics_key_is_read_with_its_labels_and_escapes() -> None:
    found = named('m{a="x\\"y\\\\n\\nz",b="1,c=\\"2\\""}')
    assert found == ("m", {"a": 'x"y\\n\nz', "b": '1,c="2"'})
    assert named("plain") == ("plain", {})


def test_totals_add_up_over_workers_and_labels() -> None:
    beats = [beat(START, "a", received=10, dead=1), beat(START, "b", received=5)]
    assert total(beats, "nearline_events_received_total") == 15
    assert total(beats, "nearline_events_total", outcome="dead") == 1
    assert total(beats, "nearline_events") is None, "a name is not a beginning"
    assert by_label(beats, "nearline_slates_total", "rung") == {"llm": 0, "popular": 0}


def test_rates_are_differences_of_the_same_workers_counts() -> None:
    seen = watch()
    for step in range(6):
        now = START + step * 2000
        seen.take(
            {"a": beat(now, "a", received=100 * step), "b": beat(now, "b", received=7)}, {"a", "b"}, now
        )
    assert seen.per_second("nearline_events_received_total") == pytest.approx(50)
    assert seen.grew("nearline_events_received_total") == 500
    assert seen.per_second("nearline_nothing") is None


def test_a_worker_started_anew_gives_no_negative_rate() -> None:
    seen = watch()
    seen.take({"a": beat(START, "a", received=1000)}, {"a"}, START)
    seen.take({"a": beat(START + 2000, "a", started=START + 1500, received=3)}, {"a"}, START + 2000)
    assert seen.per_second("nearline_events_received_total") is None


def test_a_silent_worker_is_lost_and_one_that_said_goodbye_is_not() -> None:
    seen = watch()
    seen.take({"a": beat(START, "a"), "b": beat(START, "b")}, {"a", "b"}, START)
    later = START + 12_000
    seen.take({"a": beat(later, "a")}, {"a", "b"}, later)
    assert [(one.worker, seconds) for one, seconds in seen.lost()] == [("b", 12.0)]
    assert [one.worker for one in seen.beats] == ["a"]
    seen.take({"a": beat(later, "a")}, {"a"}, later)
    assert seen.lost() == []


def test_a_worker_whose_clock_is_off_is_not_lost() -> None:
    seen = watch()
    for step in range(10):
        now = START + step * 2000
        seen.take({"a": beat(now - 3_600_000, "a", received=step)}, {"a"}, now)
    assert seen.lost() == []


def test_a_minute_counts_what_happened_in_it_whatever_workers_counted_before() -> None:
    seen = watch()
    assert (
        seen.take(
            {"a": beat(START - 30_000, "a", started=START - 10**6, received=1000)}, {"a"}, START - 30_000
        )
        is None
    )
    assert seen.take({"a": beat(START, "a", started=START - 10**6, received=1010)}, {"a"}, START) is None, (
        "not watched whole"
    )
    fresh = beat(START + 30_000, "b", started=START + 20_000, received=4, triggers=2, slates=1, popular=1)
    seen.take(
        {"a": beat(START + 30_000, "a", started=START - 10**6, received=1030), "b": fresh},
        {"a", "b"},
        START + 30_000,
    )
    done = seen.take(
        {"a": beat(START + MINUTE_MS, "a", started=START - 10**6, received=1030, lag=3)},
        {"a", "b"},
        START + MINUTE_MS,
    )
    assert done is not None
    assert done.at == START
    assert done.events["received"] == 24
    assert done.triggers == {"five-views": 2}
    assert done.slates == {"llm": 1, "popular": 1}
    assert done.lag == 3


def found_of(*beats: Beat, now: float = START) -> list[str]:
    seen = watch()
    seen.take({one.worker: one for one in beats}, {one.worker for one in beats}, now)
    return [one.what for one in picture(seen).findings]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, []),
        ({"holds": 0.0}, ["The accounting of partition 0 does not add up."]),
        ({"lag": 5000.0}, ["5,000 events wait on their topics."]),
        ({"checkpoint": 40.0}, ["The last checkpoint is 40 s old."]),
    ],
)
def test_what_needs_a_look_is_said_in_words(counts: dict[str, Any], words: list[str]) -> None:
    assert found_of(beat(START, **counts)) == words


def test_a_role_that_nobody_plays_is_said() -> None:
    assert found_of(beat(START, roles=("gate",))) == [
        "No worker with the role infer runs. Triggers wait on their topic."
    ]
    assert len(found_of()) == 2


def test_slates_below_the_model_and_dead_events_are_said_by_their_share() -> None:
    seen = watch()
    seen.take({"a": beat(START, "a")}, {"a"}, START)
    seen.take({"a": beat(START + 4000, "a", received=100, dead=20, slates=1, popular=3)}, {"a"}, START + 4000)
    found = [one.what for one in picture(seen).findings]
    assert any(one.startswith("75% of the slates") for one in found)
    assert any(one.startswith("20.0% of the events") for one in found)


def test_before_the_first_heartbeat_the_picture_is_empty_and_whole() -> None:
    found = picture(watch())
    assert found.sums is None
    assert [one.rate for one in found.stations] == [None] * 6
    assert {one.state for one in found.stations} == {"bad"}


def minute(number: int, received: int = 100, **triggers: int) -> Minute:
    return Minute(START + number * MINUTE_MS, {"received": received}, triggers)


def test_an_effect_is_means_of_whole_minutes_before_and_after() -> None:
    version = Version(2, "ann", START + 2 * MINUTE_MS + 500, "why", "d", 1, "")
    minutes = [
        minute(0, a=10),
        minute(1, a=20),
        minute(2, a=500),
        minute(3, a=1, b=3),
        minute(4, received=50, a=1),
    ]
    found = effect(version, minutes, START + 5 * MINUTE_MS)
    assert (found.before_minutes, found.after_minutes) == (2, 2)
    rows = {row.rule: row for row in found.rules}
    assert (rows["a"].before, rows["a"].after) == (15, 1)
    assert (rows["b"].before, rows["b"].after) == (0, 1.5)
    assert rows["all rules"].after == 2.5
    assert rows["a"].before_share == 150
    assert found.chart is not None
    assert [label for _, label in found.chart.marks] == ["v2"]


def test_an_effect_that_nobody_watched_has_no_figures() -> None:
    found = effect(Version(1, "ann", START, "why", "d", 0, ""), [], START + MINUTE_MS)
    assert (found.rules, found.chart) == ([], None)


@pytest.mark.real
async def test_of_two_consoles_the_first_writes_a_minute_and_both_read_it(valkey: str) -> None:
    redis = Redis.from_url(valkey)
    one, other = Minutes(redis, "nl:"), Minutes(redis, "nl:")
    assert await one.write(minute(1, a=5))
    assert not await other.write(minute(1, a=6))
    assert await other.write(minute(2))
    assert await other.read(START, START + 3 * MINUTE_MS) == [minute(1, a=5), minute(2)]
    assert await one.read(START + 2 * MINUTE_MS, START + 3 * MINUTE_MS) == [minute(2)]
    await redis.aclose()


@pytest.mark.real
async def test_heartbeats_are_found_by_the_roll_and_unreadable_ones_left_out(valkey: str) -> None:
    import msgspec

    redis = Redis.from_url(valkey)
    for name, value in (("a", msgspec.json.encode(beat(START, "a"))), ("b", b"{}"), ("c", b'{"schema":9}')):
        await redis.set(heartbeat_key("nl:", name), value)
        await redis.zadd(workers_key("nl:"), {name: START})
    await redis.zadd(workers_key("nl:"), {"gone": START, "long gone": START - 10**7})
    roll = await read_beats(redis, "nl:", START + 1000)
    assert set(roll.last) == {"a", "b", "c", "gone"}
    assert set(roll.beats) == {"a"}
    await redis.aclose()
