"""From heartbeats to rates, lost workers and what needs a look; and minutes to effects and to what slates held."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from console.web.effect import effect
from console.web.live.beats import by_label, named, read_beats, total
from console.web.live.broker import BrokerWatch
from console.web.live.minutes import MINUTE_MS, At, Minutes
from console.web.live.picture import picture
from console.web.live.watch import Watch
from console.web.pages.discovery import over_time
from console.web.words import when
from stream.embedded.ports import LOOPBACK, free_ports
from stream.gate.rules.book import Version
from stream.metrics.heartbeat import Beat, heartbeat_key, workers_key
from stream.metrics.minutes import Minute as Counts
from stream.metrics.minutes import write_minute
from stream.settings import KafkaSettings

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


def minute(number: int, received: int = 100, **triggers: int) -> At:
    return At({"received": received}, triggers, at=START + number * MINUTE_MS)


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


def test_an_effect_that_nobody_counted_has_no_figures() -> None:
    found = effect(Version(1, "ann", START, "why", "d", 0, ""), [], START + MINUTE_MS)
    assert (found.rules, found.shown, found.chart) == ([], [], None)


def slates(number: int, made: int, new: int, breadth: dict[str, int], **categories: int) -> At:
    return At(
        slates={"llm": made - 1, "popular": 1} if made else {}, channels={"dense": 10 * made}, discovery={"new": new},
        categories=categories, breadth=breadth, at=START + number * MINUTE_MS,
    )  # fmt: skip


def test_an_effect_tells_what_shoppers_were_shown_before_and_after() -> None:
    version = Version(2, "ann", START + MINUTE_MS + 500, "why", "d", 1, "")
    minutes = [slates(0, 2, 5, {"3": 2}), slates(2, 10, 0, {"3": 5, "5": 5}), slates(3, 0, 0, {})]
    shown = {
        one.name: (one.before, one.after) for one in effect(version, minutes, START + 4 * MINUTE_MS).shown
    }
    assert shown == {
        "slates a minute": (2, 5),
        "slates from the language model": (0.5, 0.9),
        "places with an item new to the shop": (0.25, 0),
        "places of a category new to the shopper": (0, 0),
        "categories of a slate": (3, 4),
    }


def test_what_slates_held_is_drawn_over_time_in_steps_that_suit_it() -> None:
    assert over_time([], START) == {}
    assert over_time([slates(0, 2, 5, {"3": 2}, Milk=20)], START + 9 * MINUTE_MS) == {}
    found = over_time(
        [slates(0, 2, 5, {"3": 2}, Milk=20), slates(1, 0, 0, {}), slates(2, 1, 1, {"4": 1}, Milk=5, Tea=5)],
        START + 3 * MINUTE_MS,
    )
    shares, categories, breadth = found.values()
    assert [line.last for line in shares.lines] == ["0%", "10.0%"]
    assert [(line.name, line.last) for line in categories.lines] == [("Milk", "50.0%"), ("Tea", "50.0%")]
    assert [line.last for line in breadth.lines] == ["4.0"]
    assert breadth.lines[0].points.count(",") == 2, "a minute without slates has no breadth"
    day = [slates(number, 1, 0, {"3": 1}, Milk=10) for number in range(1440)]
    assert over_time(day, START + 1440 * MINUTE_MS).popitem()[1].lines[0].points.count(",") == 97, (
        "quarters of an hour"
    )


def test_a_broker_that_is_away_is_said_on_now() -> None:
    seen = watch()
    seen.take({"a": beat(START, "a")}, {"a"}, START)
    found = picture(seen, "No Kafka broker answers at b:9092. Noticed at 10:00:00.")
    assert [one.state for one in found.stations] == ["bad"] + ["ok"] * 5
    assert [one.level for one in found.findings] == ["bad"]
    assert found.findings[0].what.startswith("The broker does not answer. No Kafka broker answers at b:9092")


@pytest.mark.real
async def test_whether_the_broker_answers_is_noticed_and_since_when(tansu: str) -> None:
    gone = BrokerWatch(KafkaSettings(brokers=f"{LOOPBACK}:{free_ports(1)[0]}"))
    await gone.ask(START)
    await gone.ask(START + 60_000)
    assert f"Noticed at {when(START, '%H:%M:%S')}" in gone.problem
    gone._kafka = KafkaSettings(brokers=tansu)
    await gone.ask(START + 70_000)
    assert gone.problem == ""


@pytest.mark.real
async def test_minutes_are_read_once_they_are_settled_and_kept_when_they_are_final(valkey: str) -> None:
    redis = Redis.from_url(valkey)
    ten_later = START + 10 * MINUTE_MS

    async def write(number: int, received: int) -> None:
        counts = Counts({"received": received}, triggers={"a": 1}, channels={"dense": 50}, slates={"llm": 1})
        await write_minute(redis, "nl:", START + number * MINUTE_MS, "w:1", counts, 7200)

    await write(0, 5)
    await write(10, 7)
    minutes = Minutes(redis, "nl:", 7200)
    assert minutes.between(0, ten_later * 2) == [], "nothing is known before it was read"
    await minutes.refresh(ten_later + MINUTE_MS + 5_000)
    assert [one.at for one in minutes.between(START, ten_later * 2)] == [START], "the newest is not settled"
    await minutes.refresh(ten_later + MINUTE_MS + 15_000)
    found = minutes.between(START, ten_later * 2)
    assert [(one.at, one.events["received"], one.places, one.made) for one in found] == [
        (START, 5, 50, 1), (ten_later, 7, 50, 1),
    ]  # fmt: skip
    await write(10, 9)
    await write(0, 99)
    await minutes.refresh(ten_later + MINUTE_MS + 25_000)
    assert [one.events["received"] for one in minutes.between(START, ten_later * 2)] == [5, 9]
    assert [one.at for one in minutes.between(START + 1, ten_later * 2)] == [ten_later]
    assert minutes.between(START, ten_later) == found[:1]
    await minutes.refresh(START + 7200_000 + MINUTE_MS)
    assert [one.at for one in minutes.between(0, ten_later * 2)] == [ten_later], "Redis has forgotten it, too"
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
