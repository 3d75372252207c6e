"""A worker with both roles on real servers, and the events that are sent to it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from stream.embedded.ports import LOOPBACK, free_ports
from stream.outbox import partition_of
from stream.player import Player
from stream.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stream.observed.collector import Collector

ROOT = Path(__file__).parents[3]
NOW = int(time.time() * 1000)
PRODUCERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
UNSAMPLED_TRACE = "5bf92f3577b34da6a3ce929d0e0e4737"
SECRET = "hunter2"  # a password to look for


class Running:
    """A worker with both roles on real servers, and what was sent to it."""

    def __init__(self, brokers: str, valkey: str, folder: Path, collector: Collector) -> None:
        self.kafka = KafkaSettings(brokers=brokers, prefix=f"obs{os.getpid()}.", partitions=2)
        self.folder = folder
        self.port = free_ports(1)[0]
        self.prefix = f"nl-{self.kafka.prefix}"
        self.redis_url = valkey
        self.log = folder / "worker.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEARLINE_")},
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "NEARLINE_STREAM__KAFKA__BROKERS": brokers,
            "NEARLINE_STREAM__KAFKA__PREFIX": self.kafka.prefix,
            "NEARLINE_STREAM__KAFKA__PARTITIONS": "2",
            "NEARLINE_STREAM__REDIS__URL": valkey,
            "NEARLINE_STREAM__REDIS__PREFIX": self.prefix,
            "NEARLINE_STREAM__WEB__PORT": str(self.port),
            "NEARLINE_STREAM__TRACING__ENDPOINT": collector.url,
            "NEARLINE_INDEX__ENCODER__KIND": "server",
            "NEARLINE_INDEX__ENCODER__URL": collector.encoder.url,
            "NEARLINE_INDEX__ENCODER__MODEL": collector.encoder.model,
            "NEARLINE_STREAM__TRACING__RATIO": "0.5",
            "NEARLINE_STREAM__LOGS": "json",
            "NEARLINE_INDEX__CATALOG": str(folder / "catalog"),
            # Nobody listens there: every slate comes from a lower rung of the ladder, and at once.
            "NEARLINE_AGENTS__RUNTIME": "server",
            "NEARLINE_AGENTS__SERVER__URL": f"http://nearline:{SECRET}@{LOOPBACK}:9/v1",
            "NEARLINE_AGENTS__SERVER__MODEL": "nobody",
            "NEARLINE_RUN": str(folder / "run"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console", "worker"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.page("/metrics"))
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(value for (found, has), value in self.samples().items() if found == name and wanted <= has)

    def until(self, what: str, check: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while True:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if check():
                    return
            except OSError:
                pass  # its page is not there yet
            assert time.monotonic() < deadline, (what, self.log.read_text()[-3000:])
            time.sleep(0.1)

    def explain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "console", "explain", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def records(self, topic: str) -> list[Any]:
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.brokers, enable_auto_commit=False)
        try:
            parts = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            found: list[Any] = []
            quiet = 0
            while quiet < 3:
                batches = consumer.poll(timeout_ms=300)
                quiet = 0 if batches else quiet + 1
                for batch in batches.values():
                    found += batch
            return found
        finally:
            consumer.close()


def views(user: str, count: int = 6) -> list[dict[str, Any]]:
    """Enough views for the default rules to fire."""
    return [
        {"event_id": f"{user}-{n}", "user_id": user, "type": "view", "ts": NOW - 1000 + n, "item_id": f"i{n}"}
        for n in range(count)
    ]


SHOPPERS = [f"u{n}" for n in range(12)]
EVENTS: list[Any] = [event for user in SHOPPERS for event in views(user)]
HOSTILE: list[Any] = [
    EVENTS[0],
    b"no json",
    {"event_id": "x", "user_id": "u1", "type": "levitate", "ts": NOW, "item_id": "i1"},
    {**EVENTS[1], "event_id": "old", "ts": NOW - 40 * 86_400_000},
    {
        "specversion": "1.0",
        "id": "wrapped",
        "source": "/shop",
        "type": "com.example.view",
        "subject": "u2",
        "time": "2024-05-04T10:00:00Z",
        "data": {"item_id": "i1", "ts": NOW},
    },
]
SENT = len(EVENTS) + len(HOSTILE) + 12


def checkpointed(running: Running) -> int:
    with redis.Redis.from_url(running.redis_url) as store:
        values = [store.get(f"{running.prefix}offsets:{{p{n}}}") for n in range(2)]
    return sum(json.loads(value)["counts"]["received"] for value in values if value)


def send(running: Running) -> None:
    """The shoppers' events, hostile ones, and two shoppers whose producer traces."""

    async def play() -> None:
        async with Player(running.kafka) as player:
            await player.play([*EVENTS, *HOSTILE])

    asyncio.run(play())
    producer = KafkaProducer(bootstrap_servers=running.kafka.brokers, acks="all")
    try:
        for user, trace, flags in (("traced", PRODUCERS_TRACE, "01"), ("untraced", UNSAMPLED_TRACE, "00")):
            for event in views(user):
                producer.send(
                    f"{running.kafka.prefix}views",
                    json.dumps(event).encode(),
                    key=user.encode(),
                    partition=partition_of(user, 2),
                    headers=[("traceparent", f"00-{trace}-00f067aa0ba902b7-{flags}".encode())],
                )
        producer.flush()
    finally:
        producer.close()
