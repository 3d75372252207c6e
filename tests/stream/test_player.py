"""The player: every event on its topic, counted, and what is no event too."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from stream.errors import BrokerUnavailableError
from stream.outbox import partition_of
from stream.player import Player, Sent
from stream.settings import EventTopic, KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from stream.embedded.kafka import KafkaCluster


def events(count: int) -> list[dict[str, Any] | bytes]:
    kinds = ["view", "search", "order"]
    return [
        {"event_id": f"e{n}", "user_id": f"u{n % 9}", "type": kinds[n % 3], "ts": n, "item_id": "i"}
        for n in range(count)
    ]


def counts(settings: KafkaSettings, topic: str) -> dict[int, list[Any]]:
    with contextlib.closing(KafkaConsumer(bootstrap_servers=settings.brokers, group_id=None)) as consumer:
        parts = [TopicPartition(topic, n) for n in range(settings.partitions)]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        found: dict[int, list[Any]] = {}
        empty = 0
        while empty < 3:
            batches = consumer.poll(timeout_ms=400)
            empty = 0 if batches else empty + 1
            for tp, records in batches.items():
                found.setdefault(tp.partition, []).extend(records)
        return found


@pytest.mark.real
@pytest.mark.parametrize("server", ["kafka", "tansu"])
async def test_events_arrive_on_their_topics_and_what_is_no_event_on_the_first(
    server: str, topic_prefix: str, request: pytest.FixtureRequest
) -> None:
    found: KafkaCluster | str = request.getfixturevalue(server)
    settings = KafkaSettings(
        brokers=found if isinstance(found, str) else found.bootstrap,
        prefix=topic_prefix,
        event_topics=[EventTopic(topic="views", type="view"), EventTopic(topic="rest")],
    )
    await asyncio.to_thread(create_topics, settings)
    odd: list[dict[str, Any] | bytes] = [
        b"no json", b"\xff\x00", {"type": 7}, {"type": "view", "user_id": ["u"]}, {"type": "levitate", "user_id": "u1"}, {},
    ]  # fmt: skip
    told: list[int] = []
    async with Player(settings) as player:
        sent = await player.play([*events(3000), *odd], told=lambda so_far: told.append(so_far.events))
    views, rest = f"{topic_prefix}views", f"{topic_prefix}rest"
    assert sent.events == 3006
    assert sent.by_topic == {views: 1000 + 5, rest: 2000 + 1}
    assert sent.seconds > 0
    assert told[-1] == 3006
    assert told == sorted(told)
    on_views = await asyncio.to_thread(counts, settings, views)
    on_rest = await asyncio.to_thread(counts, settings, rest)
    assert sum(map(len, on_views.values())) == 1005
    assert sum(map(len, on_rest.values())) == 2001
    values = [record.value for records in on_views.values() for record in records]
    assert b"no json" in values
    assert b"\xff\x00" in values
    for records in (on_views, on_rest):
        for partition, some in records.items():
            assert all(partition == partition_of(r.key.decode(), 4) for r in some if r.key)


@pytest.mark.real
async def test_a_rate_is_kept_and_pace_is_awaited(tansu: str, topic_prefix: str) -> None:
    settings = KafkaSettings(brokers=tansu, prefix=topic_prefix)
    await asyncio.to_thread(create_topics, settings)
    waited = 0

    async def pace() -> None:
        nonlocal waited
        waited += 1

    async with Player(settings) as player:
        began = time.perf_counter()
        sent: Sent = await player.play(events(300), rate=300, pace=pace)
        took = time.perf_counter() - began
    assert sent.events == 300
    assert 0.95 <= took < 3
    assert waited > 10


async def test_a_broker_that_does_not_answer_is_named() -> None:
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
        async with Player(KafkaSettings(brokers="127.0.0.1:1")):
            pass
