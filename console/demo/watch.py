"""Counts what passes on the trigger and slate topics while the demo runs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka import AIOKafkaConsumer

from stream.kafka_clients import client_options
from stream.triggers import TriggerHead

if TYPE_CHECKING:
    from stream.settings import KafkaSettings

__all__ = ["Watch"]

_decode_head = msgspec.json.Decoder(TriggerHead).decode


class _Record(msgspec.Struct):
    """What the demo wants of a record on ``nearline.slates``; a superseded one has no slate."""

    trigger: str
    user: str
    outcome: str
    rung: str = ""
    made_at: int = 0
    timings_ms: dict[str, float] = {}
    candidates: list[msgspec.Raw] = []
    demands: list[dict[str, Any]] = []
    events: list[msgspec.Raw] = []


_decode_record = msgspec.json.Decoder(_Record).decode


class Watch:
    """Reads both topics from their start. Triggers are known by id, so a repeated one counts once.

    Attributes:
        triggers: by rule, how many fired.
        outcomes: trigger id to what became of it.
        rungs: slates served, by rung.
        timings: stage to milliseconds, one value a slate.
        empty: slates without candidates.
        first_slate_at: monotonic time at which the first slate was seen; None before.
        best: the user whose chain tells most, for the story.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._fired: set[str] = set()
        self.triggers: Counter[str] = Counter()
        self.outcomes: dict[str, str] = {}
        self.rungs: Counter[str] = Counter()
        self.timings: dict[str, list[float]] = {}
        self.empty = 0
        self.first_slate_at: float | None = None
        self.best: str | None = None
        self._best_richness = -1

    @property
    def fired(self) -> int:
        """Triggers seen."""
        return len(self._fired)

    @property
    def outstanding(self) -> int:
        """Triggers whose outcome has not been seen yet."""
        return len(self._fired - self.outcomes.keys())

    def lost(self) -> set[str]:
        """Triggers without an outcome."""
        return self._fired - self.outcomes.keys()

    async def run(self) -> None:
        """Read until cancelled."""
        consumer = AIOKafkaConsumer(
            self._kafka.triggers_topic,
            self._kafka.slates_topic,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
            **client_options(self._kafka),
        )
        await consumer.start()
        try:
            while True:
                for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                    for record in records:
                        if tp.topic == self._kafka.triggers_topic:
                            self._trigger(record.value)
                        else:
                            self._slate(record.value)
                await asyncio.sleep(0.01)
        finally:
            await consumer.stop()

    def _trigger(self, value: bytes) -> None:
        head = _decode_head(value)
        if head.id not in self._fired:
            self._fired.add(head.id)
            self.triggers[head.rule] += 1

    def _slate(self, value: bytes) -> None:
        record = _decode_record(value)
        if self.outcomes.get(record.trigger) == "served":
            return  # the record again, after a worker was killed between record and offset
        self.outcomes[record.trigger] = record.outcome
        if record.outcome != "served":
            return
        if self.first_slate_at is None:
            self.first_slate_at = time.monotonic()
        self.rungs[record.rung] += 1
        self.empty += not record.candidates
        for stage, ms in record.timings_ms.items():
            self.timings.setdefault(stage, []).append(ms)
        richness = len(record.events) + 5 * len(record.demands) if record.rung == "llm" else 0
        if richness >= self._best_richness:
            self._best_richness, self.best = richness, record.user
