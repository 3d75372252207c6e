"""A million shoppers with a year of activity each: bytes in Redis, memory of the worker, and what forgetting costs.

    python -m bench.gate.million [--users 1000000] [--memory-mb 256] [--seed 7] [--json FILE]

The gate, its agent and its checkpoints as a worker runs them, to a real Valkey; only the broker is left out: events are
handed to the agent, and triggers are counted and not sent. First each shopper's year (30 to 60 events in sessions over
a year) is applied, shopper after shopper, with a checkpoint every few thousand shoppers. Then a twentieth of them
returns in random order, each with the last event of the year again (which must be found to be a duplicate, so the
state that was read back holds it) and a few new ones. One shopper in ten has events with random UUIDs for ids.

Memory: ``base`` is the process's before the first event, ``most`` at any checkpoint, ``end`` after the last.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import resource
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import psutil
from redis.asyncio import Redis

from bench.live import percentile
from stream.embedded.ports import free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.valkey import valkey_spec, valkey_url
from stream.gate.agent import GateAgent
from stream.gate.gate import Arrival, Bounds, Gate
from stream.gate.rules.book import RuleBook
from stream.gate.rules.live import LiveRules
from stream.gate.rules.ruleset import DEFAULT_RULES, read_rules
from stream.gate.state.checkpoint import CheckpointStore
from stream.outbox import Outbox, partition_of
from stream.settings import GateSettings, KafkaSettings
from stream.worker import quieten_collector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TOPIC = "events"
START = 1_704_067_200_000
YEAR_S = 365 * 86_400
ITEMS = 20_000
CATEGORIES = {str(item): f"department {item % 300:03d}" for item in range(ITEMS)}
TYPES = (
    ("view",) * 34
    + ("order",) * 22
    + ("click",) * 18
    + ("cart",) * 14
    + ("search",) * 6
    + ("impression",) * 6
)
QUERIES = ("frozen potatoes", "milk", "red wine", "birthday candles", "dog food")
SCENES = {"view": "detail", "click": "recommendation", "search": "search", "impression": "recommendation"}
BATCH = 5_000  # as a worker's reads
RETURN_SHARE = 0.05
RETURN_EVENTS = 4
SAMPLED = 200_000


class _Event(msgspec.Struct, gc=False):
    event_id: str
    user_id: str
    type: str
    ts: int
    item_id: str | None = None
    query: str | None = None
    quantity: int | None = None
    amount: float | None = None
    scene: str | None = None
    session_id: str | None = None
    synthetic: bool | None = None


def _event(dice: random.Random, user: str, event_id: str, ts: int) -> _Event:
    kind = TYPES[int(dice.random() * len(TYPES))]
    event = _Event(event_id, user, kind, ts, scene=SCENES.get(kind))
    if kind == "search":
        event.query = QUERIES[int(dice.random() * len(QUERIES))]
    else:
        event.item_id = str(int(dice.random() * ITEMS))
    if kind == "order":
        event.quantity, event.amount = 1, int(dice.random() * 5_000) / 100
    return event


def year(seed: int, number: int) -> list[_Event]:
    """A shopper's year: sessions of up to nine events, seconds apart, at random times of the year."""
    dice = random.Random(seed << 32 | number)
    user, count = f"user-{number:07d}", dice.randint(30, 60)
    times: list[int] = []
    while len(times) < count:
        began = START + int(dice.random() * YEAR_S) * 1000
        times += [began + place * 20_000 for place in range(min(dice.randint(1, 9), count - len(times)))]
    times.sort()
    if number % 10 == 0:
        ids = [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in times]
    else:
        ids = [f"e-{number:07d}-{place:03d}" for place in range(count)]
    return [_event(dice, user, event_id, ts) for event_id, ts in zip(ids, times, strict=True)]


def again(seed: int, number: int) -> list[_Event]:
    """The shopper returns: the last event of the year a second time, and a few new ones."""
    last = year(seed, number)[-1]
    dice = random.Random(seed << 33 | number)
    more = (f"r-{number:07d}-{place}" for place in range(RETURN_EVENTS))
    return [
        last,
        *(
            _event(dice, last.user_id, event_id, last.ts + 86_400_000 + place * 20_000)
            for place, event_id in enumerate(more)
        ),
    ]


class Silent(Outbox):
    """Counts what would be sent."""

    sent = 0

    async def send_all(
        self,
        topic: str,  # noqa: ARG002  # named as the outbox names them
        partition: int,  # noqa: ARG002
        records: Sequence[tuple[bytes | None, bytes]],
    ) -> None:
        """Count."""
        self.sent += len(records)


class TimedAgent(GateAgent):
    """Notes how long forgetting took, each time that there was something to forget."""

    evictions: list[float]

    def _forget_idle(self) -> None:
        users, began = self.users_in_memory, time.perf_counter()
        super()._forget_idle()
        if self.users_in_memory < users:
            self.evictions.append((time.perf_counter() - began) * 1000)


class Run:
    """Hands events to the agent and looks at the process at every checkpoint."""

    def __init__(self, agent: TimedAgent, partitions: int) -> None:
        self.agent = agent
        self.epochs: dict[int, int] = {}
        self.offsets = dict.fromkeys(range(partitions), 0)
        self.partitions = partitions
        self.process = psutil.Process()
        self.base_mb = self.rss_mb()
        self.most_mb = self.most_held_mb = 0.0
        self.checkpoints_ms: list[float] = []

    def rss_mb(self) -> float:
        """Memory of the process."""
        return float(self.process.memory_info().rss) / 2**20

    async def play(self, shoppers: Iterator[list[_Event]], every: int) -> dict[str, float]:
        """Apply one shopper's events after another's, a checkpoint every so many shoppers; events and seconds."""
        waiting: dict[int, list[Arrival]] = {number: [] for number in range(self.partitions)}
        events, shopper, making = 0, 0, 0.0
        began, cpu = time.perf_counter(), _cpu()
        while True:
            # Making the events is not the gate's work.
            at = time.process_time()
            made = next(shoppers, None)
            making += time.process_time() - at
            if made is None:
                break
            shopper += 1
            events += len(made)
            number = partition_of(made[0].user_id, self.partitions)
            batch, offset = waiting[number], self.offsets[number]
            for place, event in enumerate(made):
                batch.append(Arrival((event.ts, event.ts), TOPIC, offset + place, event, None, event.ts))
            self.offsets[number] += len(made)
            if len(batch) >= BATCH:
                await self._apply(number, waiting)
            if shopper % every == 0:
                await self._checkpoint(waiting)
        await self._checkpoint(waiting)
        return {
            "events": events,
            "seconds": time.perf_counter() - began,
            "cpu_s": _cpu() - cpu - making,
            "end_mb": self.rss_mb(),
        }

    async def _apply(self, number: int, waiting: dict[int, list[Arrival]]) -> None:
        batch, waiting[number] = waiting[number], []
        await self.agent.apply(number, self.epochs[number], batch)

    async def _checkpoint(self, waiting: dict[int, list[Arrival]]) -> None:
        for number in waiting:
            await self._apply(number, waiting)
            self.most_mb = max(self.most_mb, self.rss_mb())
        self.most_mb = max(self.most_mb, self.rss_mb())
        self.most_held_mb = max(self.most_held_mb, self.agent.memory_bytes / 2**20)
        began = time.perf_counter()
        await self.agent.checkpoint()
        self.checkpoints_ms.append((time.perf_counter() - began) * 1000)
        self.most_mb = max(self.most_mb, self.rss_mb())


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def sizes(redis: Redis, store: CheckpointStore, numbers: Sequence[int], partitions: int) -> list[int]:
    """STRLEN of the states of these shoppers."""
    found: list[int] = []
    for start in range(0, len(numbers), 5_000):
        async with redis.pipeline(transaction=False) as pipe:
            for number in numbers[start : start + 5_000]:
                user = f"user-{number:07d}"
                pipe.strlen(store.state_key(partition_of(user, partitions), user))
            found += await pipe.execute()
    if 0 in found:
        raise SystemExit("a shopper has no state in Redis")
    return found


async def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Both passes, and what they left."""
    redis = Redis.from_url(url)
    empty = (await redis.info("memory"))["used_memory"]
    settings = GateSettings(max_memory_mb=options.memory_mb)
    kafka = KafkaSettings()
    live = LiveRules(RuleBook(redis, "nl:"), read_rules(DEFAULT_RULES), str(DEFAULT_RULES))
    await live.start()
    store = CheckpointStore(redis, "nl:")
    outbox = Silent(kafka, "bench")
    agent = TimedAgent(Gate(live.seed, Bounds.of(settings), CATEGORIES), store, outbox, live, kafka, settings)
    agent.evictions = []
    quieten_collector()
    run = Run(agent, kafka.partitions)
    for number in range(kafka.partitions):
        run.epochs[number] = (await agent.take_over(number)).epoch
    seed, users = options.seed, options.users
    first = await run.play((year(seed, number) for number in range(users)), options.every)
    after = await redis.info("memory")
    dice = random.Random(seed)
    numbers = range(users) if users <= SAMPLED else dice.sample(range(users), SAMPLED)
    lengths = await sizes(redis, store, numbers, kafka.partitions)
    plain = [length for number, length in zip(numbers, lengths, strict=True) if number % 10]
    random_ids = [length for number, length in zip(numbers, lengths, strict=True) if not number % 10]
    held, in_memory = agent.memory_bytes / 2**20, agent.users_in_memory
    state_mb = sum(partition.state_bytes for partition in agent._partitions.values()) / 2**20  # noqa: SLF001
    first_evictions, agent.evictions = agent.evictions, []
    first_checkpoints, run.checkpoints_ms = run.checkpoints_ms, []
    first_most, run.most_mb = run.most_mb, 0.0
    back = dice.sample(range(users), int(users * RETURN_SHARE))
    second = await run.play((again(seed, number) for number in back), options.every)
    counts = agent.accounting()
    await redis.aclose()
    if counts.duplicate != len(back) or not counts.balanced or counts.late or counts.dead or counts.limited:
        raise SystemExit(f"what was read back is not what was written: {counts}")
    return {
        "users": users,
        "accounting": msgspec.structs.asdict(counts),
        "triggers": outbox.sent,
        "base_mb": run.base_mb,
        "cap_mb": options.memory_mb,
        "in_memory": in_memory,
        "held_mb": held,
        "most_held_mb": run.most_held_mb,
        # What a shopper in memory takes beside the bytes of the state: what _SHOPPER_BYTES should be.
        "beside_state_bytes": (first["end_mb"] - run.base_mb - state_mb) * 2**20 / in_memory,
        "state_bytes": state_mb * 2**20 / in_memory,
        "strlen": _spread(lengths),
        "strlen_plain": _spread(plain),
        "strlen_uuid": _spread(random_ids),
        "valkey_per_user": (after["used_memory"] - empty) / users,
        "valkey_rss_mb": after["used_memory_rss"] / 2**20,
        "first": {**first, "most_mb": first_most, "evict_ms": _spread(first_evictions), "checkpoint_ms": _spread(first_checkpoints)},
        "second": {**second, "most_mb": run.most_mb, "evict_ms": _spread(agent.evictions), "checkpoint_ms": _spread(run.checkpoints_ms)},
    }  # fmt: skip


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "n": len(values),
        "p50": statistics.median(values),
        "p95": percentile(values, 95),
        "max": max(values),
    }


def table(result: dict[str, Any]) -> bool:
    """Print it; whether the bars are kept."""

    def row(name: str, value: str) -> None:
        print(f"{name:<58}{value:>28}")

    for name, title in (("strlen", "all"), ("strlen_plain", "plain event ids"), ("strlen_uuid", "UUIDs")):
        found = result[name]
        row(f"state in Redis, bytes p50 / p95 / max ({title})", _three(found))
    row("Valkey, bytes a shopper", f"{result['valkey_per_user']:,.0f}")
    row("Valkey's process, MiB", f"{result['valkey_rss_mb']:,.0f}")
    row("shoppers in memory after the first pass", f"{result['in_memory']:,}")
    row("of each: state, bytes, and memory beside it", f"{result['state_bytes']:,.0f} + {result['beside_state_bytes']:,.0f}")  # fmt: skip
    row("base, MiB", f"{result['base_mb']:.0f}")
    good = result["strlen"]["p50"] <= 1024
    for name in ("first", "second"):
        found = result[name]
        over = found["end_mb"] - result["base_mb"], found["most_mb"] - result["base_mb"]
        print(f"\n{name} pass")
        row("events", f"{found['events']:,}")
        row("events / s; per CPU second of the gate", f"{found['events'] / found['seconds']:,.0f}; {found['events'] / found['cpu_s']:,.0f}")  # fmt: skip
        row(f"memory beyond base, end / most, MiB (cap {result['cap_mb']})", f"{over[0]:.0f} / {over[1]:.0f}")
        row("forgetting, ms p50 / p95 / max", _three(found["evict_ms"]))
        row("checkpoint, ms p50 / p95 / max", _three(found["checkpoint_ms"]))
        good = good and over[1] <= result["cap_mb"]
    return cast("bool", good)


def _three(spread: dict[str, float] | None) -> str:
    return "none" if spread is None else f"{spread['p50']:,.0f} / {spread['p95']:,.0f} / {spread['max']:,.0f}"


def main() -> int:
    """Measure and print; 1 where the median state is over 1 KiB or memory beyond base over the cap."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--memory-mb", type=int, default=256, help="stream.gate.max_memory_mb")
    parser.add_argument("--every", type=int, default=4_000, help="shoppers between two checkpoints")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    load = os.getloadavg()
    with contextlib.ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        supervisor = open_.enter_context(Supervisor(folder / "logs"))
        port = free_ports(1)[0]
        supervisor.start(valkey_spec(port, folder / "valkey"))
        result = asyncio.run(measure(valkey_url(port), options))
    result["load"] = [load[0], os.getloadavg()[0]]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; Valkey")
    print(f"{result['users']:,} shoppers; load {load[0]:.1f} at the beginning, {result['load'][1]:.1f} at the end\n")  # fmt: skip
    good = table(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
