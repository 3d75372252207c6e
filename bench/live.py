"""A gate worker under live shopping on Apache Kafka, and how late its triggers were on their topic.

The clock of a trigger runs from the timestamp that the player's client gave the event's record to the time at which
the broker took the trigger in (the topic of triggers is of ``LogAppendTime``). Both are the same machine's clock, and
nothing has to read along while it is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import math
import os
import platform
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from bench.recovery import Worker
from stream.datasets import open_dataset
from stream.embedded import EmbeddedStack
from stream.embedded.ports import LOOPBACK
from stream.kafka_clients import client_options
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

__all__ = ["Sample", "Scene", "Watch", "machine", "percentile", "shopping"]

_PATIENCE_S = 120.0


class Sample(NamedTuple):
    """One trigger: whose, when its event was sent, when it was made and when the broker took it in (seconds)."""

    user: str
    partition: int
    sent: float
    made: float
    taken: float

    @property
    def late_ms(self) -> float:
        """Milliseconds from event to trigger."""
        return (self.taken - self.sent) * 1000


class _Head(msgspec.Struct):
    user: str
    sent_at: int
    made_at: int


@dataclass
class Watch:
    """What a worker said and took while it was watched, asked twice a second from a thread's loop.

    Attributes:
        rss_mb: the most memory its process had.
        waiting: events read and not applied yet, at each look.
        load: the machine's load of the last minute, at each look.
        cpu_s: CPU seconds of the worker.
        seconds: how long it was watched.
        last: the last answer of ``/stats``.
    """

    rss_mb: float = 0.0
    waiting: list[int] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    seconds: float = 0.0
    last: dict[str, Any] = field(default_factory=dict)

    async def follow(self, worker: Worker) -> None:
        """Look until cancelled."""
        process = psutil.Process(worker.process.pid)
        began, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
        while True:
            self.rss_mb = max(self.rss_mb, process.memory_info().rss / 2**20)
            self.load.append(os.getloadavg()[0])
            self.cpu_s = sum(process.cpu_times()[:2]) - cpu
            self.seconds = time.perf_counter() - began
            with contextlib.suppress(OSError):  # busy; the next look tells
                self.last = await asyncio.to_thread(stats, worker)
                self.waiting.append(self.last["waiting"])
            await asyncio.sleep(0.5)


class Scene:
    """Apache Kafka, Valkey and one gate worker with the default settings, as a context manager.

    Args:
        more: settings of the worker that are not the defaults, as environment variables.
    """

    def __init__(self, more: dict[str, str] | None = None) -> None:
        self._more = more or {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
        stack = self._open.enter_context(EmbeddedStack(folder, broker="kafka"))
        self.kafka = kafka = KafkaSettings(brokers=stack.bootstrap)
        admin = KafkaAdminClient(**client_options(kafka))
        times = {"message.timestamp.type": "LogAppendTime"}
        admin.create_topics(
            [NewTopic(kafka.triggers_topic, kafka.partitions, kafka.replication, topic_configs=times)]
        )
        admin.close()
        create_topics(kafka)
        environment = {
            **os.environ,
            "NEARLINE_CONFIG": "",
            "NEARLINE_RUN": str(folder / "run"),
            "NEARLINE_STREAM__KAFKA__BROKERS": stack.bootstrap,
            "NEARLINE_STREAM__REDIS__URL": stack.redis_url,
            "NEARLINE_INDEX__CATALOG": str(folder / "no-catalog"),
            **self._more,
        }
        self.worker = Worker(environment, folder)
        self._open.callback(self.worker.stop)
        deadline = time.monotonic() + _PATIENCE_S
        while len(self.worker.owned()) < kafka.partitions:
            if time.monotonic() > deadline or self.worker.process.poll() is not None:
                log = (folder / f"worker-{self.worker.port}.log").read_text(errors="replace")
                raise SystemExit(f"the worker did not start:\n{log[-3000:]}")
            time.sleep(0.2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    async def play(self, events: Iterable[dict[str, Any]], rate: float) -> tuple[float, float, int]:
        """Play at a steady rate; give when it began and ended (seconds since the epoch), and how many were sent."""
        async with Player(self.kafka) as player:
            began = time.time()
            sent = await player.play(events, rate=rate)
            return began, time.time(), sent.events

    async def drained(self, received: int) -> dict[str, Any]:
        """Wait until the worker has received so many events in all; its statistics then."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            with contextlib.suppress(OSError):
                found = await asyncio.to_thread(stats, self.worker)
                if found["accounting"]["received"] >= received and not found["unacknowledged"]:
                    return found
            if time.monotonic() > deadline:
                raise SystemExit(f"the worker has not received {received:,} events in time: {found}")
            await asyncio.sleep(0.5)

    async def samples(self, since: float, until: float) -> list[Sample]:
        """The triggers whose events were sent between these times."""
        decode = msgspec.json.Decoder(_Head).decode
        found: list[Sample] = []
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.brokers, fetch_max_bytes=8_388_608)
        await consumer.start()
        try:
            places = [TopicPartition(self.kafka.triggers_topic, n) for n in range(self.kafka.partitions)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    for record in records:
                        head = decode(record.value)
                        sent, made, taken = head.sent_at / 1000, head.made_at / 1000, record.timestamp / 1000
                        if since <= sent <= until:
                            found.append(Sample(head.user, place.partition, sent, made, taken))
        finally:
            await consumer.stop()
        return found


def stats(worker: Worker) -> dict[str, Any]:
    """What the gate of a worker says of itself. Raises ``OSError`` where it does not answer."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{worker.port}/stats", timeout=5) as answer:
        return dict(json.load(answer)["gate"])


def shopping(count: int) -> list[dict[str, Any]]:
    """The first events of the Complete Journey data set, made beforehand so that playing them costs little."""
    events = list(itertools.islice(open_dataset("completejourney").events(), count))
    gc.collect()
    gc.freeze()  # the player must not stand still for half a second to walk over them
    gc.disable()
    return events


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; not a number where there is nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * share / 100) - 1)] if ranked else math.nan


def machine() -> str:
    """What it ran on."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; Apache Kafka, Valkey"
