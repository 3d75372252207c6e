"""The gate as a process, on Apache Kafka and Valkey: killed, stopped, cut off, and always the same state."""

from __future__ import annotations

import json
import random
import signal
import time
from bisect import bisect_left, insort
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import redis

from stream.datasets import open_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stream.embedded.kafka import KafkaCluster
    from stream.triggers import Trigger

pytestmark = pytest.mark.real

EVENTS = 6000
RATE = 1500.0
APART = 100
NOW = int(time.time() * 1000)

DEFECTIVE: list[dict[str, Any] | bytes] = [
    b"",
    b"no json at all",
    b'{"event_id": "cut", ',
    b"\xff\xfe\x00",
    b"[" * 50_000,
    json.dumps({"event_id": "long", "user_id": "7", "type": "search", "query": "x" * 500_000}).encode(),
    {"event_id": "", "user_id": "7", "type": "view", "ts": NOW, "item_id": "1"},
    {"event_id": "x\u0000y", "user_id": "7", "type": "view", "ts": NOW, "item_id": "1"},
    {"event_id": "e1", "user_id": "7", "type": "levitate", "ts": NOW, "item_id": "1"},
    {"event_id": "e2", "user_id": "7", "type": "view", "ts": "yesterday", "item_id": "1"},
    {"event_id": "e3", "user_id": "7", "type": "view", "ts": NOW + 30 * 86_400_000, "item_id": "1"},
    {"event_id": "e4", "user_id": "7", "type": "view", "ts": 12, "item_id": "1"},
    {"event_id": "e5", "user_id": "7", "type": "order", "ts": NOW, "item_id": "1", "quantity": -4},
    {"event_id": "e6", "user_id": "7", "type": "search", "ts": NOW},
]


class Played(NamedTuple):
    """Events, and how many of them are defective."""

    events: list[Any]
    defective: int


class Left(NamedTuple):
    """What a run leaves behind."""

    states: dict[str, bytes]
    triggers: dict[str, Trigger]
    counts: dict[str, int]


@pytest.fixture(scope="module")
def played() -> Played:
    """Real shopping with a hostile mix: defects, repetitions, stragglers, clocks that run ahead."""
    rng = random.Random(7)
    shopping = list(islice(open_dataset("completejourney").events(limit=EVENTS), EVENTS))
    places: dict[str, list[int]] = {}
    for place, event in enumerate(shopping):
        places.setdefault(event["user_id"], []).append(place)
    events: list[Any] = []
    defective = 0
    moments = {1000, 2000, 3000}

    def apart(user: str, place: int) -> bool:
        """Records carry milliseconds: only of those sent further apart is the order the same in every run."""
        near = bisect_left(places[user], place - APART) != bisect_left(places[user], place + APART)
        if not near:
            insort(places[user], place)
        return not near

    for place, event in enumerate(shopping):
        events.append(event)
        dice = rng.random()
        past = shopping[max(0, place - rng.randrange(600))]
        if dice < 0.02:
            events.append(rng.choice(DEFECTIVE))
            defective += 1
        elif dice < 0.06:
            events.append(shopping[max(0, place - rng.randrange(40))])
        elif place > min(moments, default=EVENTS) and apart(past["user_id"], place):
            # a shopper's clock five minutes ahead of the world's
            moments.remove(min(moments))
            ahead = {"event_id": f"ahead-{place}", "user_id": past["user_id"], "type": "view", "item_id": "1"}
            events.append({**ahead, "ts": NOW + 300_000})
        elif dice < 0.16 and apart(past["user_id"], place):
            moved = past["ts"] - rng.randrange(3 * 86_400_000)
            events.append({**past, "event_id": f"straggler-{place}", "ts": moved})
    assert not moments
    return Played(events, defective)


def finish(gate: Any, sent: int) -> Left:
    """Wait until everything sent has been received, stop the worker, and see what is there."""
    gate.wait_until(f"{sent} events are received", lambda: gate.received() >= sent)
    assert gate.end() == 0
    return left(gate)


def left(gate: Any) -> Left:
    """What the run left, which must be what follows from the records on its topics."""
    found = Left(gate.keys("state"), gate.triggers(), gate.checkpointed())
    states, triggers = gate.by_the_log()
    assert_equal(found.states, states)
    assert_equal(found.triggers, triggers)
    return found


def assert_same(one: Left, other: Left) -> None:
    """Two runs that were sent the same came to the same; each was compared with its own log already.

    Which of a shopper's events of one millisecond on two topics came first may differ between them, and so may what
    a trigger between the two had seen.
    """
    assert_equal(one.states, other.states)
    fired = [
        {key: (t.user, t.rule, t.seq, t.ts) for key, t in left.triggers.items()} for left in (one, other)
    ]
    assert_equal(*fired)


def assert_equal(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    different = [key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)]
    assert not different, (len(different), mine.get(different[0]), theirs.get(different[0]))


@pytest.fixture(scope="module")
def undisturbed(
    kafka: KafkaCluster, durable_valkey: Any, played: Played, gate_class: Any, tmp_path_factory: Any
) -> Left:
    gate = gate_class(kafka.bootstrap, durable_valkey.url, tmp_path_factory.mktemp("undisturbed"))
    try:
        gate.start()
        gate.play(played.events, RATE)
        found = finish(gate, len(played.events))
        check_dead(gate, played)
    finally:
        gate.close()
    return found


def check_dead(gate: Any, played: Played) -> None:
    """Every defective event is on the dead topic, with its reason, its place and its own bytes."""
    dead = [json.loads(record) for record in gate.records(gate.kafka.dead_topic)]
    places = {(entry["topic"], entry["partition"], entry["offset"]) for entry in dead}
    assert len(places) == len(dead) == played.defective
    assert {entry["reason"] for entry in dead} == {
        "empty", "malformed", "too_large", "wrong_type", "unknown_type", "bad_id", "bad_time", "bad_amount",
        "missing_field",
    }  # fmt: skip
    texts = {entry.get("value") for entry in dead}
    assert "no json at all" in texts
    assert any(entry.get("value_base64") == "//4A" for entry in dead)
    assert all(entry["detail"] for entry in dead)
    longest = max(dead, key=lambda entry: entry["size"])
    assert longest["size"] > 500_000
    assert longest["cut"]
    assert len(longest["value"]) == 65_536


def test_every_event_is_accounted_for_and_received_equals_sent(undisturbed: Left, played: Played) -> None:
    counts = undisturbed.counts
    assert counts["received"] == len(played.events)
    assert counts["received"] == counts["applied"] + counts["duplicate"] + counts["late"] + counts["dead"]
    assert counts["dead"] == played.defective
    assert counts["duplicate"] > 100
    assert counts["late"] > 50
    assert counts["triggers"] == len(undisturbed.triggers) > 100


def test_events_that_all_lie_on_the_topics_already_lead_to_the_same_state(
    kafka: KafkaCluster,
    durable_valkey: Any,
    played: Played,
    undisturbed: Left,
    new_gate: Callable[..., Any],
) -> None:
    gate = new_gate(kafka.bootstrap, durable_valkey.url)
    gate.create_topics()
    assert gate.play(played.events).events == len(played.events)
    gate.spawn()
    assert_same(finish(gate, len(played.events)), undisturbed)


def test_a_worker_killed_twice_while_events_flow_comes_to_the_same_state_and_loses_no_trigger(
    kafka: KafkaCluster,
    durable_valkey: Any,
    played: Played,
    undisturbed: Left,
    new_gate: Callable[..., Any],
) -> None:
    gate = new_gate(kafka.bootstrap, durable_valkey.url)
    total = len(played.events)
    gate.start()
    player = gate.play_beside(played.events, RATE / 2)
    for share in (0.15, 0.6):
        gate.wait_until("the moment to kill it has come", lambda s=share: gate.received() >= s * total)
        gate.kill()
        gate.spawn()
    player.join()
    found = finish(gate, total)
    assert found.counts["received"] == total
    assert_same(found, undisturbed)


def test_on_the_embedded_broker_a_killed_worker_comes_to_the_same_state(
    tansu: str, durable_valkey: Any, played: Played, undisturbed: Left, new_gate: Callable[..., Any]
) -> None:
    gate = new_gate(tansu, durable_valkey.url)
    total = len(played.events)
    gate.start()
    player = gate.play_beside(played.events, RATE)
    gate.wait_until("the moment to kill it has come", lambda: gate.received() >= total / 3)
    gate.kill()
    gate.spawn()
    player.join()
    gate.wait_until("all is received", lambda: gate.received() >= total)
    assert gate.end() == 0
    found = Left(gate.keys("state"), gate.triggers(), gate.checkpointed())
    assert found.counts["received"] == total
    assert_same(found, undisturbed)


def test_after_sigterm_the_checkpoint_is_complete_and_the_next_worker_takes_over_quickly(
    kafka: KafkaCluster, durable_valkey: Any, played: Played, undisturbed: Left, new_gate: Callable[..., Any]
) -> None:
    gate = new_gate(kafka.bootstrap, durable_valkey.url)
    gate.env["NEARLINE_STREAM__GATE__CHECKPOINT_S"] = "600"  # nothing but the last one
    gate.env["NEARLINE_STREAM__KAFKA__SESSION_TIMEOUT_S"] = "45"
    total = len(played.events)
    gate.start()
    player = gate.play_beside(played.events, RATE)
    gate.wait_until("half is received", lambda: gate.received() >= total / 2)
    assert gate.end() == 0
    counts = gate.checkpointed()
    assert counts["received"] >= total / 2
    began = time.monotonic()
    gate.start()
    took = time.monotonic() - began
    player.join()
    assert took < 40, "the session timeout alone is 45 s: the first worker did not leave the group"
    assert_same(finish(gate, total), undisturbed)


def test_a_worker_that_stood_still_past_its_session_changes_nothing_when_it_wakes(
    kafka: KafkaCluster, durable_valkey: Any, played: Played, undisturbed: Left, new_gate: Callable[..., Any]
) -> None:
    first = new_gate(kafka.bootstrap, durable_valkey.url)
    second = new_gate(kafka.bootstrap, durable_valkey.url)
    second.prefix = first.prefix
    total = len(played.events)
    first.start()
    player = first.play_beside(played.events, RATE)
    first.wait_until("a third is received", lambda: first.received() >= total / 3)
    first.signal(signal.SIGSTOP)
    second.spawn()
    player.join()
    second.wait_until("the other worker has done the rest", lambda: second.received() >= total)
    time.sleep(1.5)  # its checkpoint
    before = (second.keys("state"), {k: json.loads(v)["offsets"] for k, v in second.keys("offsets").items()})
    first.signal(signal.SIGCONT)
    first.wait_until("it is back in the group", first.ready)
    time.sleep(3)
    after = (second.keys("state"), {k: json.loads(v)["offsets"] for k, v in second.keys("offsets").items()})
    assert after == before
    assert first.end() == 0
    assert second.end() == 0
    assert_same(left(second), undisturbed)


def test_a_valkey_that_is_away_for_some_seconds_costs_nothing(
    kafka: KafkaCluster, durable_valkey: Any, played: Played, undisturbed: Left, new_gate: Callable[..., Any]
) -> None:
    gate = new_gate(kafka.bootstrap, durable_valkey.url)
    total = len(played.events)
    gate.start()
    player = gate.play_beside(played.events, RATE)
    gate.wait_until("a third is received", lambda: gate.received() >= total / 3)
    durable_valkey.stop()
    time.sleep(4)
    durable_valkey.start()
    player.join()
    assert_same(finish(gate, total), undisturbed)


def test_a_broker_that_is_away_for_some_seconds_costs_nothing(
    kafka: KafkaCluster, durable_valkey: Any, played: Played, undisturbed: Left, new_gate: Callable[..., Any]
) -> None:
    gate = new_gate(kafka.bootstrap, durable_valkey.url)
    gate.create_topics()
    total = len(played.events)
    gate.play(played.events)
    gate.spawn()
    gate.wait_until("it has begun", lambda: gate.received() >= 1)
    kafka.stop()
    time.sleep(2)
    kafka.start()
    assert_same(finish(gate, total), undisturbed)


def test_a_redis_that_lost_its_data_ends_the_worker_with_the_choices_explained(
    kafka: KafkaCluster, durable_valkey: Any, played: Played, new_gate: Callable[..., Any]
) -> None:
    gate = new_gate(kafka.bootstrap, durable_valkey.url)
    gate.start()
    gate.play(played.events[:500])
    gate.wait_until("the events are received", lambda: gate.received() >= 500)
    assert gate.end() == 0
    with redis.Redis.from_url(durable_valkey.url) as client:
        client.delete(*client.scan_iter(f"{gate.redis_prefix}*"))
    assert gate.spawn().wait(60) == 2
    said = gate.tail().strip().splitlines()[-1]
    assert said.startswith("nearline: Redis has no checkpoint of partition")
    assert "stream.gate.lost_state" in said
    assert "earliest" in said
    gate.env["NEARLINE_STREAM__GATE__LOST_STATE"] = "earliest"
    gate.spawn()
    gate.wait_until("the topics are read again", lambda: gate.received() >= 500)
    assert gate.end() == 0


def one_line(gate: Any) -> str:
    assert gate.spawn().wait(60) == 2
    lines = [line for line in gate.tail().splitlines() if line.startswith("nearline: ")]
    assert len(lines) == 1, gate.tail()
    assert "Traceback" not in gate.tail()
    return str(lines[0])


def test_a_missing_broker_at_start_is_one_clear_line_and_exit_code_2(
    durable_valkey: Any, new_gate: Callable[..., Any]
) -> None:
    said = one_line(new_gate("127.0.0.1:1", durable_valkey.url))
    assert "No Kafka broker answers at 127.0.0.1:1" in said
    assert "stream.kafka.brokers" in said


def test_a_missing_redis_at_start_is_one_clear_line_and_exit_code_2(
    kafka: KafkaCluster, new_gate: Callable[..., Any]
) -> None:
    said = one_line(new_gate(kafka.bootstrap, "redis://somebody:hunter2@127.0.0.1:1/0"))
    assert "No Redis answers at redis://127.0.0.1:1/0" in said
    assert "hunter2" not in said
    assert "stream.redis.url" in said


def test_a_wrong_rules_file_at_start_is_one_clear_line_and_exit_code_2(
    kafka: KafkaCluster, durable_valkey: Any, new_gate: Callable[..., Any], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 1\nrules:\n  - id: many\n    when: {types: [view], count: 5, within: 30}\n")
    said = one_line(new_gate(kafka.bootstrap, durable_valkey.url, NEARLINE_STREAM__GATE__RULES=str(rules)))
    assert f"{rules}, line 4: rule many, field when.within" in said
