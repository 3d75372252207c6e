"""Drives one run: plays shopping to real workers, lets the nemesis at them, and writes the history."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cramjam
import redis as redis_module
import yaml

from stream.embedded.ports import free_ports
from stream.embedded.supervisor import ChildSpec, last_lines
from stream.gate.rules.ruleset import DEFAULT_RULES
from stream.player import Player
from stream.settings import GateSettings, KafkaSettings
from stream.topics import create_topics

from .history import History, as_text
from .shopping import hostile, waves

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence

    from .servers import Servers

__all__ = ["BROKEN", "Fleet", "Plan", "Run", "drive", "plan_of"]

ROOT = Path(__file__).parents[2]
DENSE_RULES = Path(__file__).with_name("rules.dense.yaml")
_PRODUCT = ("-m", "console", "worker", "--roles", "gate")
BROKEN = ("-m", "tests.chaos.broken_worker")
_CATCH_UP_S = 90.0
_START_S = 60.0


@dataclass(frozen=True)
class Plan:
    """What a run is like; a function of its seed.

    Attributes:
        workers: how many there are at the beginning.
        rate: events sent per second.
        rules: the rules file.
        settings: the gate's settings that differ from the default.
        faults: names of :data:`nemesis.FAULTS`, in order.
        command: what a worker runs, after the interpreter.
    """

    seed: int
    workers: int
    rate: float
    rules: Path
    settings: dict[str, str]
    faults: tuple[str, ...]
    command: tuple[str, ...] = _PRODUCT


def plan_of(seed: int, rounds: int = 6, nodes: int = 1) -> Plan:
    """The plan of a seed: kills in most rounds, everything else in between; a broker node of several among it."""
    rng = random.Random(f"plan {seed}")
    kills = ["kill", "storm", "kill", "storm", "kill_starting"]
    others = ["zombie", "valkey", "broker", "cut", "scale", "rules"]
    rng.shuffle(kills)
    rng.shuffle(others)
    if nodes > 1:
        others[0] = "broker_node"
    faults = [others[n // 2 % 6] if n % 2 else kills[n // 2 % 5] for n in range(rounds)]
    settings = {"CHECKPOINT_S": rng.choice(["0.2", "0.5", "1.0"])}
    if rng.random() < 0.5:
        settings["MAX_MEMORY_MB"] = (
            "0.05"  # twenty shoppers: most shoppers are written out and read again all the time
        )
    if rng.random() < 0.3:
        settings["BATCH_EVENTS"] = "50"
    return Plan(
        seed,
        workers=rng.choice([2, 3, 3]),
        rate=rng.choice([150.0, 250.0]),
        rules=rng.choice([DEFAULT_RULES, DENSE_RULES]),
        settings=settings,
        faults=tuple(faults),
    )


@dataclass
class Fleet:
    """The workers, by name. What ends by itself is noted and started again."""

    run: Run
    alive: list[str] = field(default_factory=list)
    made: int = 0

    def start(self, name: str | None = None) -> str:
        """Start a worker, a new one or one that was killed, and do not wait for it."""
        if name is None:
            self.made += 1
            name = f"{self.run.prefix}w{self.made}"
        env = self.run.environment(free_ports(1)[0])
        spec = ChildSpec(name, [sys.executable, *self.run.plan.command], env=env, cwd=ROOT, stop_grace_s=40)
        self.run.servers.supervisor.start(spec)
        self.alive.append(name)
        return name

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.alive.remove(name)
        self.run.servers.supervisor.kill(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal."""
        self.run.servers.supervisor.children[name].signal(number)

    def stop(self, *names: str) -> None:
        """SIGTERM, and note how they ended."""
        children = self.run.servers.supervisor.children
        self.run.servers.supervisor.stop(*names)
        for name in names:
            self.alive.remove(name)
            self._note(children[name], wanted=True)

    def tend(self) -> None:
        """Start again what has ended by itself, as a supervisor of processes does."""
        children = self.run.servers.supervisor.children
        for name in list(self.alive):
            if not children[name].alive:
                self._note(children[name], wanted=False)
                self.alive.remove(name)
                self.run.servers.supervisor.stop(name)
                self.start(name)

    def _note(self, child: Any, *, wanted: bool) -> None:
        said = " | ".join(last_lines(child.log, 3))
        code = child.process.returncode
        self.run.history.write(
            "exit", worker=child.spec.name, at=self.run.history.now(), wanted=wanted, code=code, said=said
        )


class Run:
    """What the nemesis has its hands on."""

    def __init__(self, plan: Plan, servers: Servers, history: History) -> None:
        self.plan = plan
        self.servers = servers
        self.history = history
        self.rng = random.Random(f"nemesis {plan.seed}")
        self.prefix = f"c{plan.seed}-{uuid.uuid4().hex[:6]}."
        self.kafka = KafkaSettings(brokers=servers.brokers, prefix=self.prefix, replication=servers.copies)
        self.fleet = Fleet(self)

    def environment(self, port: int) -> dict[str, str]:
        """What makes a worker one of this run."""
        gate = {f"NEARLINE_STREAM__GATE__{name}": value for name, value in self.plan.settings.items()}
        return {
            "NEARLINE_STREAM__KAFKA__BROKERS": self.servers.worker_brokers,
            "NEARLINE_STREAM__KAFKA__PREFIX": self.prefix,
            "NEARLINE_STREAM__REDIS__URL": self.servers.worker_redis_url,
            "NEARLINE_STREAM__REDIS__PREFIX": self.prefix,
            "NEARLINE_STREAM__WEB__PORT": str(port),
            "NEARLINE_STREAM__GATE__RULES": str(self.plan.rules),
            "NEARLINE_INDEX__CATALOG": str(self.history.path.parent / "no-catalog"),
            "NEARLINE_CONFIG": "",
            **gate,
        }

    def fault(self, what: str, kills: int = 0, **about: Any) -> None:
        """Note a fault in the history."""
        self.history.write("fault", at=self.history.now(), what=what, kills=kills, **about)

    def change_rules(self) -> int:
        """Put other rules in force by the command; return the number of their version."""
        rules = yaml.safe_load(self.plan.rules.read_text(encoding="utf-8"))
        chosen = self.rng.sample(rules["rules"], self.rng.randint(1, len(rules["rules"])))
        for rule in chosen:
            if "count" in rule["when"]:
                rule["when"]["count"] = self.rng.randint(2, 6)
            else:
                rule["cooldown"] = f"{self.rng.randint(1, 90)}m"
        rules["rules"] = [rule for rule in rules["rules"] if rule in chosen or self.rng.random() < 0.8]
        file = self.history.path.with_suffix(".rules.yaml")
        file.write_text(yaml.safe_dump(rules), encoding="utf-8")
        env = {**os.environ, **self.environment(0), "NEARLINE_STREAM__REDIS__URL": self.servers.redis_url}
        del env["NEARLINE_STREAM__WEB__PORT"]
        command = ["rules", "set", str(file), "--note", "chaos", "--author", "chaos", "--yes", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "console", *command],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"`nearline rules set` ended with {done.returncode}: {done.stderr[-500:]}")
        number = int(json.loads(done.stdout)["number"])
        self.history.write("rules", version=number, text=file.read_text(encoding="utf-8"))
        return number

    def checkpointed(self) -> dict[int, dict[str, int]]:
        """Per partition the offsets of its last checkpoint."""
        try:
            with self.servers.redis() as client:
                values = {
                    n: client.get(f"{self.prefix}offsets:{{p{n}}}") for n in range(self.kafka.partitions)
                }
        except redis_module.RedisError:
            return {}
        return {n: json.loads(value)["offsets"] for n, value in values.items() if value is not None}

    def applied(self) -> dict[int, int]:
        """Per partition the events that its last checkpoint covers."""
        return {number: sum(offsets.values()) for number, offsets in self.checkpointed().items()}

    def wait(self, check: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until ``check``, tending the fleet; False if it did not come true in time."""
        deadline = time.monotonic() + timeout_s
        while not check():
            if time.monotonic() > deadline:
                return False
            self.fleet.tend()
            time.sleep(0.1)
        return True

    def pause(self, shortest: float, longest: float) -> None:
        """Let a seeded time pass."""
        time.sleep(self.rng.uniform(shortest, longest))

    def await_progress(self, timeout_s: float = 15.0) -> bool:
        """Wait until every partition has been taken further than it is now."""
        now = self.applied()
        return self.wait(
            lambda: (
                len(after := self.applied()) == self.kafka.partitions
                and all(after[number] > now.get(number, 0) for number in after)
            ),
            timeout_s,
        )


class _Playing:
    """Plays waves from a thread of its own until it is told to stop."""

    def __init__(self, run: Run, shopping: Sequence[dict[str, Any]]) -> None:
        self._run = run
        self._shopping = shopping
        self._enough = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="playing")
        self._thread.start()

    def finish(self) -> None:
        """Return when the wave under way is acknowledged. Raises what went wrong while playing."""
        self._enough.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            asyncio.run(self._play())
        except BaseException as error:  # noqa: BLE001  # raised by finish()
            self._error = error

    async def _play(self) -> None:
        run, history = self._run, self._run.history
        events = hostile(self._shopping, run.plan.seed)
        began, sent = time.monotonic(), 0
        async with Player(run.kafka, patience_s=180.0) as player:  # a busy machine starts a broker slowly
            for wave in waves(events, longest=40):
                if self._enough.is_set():
                    return
                at = history.now()
                await player.play(wave)
                texts = [as_text(event) if isinstance(event, bytes) else event for event in wave]
                history.write("sent", at=at, acked=history.now(), events=texts)
                sent += len(wave)
                # The next wave carries a later millisecond than this one.
                await asyncio.sleep(max(0.002, began + sent / run.plan.rate - time.monotonic()))
                if time.monotonic() - began > sent / run.plan.rate + 1:
                    began = (
                        time.monotonic() - sent / run.plan.rate
                    )  # what a fault held up is not caught up on


def drive(plan: Plan, servers: Servers, shopping: Sequence[dict[str, Any]], path: Path) -> None:
    """Carry out ``plan`` and leave its history in ``path``."""
    from .nemesis import FAULTS

    with History(path) as history:
        run = Run(plan, servers, history)
        _begin(run)
        create_topics(run.kafka)
        playing = _Playing(run, shopping)
        try:
            for _ in range(plan.workers):
                run.fleet.start()
            run.await_progress(_START_S)
            for name in plan.faults:
                run.pause(0.0, 1.2)
                FAULTS[name](run)
                run.await_progress()
        finally:
            playing.finish()
        _end(run)


def _begin(run: Run) -> None:
    settings = GateSettings()
    run.history.write(
        "meta",
        seed=run.plan.seed,
        topics={run.kafka.prefix + topic.topic: topic.type for topic in run.kafka.event_topics},
        partitions=run.kafka.partitions,
        limits={
            "lateness_ms": int(settings.lateness_s * 1000),
            "recent_events": settings.recent_events,
            "ledger_weeks": settings.ledger_weeks,
            "max_event_bytes": settings.max_event_bytes,
            "future_ms": int(settings.future_s * 1000),
        },
        workers=run.plan.workers,
        faults=run.plan.faults,
        settings=run.plan.settings,
    )
    run.history.write("rules", version=0, text=run.plan.rules.read_text(encoding="utf-8"))


def _end(run: Run) -> None:
    """Wait for the end of the topics, stop the workers, and write down all that there is."""
    history, servers, kafka = run.history, run.servers, run.kafka
    names = kafka.event_topic_names()
    ends = servers.ends(names)

    def caught_up() -> bool:
        at = run.checkpointed()
        return all(at.get(number, {}).get(topic, 0) >= end for (topic, number), end in ends.items())

    done = run.wait(caught_up, _CATCH_UP_S)
    stuck = "" if done else f"not at the end after {_CATCH_UP_S:g} s: at {run.checkpointed()}, ends {ends}"
    run.fleet.tend()
    run.fleet.stop(*run.fleet.alive)
    history.write("end", at=history.now(), stuck=stuck)
    for record in servers.records(names):
        history.write(
            "record",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            value=as_text(record.value),
        )
    for kind, topic in (("trigger", kafka.triggers_topic), ("dead", kafka.dead_topic)):
        for record in servers.records([topic]):
            history.write(kind, value=as_text(record.value))
    with servers.redis() as client:
        for key in sorted(client.scan_iter(f"{run.prefix}*", count=1000)):
            part, _, rest = key.decode().removeprefix(run.prefix).partition(":{p")
            number, _, user = rest.partition("}")
            if part == "state":
                history.write(
                    "state",
                    partition=int(number),
                    user=user.removeprefix(":"),
                    value=as_text(_unpacked(client.get(key))),
                )
            elif part == "boundaries":
                for value in client.hvals(key):
                    line = json.loads(value)
                    fields = {name: line[name] for name in ("generation", "version", "offsets")}
                    history.write("boundary", partition=int(number), **fields)
            elif part == "offsets":
                history.write("offsets", partition=int(number), value=as_text(client.get(key)))
    servers.forget([*names, kafka.triggers_topic, kafka.dead_topic, kafka.slates_topic])


def _unpacked(state: bytes) -> bytes:
    """The text of a state: as it is, or after "L" as an LZ4 block, or after "Z" by Zstandard."""
    if state[:1] == b"L":
        return bytes(cramjam.lz4.decompress_block(state[1:]))
    return bytes(cramjam.zstd.decompress(state[1:])) if state[:1] == b"Z" else state
