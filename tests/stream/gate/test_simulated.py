"""A simulation fires exactly what the gate fired live over the same events."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from agents.settings import AgentSettings
from stream.datasets import open_dataset
from stream.gate.rules.ruleset import load_rules
from stream.settings import GateSettings
from stream.simulate import BrokerHistory, CostMeter, FileHistory, Rates, Report, Simulation, simulate
from stream.simulate.cost import NoTitles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stream.embedded.kafka import KafkaCluster
    from stream.simulate import Firing, History

pytestmark = pytest.mark.real

EVENTS = 4000
RATE = 2000.0
BEGAN = int(time.time() * 1000) - 3_600_000

DEFECTIVE: list[Any] = [
    b"no json at all",
    {"event_id": "e1", "user_id": "7", "type": "levitate", "ts": BEGAN, "item_id": "1"},
    {"event_id": "e2", "user_id": "7", "type": "view", "ts": "yesterday", "item_id": "1"},
    {"event_id": "e3", "user_id": "7", "type": "view", "ts": BEGAN + 30 * 86_400_000, "item_id": "1"},
    {"event_id": "e4", "user_id": "7", "type": "order", "ts": BEGAN, "item_id": "1", "quantity": -4},
]


def recent_events() -> list[Any]:
    """Real orders and their browsing, moved to this hour, a millisecond apart, with what goes wrong among them."""
    chance = random.Random(3)
    events: list[Any] = []
    for place, event in enumerate(open_dataset("completejourney").events(limit=EVENTS)):
        event["ts"] = BEGAN + place * 10
        event["user_id"] = f"u{int(event['user_id']) % 150}"
        events.append(event)
        if chance.random() < 0.03:
            events.append(dict(chance.choice(events[-40:])))  # a duplicate, most of them
        if chance.random() < 0.01:
            events.append({**event, "event_id": f"late{place}", "ts": event["ts"] - 90_000_000})
    for defective in DEFECTIVE:
        events.insert(chance.randrange(len(events)), defective)
    return events


def run(history: History, **options: Any) -> tuple[dict[str, Firing], Report]:
    fired: dict[str, Firing] = {}

    def told(firing: Firing) -> None:
        assert firing.id not in fired
        fired[firing.id] = firing

    rules = (load_rules(), CostMeter(Rates(), AgentSettings(), NoTitles()))
    report = asyncio.run(simulate(Simulation(rules, GateSettings(), told=told), history, **options))
    return fired, report


def same_firing(firing: Any) -> tuple[Any, ...]:
    return firing.rule, firing.user, firing.seq, firing.event_id, firing.ts


def assert_same_as_live(gate: Any, tmp_path: Path) -> None:
    events = recent_events()
    gate.start()
    gate.play(events, rate=RATE)
    gate.wait_until("all is received", lambda: gate.received() >= len(events))
    assert gate.end() == 0
    live = gate.triggers()
    assert len(live) > 100

    history = BrokerHistory(gate.kafka, GateSettings(), None)
    fired, report = run(history)
    assert {i: same_firing(t) for i, t in fired.items()} == {i: same_firing(t) for i, t in live.items()}
    counts = gate.checkpointed()
    assert msgspec.structs.asdict(report.accounting) == counts
    assert counts["dead"] == len(DEFECTIVE)
    assert counts["duplicate"] > 10
    assert counts["late"] > 10
    assert sum(rule.firings for rule in report.per_rule) == len(live) == report.cost.triggers

    file = tmp_path / "events.jsonl"
    file.write_bytes(
        b"\n".join(event if isinstance(event, bytes) else json.dumps(event).encode() for event in events)
    )
    from_file, _ = run(FileHistory(open_dataset(str(file)), gate.kafka, GateSettings()))
    assert {i: same_firing(t) for i, t in from_file.items()} == {i: same_firing(t) for i, t in live.items()}


def test_on_the_embedded_broker_the_firings_are_those_of_the_live_run(
    tansu: str, durable_valkey: Any, new_gate: Callable[..., Any], tmp_path: Path
) -> None:
    assert_same_as_live(new_gate(tansu, durable_valkey.url), tmp_path)


def test_on_apache_kafka_the_firings_are_those_of_the_live_run(
    kafka: KafkaCluster, durable_valkey: Any, new_gate: Callable[..., Any], tmp_path: Path
) -> None:
    assert_same_as_live(new_gate(kafka.bootstrap, durable_valkey.url), tmp_path)


def since_a_moment(gate: Any) -> BrokerHistory:
    """Events of two moments a while apart; the simulation from in between sees those of the second."""
    gate.create_topics()
    events = [event for event in recent_events() if isinstance(event, dict)]
    half = len(events) // 2
    gate.play(events[:half])
    time.sleep(0.5)
    moment = int(time.time() * 1000)
    time.sleep(0.5)
    gate.play(events[half:])
    everything, _ = run(BrokerHistory(gate.kafka, GateSettings(), None))
    history = BrokerHistory(gate.kafka, GateSettings(), moment)
    _, report = run(history)
    assert report.accounting.received == len(events) - half
    assert report.warm_up == 0

    # Warmed up by what came before, the later firings are those of a run over everything.
    warm = BrokerHistory(gate.kafka, GateSettings(), moment - 3_600_000)
    fired, report = run(warm, counts_from=moment)
    assert report.accounting.received == len(events) - half
    assert report.warm_up == half
    assert fired == {i: firing for i, firing in everything.items() if firing.sent_at >= moment}
    assert 0 < len(fired) < len(everything)
    return history


def test_since_a_moment_apache_kafka_is_read_from_there(
    kafka: KafkaCluster, new_gate: Callable[..., Any]
) -> None:
    assert since_a_moment(new_gate(kafka.bootstrap, "")).notes == []


def test_since_a_moment_the_embedded_broker_gives_the_same(tansu: str, new_gate: Callable[..., Any]) -> None:
    since_a_moment(new_gate(tansu, ""))


BATCH = 100


async def send_one_batch(brokers: str, topic: str) -> None:
    """One view each second up to now, in one batch of one request."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers)
    await producer.start()
    try:
        batch = producer.create_batch()
        for place in range(BATCH):
            ts = BEGAN + place * 1000
            event = {"event_id": f"b{place}", "user_id": "u1", "type": "view", "ts": ts, "item_id": "1"}
            assert batch.append(key=b"u1", value=json.dumps(event).encode(), timestamp=ts) is not None
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))
    finally:
        await producer.stop()


@pytest.mark.parametrize("after", [0, 1, 33, 99, 100])
def test_within_a_batch_a_broker_with_wrong_offsets_gives_no_other_events(
    tansu: str, kafka: KafkaCluster, new_gate: Callable[..., Any], after: int
) -> None:
    for brokers in (tansu, kafka.bootstrap):
        gate = new_gate(brokers, "")
        gate.create_topics()
        asyncio.run(send_one_batch(brokers, gate.kafka.topic_of("view")))
        history = BrokerHistory(gate.kafka, GateSettings(), BEGAN + after * 1000)
        _, report = run(history)
        assert report.accounting.received == BATCH - after
        scanned = any("offsets for a time are wrong" in note for note in history.notes)
        assert scanned <= (brokers == tansu)
