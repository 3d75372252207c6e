"""The main job, end to end, on real parts: events in on the broker, slates out of Valkey."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import redis
from kafka import KafkaConsumer, TopicPartition

from stream.datasets import open_dataset
from stream.embedded.ports import free_ports
from stream.gate.state.checkpoint import Offsets
from stream.player import Player
from stream.settings import KafkaSettings
from stream.slates import Slate, Trace
from stream.topics import create_topics
from stream.triggers import TriggerHead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stream.embedded import KafkaCluster

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the demo has run in once, so that its catalogue is there."""
    return tmp_path_factory.mktemp("main-job")


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEARLINE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def summary(place: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The summary of a demo run."""
    done = subprocess.run(
        [sys.executable, "-m", "console", "demo", "--events", "500", "--json", "summary.json"],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "One shopper's story" in done.stdout
    return dict(json.loads((place / "summary.json").read_text()))


def test_every_event_of_the_demo_is_accounted_for(summary: dict[str, Any]) -> None:
    assert summary["sent"] == summary["received"] == 500
    parts = (summary["applied"], summary["duplicate"], summary["late"], summary["dead"])
    assert summary["received"] == sum(parts)
    assert summary["balanced"]


def test_every_trigger_of_the_demo_has_an_outcome_and_every_slate_its_candidates(
    summary: dict[str, Any],
) -> None:
    assert summary["triggers"] == summary["triggers_accounted"] == sum(summary["outcomes"].values())
    assert summary["slates"] > 0
    assert summary["slates_without_candidates"] == 0


def test_nine_slates_in_ten_come_from_the_language_model(summary: dict[str, Any]) -> None:
    assert summary["llm_share"] >= 0.9


def test_the_first_slate_is_there_long_before_the_last(summary: dict[str, Any]) -> None:
    # Its budget is a minute on a machine of its own; here others may be at work.
    assert 0 < summary["first_slate_s"] < 300


class Worker:
    """A real ``nearline worker`` on the shared broker and Valkey, that can be killed and started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._port = free_ports(1)[0]
        self._environment = {**environment, "NEARLINE_STREAM__WEB__PORT": str(self._port)}
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console", "worker", "--roles", "gate,infer"],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def read_all(broker: str, topic: str) -> list[bytes]:
    """Every record of a topic, by a client that is not the product's."""
    consumer = KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)
    try:
        parts = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        consumer.seek_to_beginning(*parts)
        values: list[bytes] = []
        while any(consumer.position(tp) < ends[tp] for tp in parts):
            for records in consumer.poll(timeout_ms=500).values():
                values += [record.value for record in records]
        return values
    finally:
        consumer.close()


@pytest.fixture
def store(valkey: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(valkey)
    yield client
    client.close()


def test_a_worker_killed_twice_loses_no_trigger_and_serves_each_shopper_their_newest(
    summary: dict[str, Any],  # its run has built the catalogue
    place: Path,
    environment: dict[str, str],
    kafka: KafkaCluster,
    valkey: str,
    store: redis.Redis,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    settings = KafkaSettings(brokers=kafka.bootstrap, prefix=topic_prefix)
    create_topics(settings)
    worker = Worker(
        {
            **environment,
            "NEARLINE_RUN": str(tmp_path),
            "NEARLINE_STREAM__KAFKA__BROKERS": kafka.bootstrap,
            "NEARLINE_STREAM__KAFKA__PREFIX": topic_prefix,
            "NEARLINE_STREAM__REDIS__URL": valkey,
            "NEARLINE_INDEX__CATALOG": str(place / ".nearline/demo/catalog"),
        },
        tmp_path / "worker.log",
    )
    events = list(open_dataset("completejourney").events(limit=600))

    async def send(part: list[dict[str, Any]]) -> None:
        async with Player(settings) as player:
            await player.play(part)

    def received() -> int:
        data = [store.get(f"nl:offsets:{{p{n}}}") for n in range(settings.partitions)]
        return sum(msgspec.json.decode(d, type=Offsets).counts.received for d in data if d)

    asyncio.run(send(events[:200]))
    worker.start()
    until(lambda: bool(list(store.scan_iter("nl:slate:*"))), 120, "a first slate")
    worker.end(signal.SIGKILL)  # in the middle of a batch: the model is slower than the events
    asyncio.run(send(events[200:400]))
    worker.start()
    until(lambda: received() >= 300, 120, "a checkpoint after the first kill")
    worker.end(signal.SIGKILL)
    asyncio.run(send(events[400:]))
    worker.start()
    until(lambda: received() == 600, 120, "all events")

    def outcomes() -> dict[str, str]:
        records = [json.loads(value) for value in read_all(kafka.bootstrap, settings.slates_topic)]
        return {record["trigger"]: record["outcome"] for record in records}

    fired = [
        msgspec.json.decode(v, type=TriggerHead) for v in read_all(kafka.bootstrap, settings.triggers_topic)
    ]
    ids = {trigger.id for trigger in fired}
    assert ids
    until(lambda: outcomes().keys() >= ids, 180, "an outcome of every trigger")
    assert worker.end(signal.SIGTERM) == 0

    newest: dict[str, TriggerHead] = {}
    for trigger in fired:
        if trigger.user not in newest or trigger.seq > newest[trigger.user].seq:
            newest[trigger.user] = trigger
    for user, trigger in newest.items():
        slate = msgspec.json.decode(store.get(f"nl:slate:{user}") or b"", type=Slate)
        trace = msgspec.json.decode(store.get(f"nl:trace:{user}") or b"", type=Trace)
        assert (slate.version, slate.trigger) == (trigger.seq, trigger.id)
        assert (trace.version, trace.trigger) == (slate.version, slate.trigger)
        assert slate.candidates
    parts = [store.get(f"nl:offsets:{{p{n}}}") for n in range(settings.partitions)]
    counts = [msgspec.json.decode(d, type=Offsets).counts for d in parts if d]
    assert all(count.balanced for count in counts)
    assert sum(count.received for count in counts) == 600
