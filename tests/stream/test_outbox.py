"""The outbox: what it has flushed is on the broker, also when the broker was away in between."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition

from stream.errors import BrokerUnavailableError
from stream.outbox import Outbox, partition_of
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from stream.embedded.kafka import KafkaCluster


def read(brokers: str, topic: str) -> list[tuple[int, bytes | None, bytes]]:
    with contextlib.closing(KafkaConsumer(bootstrap_servers=brokers, group_id=None)) as consumer:
        parts = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        found: list[tuple[int, bytes | None, bytes]] = []
        empty = 0
        while empty < 3:
            batches = consumer.poll(timeout_ms=500)
            empty = 0 if batches else empty + 1
            found += [(tp.partition, r.key, r.value) for tp, records in batches.items() for r in records]
        return found


@pytest.mark.real
@pytest.mark.parametrize("server", ["kafka", "tansu"])
async def test_what_was_flushed_is_there_once_in_order_and_in_the_partition_of_its_key(
    server: str, topic_prefix: str, request: pytest.FixtureRequest
) -> None:
    found: KafkaCluster | str = request.getfixturevalue(server)
    settings = KafkaSettings(
        brokers=found if isinstance(found, str) else found.bootstrap, prefix=topic_prefix
    )
    await asyncio.to_thread(create_topics, settings)
    outbox = Outbox(settings, "test")
    await outbox.start()
    for n in range(300):
        await outbox.send(settings.triggers_topic, b"%d" % n, key=f"user-{n % 7}")
    await outbox.flush()
    records = await asyncio.to_thread(read, settings.brokers, settings.triggers_topic)
    await outbox.stop()
    assert len(records) == 300
    for user in {key for _, key, _ in records}:
        assert user is not None
        mine = [(partition, int(value)) for partition, key, value in records if key == user]
        assert {partition for partition, _ in mine} == {partition_of(user.decode(), settings.partitions)}
        assert [n for _, n in mine] == sorted(n for _, n in mine)


@pytest.mark.real
async def test_a_broker_restarted_in_between_costs_no_record_and_doubles_none(
    kafka: KafkaCluster, topic_prefix: str
) -> None:
    settings = KafkaSettings(brokers=kafka.bootstrap, prefix=topic_prefix)
    await asyncio.to_thread(create_topics, settings)
    outbox = Outbox(settings, "test")
    await outbox.start()

    async def sending() -> None:
        for n in range(400):
            await outbox.send(settings.triggers_topic, b"%d" % n, key=str(n % 5))
            if n % 20 == 0:
                await asyncio.sleep(0.1)
        await outbox.flush()

    task = asyncio.create_task(sending())
    await asyncio.sleep(0.5)
    await asyncio.to_thread(kafka.kill)
    await asyncio.sleep(1)
    assert not task.done()
    await asyncio.to_thread(kafka.start)
    await asyncio.wait_for(task, 90)
    await outbox.stop()
    records = await asyncio.to_thread(read, settings.brokers, settings.triggers_topic)
    assert sorted(int(value) for _, _, value in records) == list(range(400))


async def test_a_broker_that_does_not_answer_at_the_start_is_named() -> None:
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
        await Outbox(KafkaSettings(brokers="127.0.0.1:1"), "test").start()


async def test_an_outbox_that_is_closed_takes_nothing() -> None:
    with pytest.raises(BrokerUnavailableError, match="closed"):
        await Outbox(KafkaSettings(), "test").send("topic", b"value", key=None)


@given(st.text(max_size=30).filter(lambda text: "\\ud" not in ascii(text)), st.integers(1, 50))
def test_a_shoppers_partition_is_the_one_that_the_clients_choose(user: str, partitions: int) -> None:
    everything = list(range(partitions))
    assert partition_of(user, partitions) == DefaultPartitioner()(user.encode(), everything, everything)
