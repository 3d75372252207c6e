"""Topics are read from a time on and up to now, whatever the broker says of its offsets."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndTimestamp

from stream.errors import BrokerUnavailableError
from stream.recorded import RecordedTopics
from stream.settings import KafkaSettings
from stream.topics import create_topics

BEGAN = int(time.time() * 1000) - 1_000_000


async def fill(kafka: KafkaSettings, topic: str, count: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.brokers)
    await producer.start()
    try:
        for place in range(count):
            await producer.send(topic, b"%d" % place, partition=0, timestamp_ms=BEGAN + place * 1000)
        await producer.flush()
    finally:
        await producer.stop()


async def read(kafka: KafkaSettings, topics: list[str], since: int | None) -> tuple[list[int], bool]:
    async with RecordedTopics(kafka, topics) as recorded:
        parts = [tp for found in (await recorded.partitions()).values() for tp in found]
        starts = await recorded.starts(parts, since)
        values = [
            int(record.value)
            async for batch, _ in recorded.read(starts)
            for records in batch.values()
            for record in records
        ]
        return values, recorded.scanned


@pytest.fixture
def filled(tansu: str, topic_prefix: str) -> tuple[KafkaSettings, str]:
    kafka = KafkaSettings(brokers=tansu, prefix=topic_prefix)
    create_topics(kafka)
    topic = str(kafka.topic_of("view"))
    asyncio.run(fill(kafka, topic, 200))
    return kafka, topic


@pytest.mark.real
@pytest.mark.parametrize("answer", [101, 150, 200])
def test_an_offset_that_is_too_late_for_the_time_is_found_out_and_all_is_read(
    filled: tuple[KafkaSettings, str], monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    async def wrong(self: Any, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        return dict.fromkeys(times, OffsetAndTimestamp(answer, BEGAN))

    monkeypatch.setattr(AIOKafkaConsumer, "offsets_for_times", wrong)
    kafka, topic = filled
    values, scanned = asyncio.run(read(kafka, [topic], BEGAN + 100_000))
    assert scanned
    assert values == list(range(200))


@pytest.mark.real
def test_a_broker_that_knows_no_offset_for_a_time_still_loses_no_record(
    filled: tuple[KafkaSettings, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(self: Any, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        return dict.fromkeys(times)

    monkeypatch.setattr(AIOKafkaConsumer, "offsets_for_times", none)
    kafka, topic = filled
    values, _ = asyncio.run(read(kafka, [topic], BEGAN + 100_000))
    assert values[-100:] == list(range(100, 200))


@pytest.mark.real
@pytest.mark.parametrize("said", [0, 1, 50])
def test_an_end_that_is_too_early_is_not_believed(
    filled: tuple[KafkaSettings, str], monkeypatch: pytest.MonkeyPatch, said: int
) -> None:
    async def wrong(self: Any, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(parts, said)

    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", wrong)
    kafka, topic = filled
    assert asyncio.run(read(kafka, [topic], None)) == (list(range(200)), False)


@pytest.mark.real
def test_from_a_time_on_what_was_sent_before_is_not_read(filled: tuple[KafkaSettings, str]) -> None:
    kafka, topic = filled
    values, scanned = asyncio.run(read(kafka, [topic], BEGAN + 150_000))
    assert set(range(150, 200)) <= set(values)
    assert not scanned
    assert asyncio.run(read(kafka, [topic], BEGAN + 10_000_000))[0] in ([], list(range(200)))


@pytest.mark.real
def test_topics_that_do_not_exist_or_are_empty_hold_nothing(filled: tuple[KafkaSettings, str]) -> None:
    kafka, _ = filled
    assert asyncio.run(read(kafka, [f"{kafka.prefix}nowhere"], None)) == ([], False)
    assert asyncio.run(read(kafka, [str(kafka.topic_of("click"))], BEGAN)) == ([], False)


@pytest.mark.real
def test_reading_ends_while_others_go_on_sending(filled: tuple[KafkaSettings, str]) -> None:
    kafka, topic = filled

    async def both() -> list[int]:
        stop = asyncio.Event()

        async def sending() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=kafka.brokers)
            await producer.start()
            try:
                while not stop.is_set():
                    await producer.send_and_wait(topic, b"999", partition=0)
                    await asyncio.sleep(0.002)
            finally:
                await producer.stop()

        task = asyncio.create_task(sending())
        await asyncio.sleep(0.5)
        try:
            async with asyncio.timeout(20):
                values, _ = await read(kafka, [topic], None)
        finally:
            stop.set()
            await task
        return values

    values = asyncio.run(both())
    assert [value for value in values if value != 999] == list(range(200))
    assert 10 < values.count(999) < 2000


@pytest.mark.real
def test_a_broker_that_does_not_answer_is_named() -> None:
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
        asyncio.run(read(KafkaSettings(brokers="127.0.0.1:1"), ["views"], None))
