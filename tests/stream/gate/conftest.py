"""A gate worker as a process of its own, and what it leaves behind on Kafka and in Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from kafka import KafkaConsumer, TopicPartition
from msgspec.json import decode, encode

from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.valkey import valkey_spec, valkey_url
from stream.events import DefectiveEventError, EventDecoder
from stream.gate.gate import Arrival, Bounds, Gate, Partition
from stream.gate.merge import BEFORE_ALL, next_key
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.in_force import Boundary, begin, follow, generation_at
from stream.gate.rules.ruleset import load_rules, parse_rules
from stream.player import Player, Sent
from stream.settings import GateSettings, KafkaSettings
from stream.topics import create_topics
from stream.triggers import Trigger, decode_trigger

ROOT = Path(__file__).parents[3]


@dataclass
class GateProcess:
    """``nearline worker --roles gate`` on its own prefix of topics and keys."""

    brokers: str
    redis_url: str
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    prefix: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}.")

    def __post_init__(self) -> None:
        self.port = free_ports(1)[0]
        self.log = self.folder / f"{self.prefix}log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(brokers=self.brokers, prefix=self.prefix)

    @property
    def redis_prefix(self) -> str:
        return f"nl-{self.prefix}"

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "NEARLINE_STREAM__KAFKA__BROKERS": self.brokers,
            "NEARLINE_STREAM__KAFKA__PREFIX": self.prefix,
            "NEARLINE_STREAM__REDIS__URL": self.redis_url,
            "NEARLINE_STREAM__REDIS__PREFIX": self.redis_prefix,
            "NEARLINE_STREAM__WEB__PORT": str(self.port),
            "NEARLINE_INDEX__CATALOG": str(self.folder / "no-catalog"),
            "NEARLINE_RUN": str(self.folder / "run"),
            "NEARLINE_CONFIG": "",
            # A machine with other work may stop the broker for a while in the middle of a request.
            "NEARLINE_STREAM__GATE__MERGE_WAIT_MS": "150",
            **self.env,
        }

    def spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console", "worker", "--roles", "gate"],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.process

    def start(self) -> None:
        """Start and return when it owns its partitions."""
        self.spawn()
        self.wait_until("owns its partitions", self.ready)

    def wait_until(self, what: str, check: Any, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not check():
            assert self.process is not None
            if self.process.poll() is not None:
                pytest.fail(f"the worker ended with {self.process.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                pytest.fail(f"not within {timeout_s} s: {what}; {self.get('/stats')}; {self.tail()}")
            time.sleep(0.05)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def get(self, path: str) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}{path}", timeout=2) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def ready(self) -> bool:
        state = self.get("/health/ready")
        return state is not None and state["status"] == "ready"

    def accounting(self) -> dict[str, int]:
        stats = self.get("/stats")
        return dict(stats["gate"]["accounting"]) if stats else {}

    def received(self) -> int:
        return self.accounting().get("received", 0)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def end(self, timeout_s: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(timeout_s)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            self.kill()

    def play(self, events: list[Any], rate: float | None = None) -> Sent:
        async def sending() -> Sent:
            async with Player(self.kafka) as player:
                return await player.play(events, rate=rate, as_due=True)

        return asyncio.run(sending())

    def play_beside(self, events: list[Any], rate: float) -> threading.Thread:
        thread = threading.Thread(target=self.play, args=(events, rate))
        thread.start()
        return thread

    def create_topics(self) -> None:
        create_topics(self.kafka)

    def keys(self, part: str) -> dict[str, bytes]:
        """The values under ``PREFIXpart:``, by the key without the prefix."""
        with redis.Redis.from_url(self.redis_url) as client:
            names = sorted(client.scan_iter(f"{self.redis_prefix}{part}:*", count=1000))
            values = client.mget(names) if names else []
        cut = len(self.redis_prefix)
        return {name.decode()[cut:]: value for name, value in zip(names, values, strict=True)}

    def checkpointed(self) -> dict[str, int]:
        """The accounting in Redis, over all partitions."""
        total: dict[str, int] = {}
        for value in self.keys("offsets").values():
            for name, count in json.loads(value)["counts"].items():
                total[name] = total.get(name, 0) + count
        return total

    def records(self, topic: str) -> list[bytes]:
        return [record.value for record in self.raw(topic)]

    def raw(self, *topics: str) -> list[Any]:
        consumer = KafkaConsumer(bootstrap_servers=self.brokers, group_id=None, enable_auto_commit=False)
        try:
            parts = [
                TopicPartition(t, n) for t in topics for n in sorted(consumer.partitions_for_topic(t) or ())
            ]
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            found: list[Any] = []
            quiet = 0
            while quiet < 3:  # not up to end_offsets: Tansu's are wrong after batched sends
                batches = consumer.poll(timeout_ms=500)
                quiet = 0 if batches else quiet + 1
                for batch in batches.values():
                    found += batch
            return found
        finally:
            consumer.close()

    def by_the_log(self) -> tuple[dict[str, bytes], dict[str, Trigger]]:
        """What states and triggers must be, computed from the records on the topics in one sorted go."""
        kafka, settings = self.kafka, GateSettings()
        bounds = Bounds.of(settings)
        gate = Gate(CompiledRules(load_rules()), bounds)
        names = kafka.event_topic_names()
        decoders = [EventDecoder(event_type=topic.type) for topic in kafka.event_topics]
        keys: dict[tuple[str, int], Any] = {}
        arrivals: dict[int, list[tuple[Any, int, Arrival]]] = {}
        for record in self.raw(*names):
            rank, source = names.index(record.topic), (record.topic, record.partition)
            event: Any
            try:
                event = decoders[rank].decode(record.value, record.timestamp)
            except DefectiveEventError as error:
                event = error
            key = next_key(keys.get(source, BEFORE_ALL), record.timestamp, getattr(event, "ts", None))
            keys[source] = key
            arrival = Arrival(key, record.topic, record.offset, event, record.value, record.timestamp)
            arrivals.setdefault(record.partition, []).append((key, rank, arrival))
        states: dict[str, bytes] = {}
        triggers: list[bytes] = []
        for number, entries in arrivals.items():
            partition = Partition(number)
            entries.sort(key=lambda entry: (entry[0], entry[1], entry[2].offset))
            for boundary, stretch in self._stretches(number, [arrival for _, _, arrival in entries]):
                if boundary is not None:
                    rules = self._rules_of(boundary)
                    before = partition.in_force
                    partition.rules = rules
                    partition.in_force = begin(rules) if before is None else follow(before, rules)
                    assert partition.in_force.generation == boundary.generation
                outcome = gate.apply(partition, stretch, 0)
                triggers += [value for _, value in outcome.triggers]
                for user in partition.dirty:
                    states[f"state:{{p{number}}}:{user}"] = partition.users[user].encode()
                partition.dirty.clear()
        return states, by_id(triggers)

    def boundaries(self, number: int) -> list[Boundary]:
        """Where a partition changed its rules, by Redis."""
        with redis.Redis.from_url(self.redis_url) as client:
            values = client.hvals(f"{self.redis_prefix}boundaries:{{p{number}}}")
        found = [decode(value, type=Boundary) for value in values]
        return sorted(found, key=lambda boundary: boundary.generation)

    def _stretches(self, number: int, arrivals: list[Arrival]) -> list[tuple[Boundary | None, list[Arrival]]]:
        """A partition's events in order, cut where its rules changed."""
        boundaries = self.boundaries(number)
        assert [b.generation for b in boundaries] == list(range(len(boundaries)))
        found: list[tuple[Boundary | None, list[Arrival]]] = [(b, []) for b in boundaries] or [(None, [])]
        reached = 0
        for arrival in arrivals:
            generation = generation_at(boundaries, arrival.topic, arrival.offset)
            assert generation >= reached, "a boundary is not one place in the order of events"
            reached = generation
            found[generation][1].append(arrival)
        return found

    def _rules_of(self, boundary: Boundary) -> CompiledRules:
        with redis.Redis.from_url(self.redis_url) as client:
            text = client.hget(f"{self.redis_prefix}rules:{{book}}:texts", boundary.digest)
        return CompiledRules(parse_rules(text.decode(), "the book"), boundary.version)

    def triggers(self) -> dict[str, Trigger]:
        return by_id(self.records(self.kafka.triggers_topic))


def by_id(records: list[bytes]) -> dict[str, Trigger]:
    """Triggers without the times of this run; the same id must mean the same trigger."""
    found: dict[str, Trigger] = {}
    for value in records:
        trigger = decode_trigger(value)
        trigger.made_at = trigger.sent_at = 0
        same = found.setdefault(trigger.id, trigger)
        assert encode(same) == encode(trigger), "one trigger published twice with different contents"
    return found


@pytest.fixture
def new_gate(tmp_path: Path) -> Any:
    """Makes gate processes; ends what is left of them."""
    made: list[GateProcess] = []

    def make(brokers: str, redis_url: str, **env: str) -> GateProcess:
        gate = GateProcess(brokers, redis_url, tmp_path, env)
        made.append(gate)
        return gate

    yield make
    for gate in made:
        gate.close()


@dataclass
class DurableValkey:
    """A Valkey that finds its data again after it was stopped."""

    supervisor: Supervisor
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return valkey_url(self.port)

    def start(self) -> None:
        self.supervisor.start(valkey_spec(self.port, self.folder, append_only=True, name="durable"))

    def stop(self) -> None:
        self.supervisor.stop("durable")


@pytest.fixture(scope="session")
def durable_valkey(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("durable")
    with Supervisor(folder / "logs") as supervisor:
        server = DurableValkey(supervisor, free_ports(1)[0], folder / "data")
        server.start()
        yield server


@pytest.fixture(scope="session")
def gate_class() -> type[GateProcess]:
    """For fixtures that outlive a test."""
    return GateProcess
