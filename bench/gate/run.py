"""Runs every contender on one topic of one Apache Kafka and prints one table of medians.

    python -m bench.gate.run [--events 1000000] [--users 20000] [--runs 3] [--quix PYTHON]

CPU seconds are user and system seconds of the contender's own process, from its first event to its last. Wall
seconds depend on what else the machine does; the ratios of CPU seconds are what is claimed. Slow contenders read only
the first part of the topic; all figures are per 100,000 events.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from bench.gate.topic import TOPIC, events
from stream.embedded import EmbeddedStack

ROOT = Path(__file__).parents[2]


async def fill(broker: str, count: int, users: int) -> None:
    """Put the events onto the topic."""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(name, 4, 1) for name in (TOPIC, "nearline.triggers", "nearline.dead")])
    admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=broker, linger_ms=20, max_batch_size=262_144)
    await producer.start()
    for key, value in events(count, users):
        await producer.send(TOPIC, value, key=key)
    await producer.stop()


def contend(argv: list[str], environment: dict[str, str], count: int) -> dict[str, Any]:
    """One run of a contender: its line of JSON."""
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**environment, "BENCH_EVENTS": str(count)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    # Faust's worker may put a terminal's escape sequence before the line.
    lines = [line[line.index("{") :] for line in done.stdout.splitlines() if '{"events"' in line]
    if not lines:
        sys.exit(f"{' '.join(argv)} measured nothing:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return dict(json.loads(lines[-1]))


def recover(environment: dict[str, str], count: int) -> float:
    """Kill a gate amid the topic and start another; seconds until that one applies events.

    The broker waits for the killed one's session to end (6 s) before it gives the partitions to the new one.
    """
    prefix = uuid.uuid4().hex[:8]
    argv = [sys.executable, "-m", "bench.gate.nearline", "1", prefix]
    environment = {**environment, "BENCH_EVENTS": str(count)}
    subprocess.run([*argv, "kill"], cwd=ROOT, env=environment, capture_output=True, timeout=600, check=False)
    return float(contend([*argv, "recover"], environment, count)["recovery_s"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--slow-events", type=int, default=50_000, help="events for the slow contenders")
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quix", help="interpreter of an environment with quixstreams")
    parser.add_argument("--only", help="contenders whose name contains this")
    options = parser.parse_args()
    python = sys.executable
    contenders: dict[str, tuple[list[str], int]] = {
        "aiokafka read + msgspec decode": ([python, "-m", "bench.gate.bare"], options.events),
        "gate, no checkpoints": ([python, "-m", "bench.gate.nearline", "0"], options.events),
        "gate, checkpoints": ([python, "-m", "bench.gate.nearline", "1"], options.events),
        "Faust per event, a count": ([python, "-m", "bench.gate.faust_loop", "count"], options.slow_events),
        "Faust per event, a Table": (
            [python, "-m", "bench.gate.faust_loop", "table"],
            options.slow_events // 2,
        ),
    }
    if options.quix:
        contenders["Quix Streams, state"] = ([options.quix, "bench/gate/quix.py"], options.slow_events)
    if options.only:
        contenders = {name: value for name, value in contenders.items() if options.only in name}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as folder, EmbeddedStack(Path(folder), broker="kafka") as stack:
        asyncio.run(fill(stack.bootstrap, options.events, options.users))
        environment = {**os.environ, "BENCH_BROKER": stack.bootstrap, "BENCH_REDIS": stack.redis_url}
        for _ in range(options.runs):
            for name, (argv, count) in contenders.items():
                results[name].append(contend(argv, environment, count))
        gate = results.get("gate, checkpoints", [])
        recovered = [recover(environment, options.events) for _ in gate]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {options.users:,} users, "
    )
    print(f"{options.events:,} events on one topic, medians of {options.runs} runs")
    bare = None
    print(f"{'':<34}{'CPU s / 100k':>14}{'events / s':>12}{'x bare CPU':>12}")
    for name, runs in results.items():
        cpu = statistics.median(run["cpu_s"] / run["events"] * 1e5 for run in runs)
        rate = statistics.median(run["events"] / run["wall_s"] for run in runs)
        bare = bare or cpu
        print(f"{name:<34}{cpu:>14.3f}{rate:>12,.0f}{cpu / bare:>12.2f}")
    if gate:
        last = gate[-1]
        print(
            f"the gate: {last['triggers']:,} triggers, {last['rss_mb']:.0f} MiB; state of a shopper in Redis "
            f"{last['state_bytes']:,.0f} bytes (median), checkpoints {last['written_bytes'] / last['wall_s'] / 2**20:.1f} MiB/s; "
            f"killed and started anew, it applies events after {statistics.median(recovered):.1f} s"
        )


if __name__ == "__main__":
    main()
