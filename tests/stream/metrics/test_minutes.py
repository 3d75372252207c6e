"""Counts are divided among minutes, written so that nothing counts twice, and summed over workers."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from redis.asyncio import Redis

from stream.embedded.ports import LOOPBACK, free_ports
from stream.metrics.minutes import (
    MINUTE_MS,
    MOST_NAMES,
    Count,
    Minute,
    MinuteKeeper,
    MinuteTally,
    minute_key,
    read_minutes,
    write_minute,
)
from stream.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

START = 1_000_000 * MINUTE_MS


def received(value: int, of: str = "0") -> Count:
    return Count("events", "received", value, of)


def test_what_grew_counts_in_the_minute_of_the_time_before() -> None:
    tally = MinuteTally()
    tally.take([received(5)], START + 1_000)
    tally.take([received(7)], START + 59_000)
    tally.take([received(10)], START + MINUTE_MS + 3)
    tally.take([received(14)], START + MINUTE_MS + 5_000)
    assert tally.unwritten() == [
        (START, Minute({"received": 10})),
        (START + MINUTE_MS, Minute({"received": 4})),
    ]


def test_a_minute_without_anything_is_a_minute_all_the_same() -> None:
    tally = MinuteTally()
    tally.take([], START)
    assert tally.unwritten() == [(START, Minute())]


def test_a_partition_that_comes_back_counts_from_its_new_beginning() -> None:
    tally = MinuteTally()
    tally.take([received(100, "0"), received(50, "1")], START)
    tally.take([received(101, "0"), received(3, "1")], START + 1_000)
    tally.take([received(102, "0")], START + 2_000)
    tally.take([received(103, "0"), received(2, "1")], START + 3_000)
    assert tally.unwritten() == [(START, Minute({"received": 100 + 50 + 1 + 3 + 1 + 1 + 2}))]


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 40_000)), min_size=1, max_size=60))
def test_however_the_time_goes_everything_is_counted_once(steps: list[tuple[int, int]]) -> None:
    tally = MinuteTally()
    value, now = 0, float(START)
    written: Counter[int] = Counter()
    for grown, ms in steps:
        value, now = value + grown, now + ms
        tally.take([received(value)], now)
        for at, minute in tally.unwritten():
            written[at] = minute.events.get("received", 0)
            tally.wrote(at)
    assert written.total() == value
    assert len(tally.unwritten()) <= 2


def test_minutes_that_cannot_be_written_are_kept_for_an_hour() -> None:
    tally = MinuteTally()
    for number in range(100):
        tally.take([received(number)], START + number * MINUTE_MS)
    kept = [at for at, _ in tally.unwritten()]
    assert len(kept) == 60
    assert kept[-1] == START + 98 * MINUTE_MS


def test_of_many_names_the_largest_are_kept_and_the_rest_is_other() -> None:
    tally = MinuteTally()
    tally.take([Count("categories", f"c{number}", number + 1) for number in range(500)], START)
    counts = tally.unwritten()[0][1].categories
    assert len(counts) == MOST_NAMES + 1
    assert counts["c499"] == 500
    assert sum(counts.values()) == 500 * 501 // 2


SETTINGS = RedisSettings(url=SecretStr(f"redis://{LOOPBACK}:{free_ports(1)[0]}/0"), timeout_s=0.5)


def wrong() -> Iterator[Count]:
    raise KeyError("a count that is not there")


@pytest.mark.parametrize("broken", [False, True])
async def test_what_fails_is_said_once_and_stops_nothing(
    broken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = MinuteKeeper(SETTINGS, "w:1", 7200)
    if broken:
        keeper.add(wrong)
    with caplog.at_level(logging.WARNING):
        assert [await keeper.write_once() for _ in range(3)] == [False] * 3
        await keeper.on_shutdown()
    assert len(caplog.records) == 1
    assert ("cannot be made" if broken else "Redis does not take") in caplog.text


@pytest.mark.real
async def test_a_minute_is_the_sum_of_its_workers_however_often_each_writes(valkey: str) -> None:
    redis = Redis.from_url(valkey)
    mine = Minute({"received": 5}, slates={"llm": 1}, breadth={"3": 1})
    for minute in (Minute({"received": 2}), mine, mine):
        await write_minute(redis, "nl:", START, "a:1", minute, 7200)
    await write_minute(redis, "nl:", START, "a:2", Minute({"received": 1}), 7200)
    await write_minute(redis, "nl:", START, "b:1", Minute({"dead": 1}, slates={"popular": 2}), 7200)
    await redis.hset(minute_key("nl:", START), "c:1", b"of a version to come")
    assert 7000 < await redis.ttl(minute_key("nl:", START)) <= 7200
    found = await read_minutes(redis, "nl:", [START, START + MINUTE_MS])
    assert found == [
        Minute({"received": 6, "dead": 1}, slates={"llm": 1, "popular": 2}, breadth={"3": 1}),
        None,
    ]
    await redis.aclose()


@pytest.mark.real
async def test_a_keeper_writes_what_its_sources_count_and_its_last_words(valkey: str) -> None:
    value = 3
    keeper = MinuteKeeper(RedisSettings(url=SecretStr(valkey)), "w:1", 7200)
    keeper.add(lambda: [Count("triggers", "five-views", value)])
    assert await keeper.write_once()
    value = 8
    await keeper.on_shutdown()
    redis = Redis.from_url(valkey)
    keys = [key async for key in redis.scan_iter("nl:minute:*")]
    starts = [int(key.rpartition(b":")[2]) for key in keys]
    minutes = [one for one in await read_minutes(redis, "nl:", starts) if one is not None]
    assert sum(one.triggers["five-views"] for one in minutes) == 8
    await redis.aclose()
