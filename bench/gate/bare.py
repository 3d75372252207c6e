"""aiokafka's batch read and msgspec's decode, nothing else: what a Python gate could at best be."""

from __future__ import annotations

import asyncio
import uuid

from aiokafka import AIOKafkaConsumer

from bench.gate.topic import TOPIC, Meter, environment
from stream.events import EventDecoder


async def main() -> None:
    """Read all events."""
    broker, _, count = environment()
    decode = EventDecoder()._decode  # noqa: SLF001  # the decode alone, without the gate's checks
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=broker,
        group_id=uuid.uuid4().hex,
        auto_offset_reset="earliest",
        check_crcs=False,
    )
    await consumer.start()
    meter, done = Meter(), 0
    while done < count:
        for records in (await consumer.getmany(timeout_ms=500, max_records=5000)).values():
            meter.first()
            for record in records:
                decode(record.value)
            done += len(records)
    meter.last(done)
    await consumer.stop()


asyncio.run(main())
