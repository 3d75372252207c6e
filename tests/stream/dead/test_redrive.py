"""Dead records are found by what is asked, and their originals go through the front door once."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis

from stream.dead import DeadRecord, Origin, dead_record
from stream.dead.redrive import HEADER, Redrive, Redriven, refusal
from stream.dead.search import Dead, Filters, dead_at, find_dead, one_dead, user_of
from stream.outbox import partition_of
from stream.settings import EventTopic, KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KAFKA = KafkaSettings()


def dead(value: bytes | None, *, topic: str = "views", reason: str = "wrong_type", at: int = 1000) -> Dead:
    data = dead_record(value, Origin(topic, 0, 5), reason, "why", at)
    record = msgspec.json.decode(data, type=DeadRecord)
    return Dead(1, 2, record, data, user_of(record, KAFKA))


def test_the_shopper_is_read_from_the_original_under_the_topics_own_name() -> None:
    own = KafkaSettings(event_topics=[EventTopic(topic="acts", fields={"user_id": "uid"})])
    record = msgspec.json.decode(
        dead_record(b'{"uid": "u9"}', Origin("acts", 0, 0), "r", "d", 1), type=DeadRecord
    )
    assert user_of(record, own) == "u9"
    assert user_of(record, KAFKA) is None


@pytest.mark.parametrize("value", [b"", b"no json", b"[1]", b'{"user_id": 7}', b'{"user_id": ""}', b"\xff"])
def test_an_original_without_a_readable_shopper_has_none(value: bytes) -> None:
    assert dead(value).user is None


def test_filters_must_all_hold() -> None:
    found = dead(b'{"user_id": "u1"}', at=1000)
    assert Filters().match(found)
    assert Filters(frozenset({"wrong_type"}), frozenset({"views"}), 1000, 1001, frozenset({"u1"})).match(
        found
    )
    assert not Filters(reasons=frozenset({"malformed"})).match(found)
    assert not Filters(topics=frozenset({"clicks"})).match(found)
    assert not Filters(since=1001).match(found)
    assert not Filters(until=1000).match(found)
    assert not Filters(users=frozenset({"u2"})).match(found)


def test_what_is_no_dead_record_is_meant_only_if_nothing_is_filtered() -> None:
    found = Dead(0, 0, None, b"junk", None)
    assert Filters().match(found)
    assert not Filters(since=0).match(found)


def test_what_cannot_be_sent_again_is_refused_with_the_reason() -> None:
    assert refusal(dead(b'{"user_id": "u1"}'), KAFKA) is None
    assert refusal(dead(b"\xff\xfe"), KAFKA) is None
    assert "cut" in (refusal(dead(b"x" * 70_000), KAFKA) or "")
    assert "empty" in (refusal(dead(None), KAFKA) or "")
    assert "topic" in (refusal(dead(b"x", topic="elsewhere"), KAFKA) or "")
    assert "not a dead record" in (refusal(Dead(0, 0, None, b"junk", None), KAFKA) or "")
    damaged = dead(b"\xff\xfe")
    assert damaged.record is not None
    damaged.record.value_base64 = "@@@"
    assert "damaged" in (refusal(damaged, KAFKA) or "")


def kafka_of(brokers: str, prefix: str) -> KafkaSettings:
    return KafkaSettings(brokers=brokers, prefix=prefix, partitions=3)


async def bury(kafka: KafkaSettings, values: list[tuple[str, bytes]]) -> None:
    """Dead records of these originals, by event type, and one record that is none."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.brokers)
    await producer.start()
    try:
        for place, (kind, value) in enumerate(values):
            origin = Origin(str(kafka.topic_of(kind)), 0, place)
            record = dead_record(value, origin, "wrong_type", "why", int(time.time() * 1000))
            await producer.send_and_wait(kafka.dead_topic, record)
        await producer.send_and_wait(kafka.dead_topic, b"no dead record")
    finally:
        await producer.stop()


async def read_all(kafka: KafkaSettings, topic: str) -> list[Any]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.brokers, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Any] = []
    quiet = 0
    try:
        while quiet < 3:
            batch = await consumer.getmany(timeout_ms=300)
            quiet = 0 if batch else quiet + 1
            for records in batch.values():
                found += records
    finally:
        await consumer.stop()
    return found


async def send(kafka: KafkaSettings, url: str, *, again: bool = False) -> Redriven:
    client = Redis.from_url(url)

    async def every() -> AsyncIterator[Dead]:
        async for found in find_dead(kafka, Filters()):
            yield found

    try:
        return await Redrive(kafka, client, "nl:", again=again).send(every())
    finally:
        await client.aclose()


ORIGINALS = [
    ("view", json.dumps({"user_id": f"u{n}", "event_id": f"e{n}", "ts": "wrong"}).encode()) for n in range(20)
]


@pytest.mark.real
def test_originals_are_sent_once_to_their_topic_keyed_by_shopper(
    tansu: str, valkey: str, topic_prefix: str
) -> None:
    kafka = kafka_of(tansu, topic_prefix)
    create_topics(kafka)
    asyncio.run(bury(kafka, [*ORIGINALS, ("click", b"\xff no json"), ("view", b"x" * 70_000)]))
    first = asyncio.run(send(kafka, valkey))
    assert (first.sent, first.before, first.busy) == (21, 0, 0)
    assert sum(first.refused.values()) == 2
    views = asyncio.run(read_all(kafka, str(kafka.topic_of("view"))))
    assert sorted(record.value for record in views) == sorted(value for _, value in ORIGINALS)
    for record in views:
        user = json.loads(record.value)["user_id"]
        assert record.key == user.encode()
        assert record.partition == partition_of(user, 3)
        assert [name for name, _ in record.headers] == [HEADER]
    clicks = asyncio.run(read_all(kafka, str(kafka.topic_of("click"))))
    assert [(record.key, record.value) for record in clicks] == [(None, b"\xff no json")]

    second = asyncio.run(send(kafka, valkey))
    assert (second.sent, second.before) == (0, 21)
    assert len(asyncio.run(read_all(kafka, str(kafka.topic_of("view"))))) == 20
    third = asyncio.run(send(kafka, valkey, again=True))
    assert third.sent == 21
    assert len(asyncio.run(read_all(kafka, str(kafka.topic_of("view"))))) == 40


@pytest.mark.real
def test_two_runs_at_once_send_each_original_once(tansu: str, valkey: str, topic_prefix: str) -> None:
    kafka = kafka_of(tansu, topic_prefix)
    create_topics(kafka)
    asyncio.run(bury(kafka, ORIGINALS))

    async def both() -> list[Redriven]:
        return list(await asyncio.gather(send(kafka, valkey), send(kafka, valkey)))

    one, other = asyncio.run(both())
    assert one.sent + other.sent == 20
    views = asyncio.run(read_all(kafka, str(kafka.topic_of("view"))))
    assert sorted(record.value for record in views) == sorted(value for _, value in ORIGINALS)


@pytest.mark.real
def test_after_a_run_that_was_cut_off_before_it_could_say_so_what_arrived_is_not_sent(
    tansu: str, valkey: str, topic_prefix: str
) -> None:
    kafka = kafka_of(tansu, topic_prefix)
    create_topics(kafka)
    asyncio.run(bury(kafka, ORIGINALS[:4]))
    assert asyncio.run(send(kafka, valkey)).sent == 4
    now = int(time.time() * 1000)
    with redis.Redis.from_url(valkey) as client:
        claims = sorted(client.hkeys("nl:redriven"))
        for claim in claims[:2]:
            client.hset("nl:redriven", claim, f"sending:{now - 120_000}")
        client.hset("nl:redriven", claims[2], f"sending:{now}")  # that run may still be at work
    result = asyncio.run(send(kafka, valkey))
    assert (result.sent, result.before, result.busy) == (0, 3, 1)
    assert len(asyncio.run(read_all(kafka, str(kafka.topic_of("view"))))) == 4


@pytest.mark.real
def test_after_a_run_that_was_cut_off_between_claim_and_sending_the_original_is_sent(
    tansu: str, valkey: str, topic_prefix: str
) -> None:
    kafka = kafka_of(tansu, topic_prefix)
    create_topics(kafka)
    asyncio.run(bury(kafka, ORIGINALS[:1]))
    asyncio.run(claim_only(kafka, valkey))
    assert asyncio.run(send(kafka, valkey)).sent == 1
    assert len(asyncio.run(read_all(kafka, str(kafka.topic_of("view"))))) == 1


async def claim_only(kafka: KafkaSettings, url: str) -> None:
    """What a run leaves that was killed between its claim and its sending, two minutes ago."""
    (found,) = [found async for found in find_dead(kafka, Filters()) if found.record is not None]
    client = Redis.from_url(url)
    try:
        assert await Redrive(kafka, client, "nl:")._may_send(found, Redriven())
        (name,) = await client.hkeys("nl:redriven")
        await client.hset("nl:redriven", name, f"sending:{int(time.time() * 1000) - 120_000}")
    finally:
        await client.aclose()


@pytest.mark.real
def test_dead_records_are_found_by_filter_and_by_place(tansu: str, topic_prefix: str) -> None:
    kafka = kafka_of(tansu, topic_prefix)
    create_topics(kafka)
    began = int(time.time() * 1000)
    asyncio.run(bury(kafka, [*ORIGINALS, ("click", b'{"user_id": "u3"}')]))

    async def found(filters: Filters) -> list[Dead]:
        return [one async for one in find_dead(kafka, filters)]

    assert len(asyncio.run(found(Filters()))) == 22
    of_user = asyncio.run(found(Filters(users=frozenset({"u3"}))))
    assert sorted(str(one.record.topic) for one in of_user if one.record) == sorted(
        [str(kafka.topic_of("view")), str(kafka.topic_of("click"))]
    )
    assert len(asyncio.run(found(Filters(topics=frozenset({str(kafka.topic_of("click"))}))))) == 1
    assert len(asyncio.run(found(Filters(since=began)))) == 21
    assert asyncio.run(found(Filters(since=began + 600_000))) == []
    for one in of_user:
        assert asyncio.run(one_dead(kafka, one.place)) == one
    assert asyncio.run(one_dead(kafka, "0:10000")) is None
    assert asyncio.run(one_dead(kafka, "77:0")) is None

    async def at(places: list[str]) -> list[Dead]:
        return [one async for one in dead_at(kafka, places)]

    places = [one.place for one in of_user]
    assert sorted(one.place for one in asyncio.run(at([*places, "0:10000", "77:0"]))) == sorted(places)
    assert asyncio.run(at([])) == []
