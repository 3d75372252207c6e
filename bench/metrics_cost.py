"""What metrics and traces cost the gate, in CPU time.

    python -m bench.metrics_cost [--rounds 120] [--events 5000] [--users 5000] [--json FILE]

Three gates are given the same events in turn, in an order that changes from round to round: one that counts nothing beside
its accounting, one with metrics, and one that also traces 1 % of its triggers. Each decodes, merges, applies, makes
triggers and encodes the changed states, in one process; broker and Redis are left out, which makes the costs look larger
beside the rest than they are in a worker. With metrics, a heartbeat is made for every two seconds of CPU time, the counts of
the minute for every five and a page of ``/metrics`` for every ten, as by a worker that fills a core. Traces go over HTTP to a process that throws them away. CPU time
is of the whole process, exporting thread included.

A gate's cost is its CPU time over all rounds against the first one's, with a 95 % interval by bootstrap over the rounds. On
a busy machine the interval is wide; so ``of which measured`` has what the clock says of the added code itself: counting,
heartbeats, pages and spans, as a share of the gate's time. Ends with 1 where a cost is beyond its bar.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from bench.gate.topic import events
from bench.live import machine
from stream.events import EventDecoder
from stream.gate.agent import GateAgent
from stream.gate.arrivals import arrivals
from stream.gate.gate import Bounds, Gate, Outcome, Partition
from stream.gate.merge import Horizon, Merge
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.ruleset import load_rules
from stream.metrics.gate import GateReadings, GateTally
from stream.metrics.heartbeat import Beat
from stream.metrics.minutes import MinuteTally
from stream.metrics.worker import WorkerMetrics
from stream.settings import GateSettings, KafkaSettings
from stream.tracing import TracingSettings, open_tracing
from stream.worker import quieten_collector

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

VARIANTS = ("bare", "metrics", "metrics and traces")
BATCH = 5_000
WARM_UP = 20
CHECKPOINT_ROUNDS = 10
BEAT_S, MINUTE_S, SCRAPE_S = 2.0, 5.0, 10.0
BARS = {"metrics": 0.03, "metrics and traces": 0.05}
RATIO = 0.01
_SINK = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Sink(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", 0), Sink)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Record(NamedTuple):
    """A record as the consumer gives it."""

    offset: int
    timestamp: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Nothing(GateTally):
    """Counts nothing."""

    def batch(self, outcome: Outcome, now: int) -> None:
        """Leave it."""


class Store:
    """Encodes what a checkpoint would, and writes it nowhere."""

    states_written = bytes_written = 0

    async def load(self, partition: Partition, users: Any) -> None:
        """Nobody was ever written down."""

    async def confirm(self, partition: Partition) -> None:
        """It is ours."""

    async def write(self, partition: Partition, now: int, **_: Any) -> int:
        """Encode the changed states."""
        states = [partition.users[user].encode() for user in partition.dirty]
        self.states_written += len(states)
        self.bytes_written += sum(map(len, states))
        partition.written()
        return now


class Outbox:
    """Takes records, and sends them nowhere."""

    unacknowledged = 0

    def __init__(self) -> None:
        self.sent = self.traced = 0

    async def send_all(self, _topic: str, _partition: int, records: Any) -> None:
        """Count them."""
        self.sent += len(records)
        self.traced += sum(len(record) > 2 for record in records)

    async def flush(self) -> None:
        """All is gone."""


class Source:
    """What the metrics ask of the source, with as many topics as a worker has."""

    waiting = 0

    def __init__(self, topics: list[str]) -> None:
        self._lags = dict.fromkeys(((topic, 0) for topic in topics), 0)

    def lags(self) -> dict[tuple[str, int], int]:
        """Of each topic."""
        return self._lags

    def cloud_events(self) -> dict[str, int]:
        """None came."""
        return {}

    def read_since(self, _number: int) -> int | None:
        """Not known."""
        return None


class Variant:
    """One gate."""

    def __init__(self, name: str, sink: str) -> None:
        self.name = name
        kafka, settings = KafkaSettings(), GateSettings()
        self.rules = CompiledRules(load_rules())
        self.tracing = (
            open_tracing(TracingSettings(endpoint=sink, ratio=RATIO), "bench") if "traces" in name else None
        )
        self.outbox = Outbox()
        gate = Gate(self.rules, Bounds.of(settings))
        live: Any = type("Rules", (), {"newest": self.rules, "refused": None})
        store: Any = Store()
        outbox: Any = self.outbox
        self.agent = GateAgent(gate, store, outbox, live, kafka, settings, self.tracing)
        if name == "bare":
            self.agent.tally = Nothing()
        partition = Partition(0)
        partition.rules = self.rules
        self.agent._partitions[0] = partition  # noqa: SLF001  # as a take-over would
        self.agent._baselines[0] = type(partition.counts)()  # noqa: SLF001
        self.agent._confirmed[0] = time.monotonic() + 1e9  # noqa: SLF001  # nobody asks Redis
        self.topic = kafka.event_topic_names()[0]
        self.decoder = EventDecoder()
        self.merge = Merge([self.topic], 0, 0)
        self.metrics = WorkerMetrics("bench", ["gate"], {"gate": lambda: True})
        source: Any = Source(kafka.event_topic_names())
        readings = GateReadings(self.agent, source, live)
        self.metrics.add("gate", readings)
        self.by_minute, self.minutes = readings.by_minute, MinuteTally()
        self.spent = self.inside = 0.0
        self._beaten = self._shown = self._counted = 0.0
        if name != "bare":
            self.agent.tally.batch = self._timed(self.agent.tally.batch)  # type: ignore[method-assign]
        if self.tracing is not None:
            self.tracing.triggers = self._timed(self.tracing.triggers)  # type: ignore[method-assign]

    def _timed(self, call: Callable[..., T]) -> Callable[..., T]:
        """The same, with its CPU time added up."""

        def timed(*given: Any) -> T:
            began = time.thread_time()
            try:
                return call(*given)
            finally:
                self.inside += time.thread_time() - began

        return timed

    async def take(self, records: list[Record], turn: int) -> float:
        """Apply a round's events; CPU seconds."""
        began = time.process_time()
        for start in range(0, len(records), BATCH):
            part = records[start : start + BATCH]
            arrived = arrivals(self.topic, part, self.decoder, self.merge, part[-1].timestamp)
            if self.tracing is not None:
                for record, arrival in zip(part, arrived, strict=True):
                    if record.headers:
                        arrival.headers = record.headers
            self.merge.add(self.topic, arrived, 0.0)
            ready = self.merge.release(Horizon((), 1e12, 1e12), 1.0)
            await self.agent.apply(0, 0, ready)
        if turn % CHECKPOINT_ROUNDS == 0:
            await self.agent.checkpoint()
        if self.name != "bare":
            self._timed(self._tell)()
        took = time.process_time() - began
        self.spent += took
        return took

    def _tell(self) -> None:
        """What a worker tells of itself by the clock, here by CPU time."""
        if self.spent - self._beaten > BEAT_S:
            self._beaten = self.spent
            values = self.metrics.read().values
            msgspec.json.encode(Beat(1, "bench", 0, 0, ["gate"], "", {}, values))
        if self.spent - self._counted > MINUTE_S:
            self._counted = self.spent
            self.minutes.take(self.by_minute(), self.spent * 1000)
            msgspec.json.encode(self.minutes.unwritten()[-1][1])
        if self.spent - self._shown > SCRAPE_S:
            self._shown = self.spent
            self.metrics.exposition()


def interval(mine: list[float], bare: list[float]) -> tuple[float, float]:
    """95 % interval of the cost, by bootstrap over the rounds."""
    dice, pairs = random.Random(5), list(zip(mine, bare, strict=True))
    found = []
    for _ in range(2000):
        drawn = dice.choices(pairs, k=len(pairs))
        found.append(sum(one for one, _ in drawn) / sum(other for _, other in drawn) - 1)
    found.sort()
    return found[50], found[1949]


async def measure(rounds: int, count: int, users: int, sink: str) -> dict[str, Any]:
    """CPU seconds of every gate in every round."""
    variants = [Variant(name, sink) for name in VARIANTS]
    made = events(count * (rounds + WARM_UP), users)
    offset, dice = 0, random.Random(11)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    quieten_collector()
    for turn in range(-WARM_UP, rounds):
        records = []
        for _ in range(count):
            _, value = next(made)
            records.append(Record(offset, 1_735_689_600_000 + offset, value, ()))
            offset += 1
        order = dice.sample(variants, len(variants))
        if turn == 0:
            for variant in variants:
                variant.spent = variant.inside = 0.0
        for variant in order:
            took = await variant.take(records, turn)
            if turn >= 0:
                times[variant.name].append(took)
    for variant in variants:
        if variant.tracing is not None:
            variant.tracing.close()
    bare = variants[0].agent.accounting()
    assert all(variant.agent.accounting() == bare for variant in variants)
    traced = variants[2].outbox
    return {
        "times": times,
        "triggers": bare.triggers,
        "traced": traced.traced,
        "received": bare.received,
        "inside": {variant.name: variant.inside / variant.spent for variant in variants},
    }


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sink = subprocess.Popen([sys.executable, "-c", _SINK], stdout=subprocess.PIPE, text=True)
    try:
        assert sink.stdout is not None
        address = f"http://127.0.0.1:{sink.stdout.readline().strip()}"
        found = asyncio.run(measure(given.rounds, given.events, given.users, address))
    finally:
        sink.terminate()
        sink.wait()
    times = found["times"]
    print(machine().partition(";")[0])
    print(
        f"{found['received']:,} events, {found['triggers']:,} triggers, {found['traced']:,} of them traced; "
        f"{given.rounds} rounds of {given.events:,} events"
    )
    print(
        f"{'gate':20}{'CPU s per 100,000 events':>26}{'cost':>9}{'95 % interval':>20}{'of which measured':>20}"
    )
    bad = False
    table = {}
    for name in VARIANTS:
        rate = sum(times[name]) / given.events / given.rounds * 100_000
        cost = sum(times[name]) / sum(times["bare"]) - 1
        low, high = interval(times[name], times["bare"])
        inside = found["inside"][name]
        table[name] = {"cpu_s_per_100k": rate, "cost": cost, "interval": [low, high], "inside": inside}
        told = "" if name == "bare" else f"{cost:>9.2%}{f'{low:+.2%} to {high:+.2%}':>20}{inside:>20.2%}"
        print(f"{name:20}{rate:>26.3f}{told}")
        bad = bad or cost >= BARS.get(name, 1.0)
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), **found, "table": table}, indent=2))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
