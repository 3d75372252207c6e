"""How soon a rule change is in force on three workers under load, on Apache Kafka.

    python -m bench.rule_change [--changes 50] [--workers 3] [--rates 1000 3000]

The clock runs from before the version is written to the book of rules until the checkpoint of every
partition carries it; a worker evaluates nothing by a version before that. Events are shopping of the
Complete Journey data set, played at a steady rate.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from stream.datasets import open_dataset
from stream.embedded import EmbeddedStack
from stream.embedded.ports import LOOPBACK, free_ports
from stream.gate.rules.book import RuleBook
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics

ROOT = Path(__file__).parents[1]


def rules(dice: random.Random) -> str:
    """One rule that stays, two that change."""
    return (
        "rules:\n"
        "  - {id: carts, when: {types: [order], count: 3, within: 30d}, cooldown: 1h}\n"
        f"  - {{id: views, when: {{types: [view], count: {dice.randint(2, 9)}, within: 30m}}}}\n"
        f"  - {{id: orders, when: {{types: [order], count: {dice.randint(2, 9)}, within: 7d}}}}\n"
    )


def start(environment: dict[str, str], folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A worker of the gate alone."""
    with (folder / f"worker-{port}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "console", "worker", "--roles", "gate", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def owned(port: int) -> list[int]:
    """The partitions of a worker."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/stats", timeout=2) as answer:
            return list(json.load(answer)["gate"]["partitions"])
    except (OSError, ValueError, KeyError):
        return []


async def changes(book: RuleBook, redis: Redis, keys: list[str], count: int) -> list[float]:
    """Seconds that each change took to be everywhere."""
    dice = random.Random(1)
    took = []
    for _ in range(count):
        began = time.perf_counter()
        now = time.time_ns() // 1_000_000
        version = await book.set(
            rules(dice), base=await book.number(), author="bench", note="a change", now=now
        )
        while True:
            values = await redis.mget(keys)
            if all(value and json.loads(value)["rules"]["version"] == version.number for value in values):
                break
            if time.perf_counter() - began > 60:
                sys.exit("a change did not arrive within a minute")
            await asyncio.sleep(0.002)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(dice.random() * 0.2)
    return took


async def measure(
    kafka: KafkaSettings, url: str, prefix: str, rate: float, count: int
) -> tuple[list[float], float]:
    """Change rules while events flow; the seconds of each change, and the events per second reached."""
    redis = Redis.from_url(url)
    book = RuleBook(redis, prefix)
    keys = [f"{prefix}offsets:{{p{number}}}" for number in range(kafka.partitions)]
    feed = itertools.cycle(itertools.islice(open_dataset("completejourney").events(limit=50_000), 50_000))
    numbered: Any = ({**event, "event_id": f"{rate}-{n}"} for n, event in enumerate(feed))
    done = asyncio.Event()

    async def pace() -> None:
        if done.is_set():
            raise asyncio.CancelledError

    async with Player(kafka) as player:
        seen: list[tuple[int, float]] = []
        load = asyncio.create_task(
            player.play(
                numbered, rate=rate, pace=pace, told=lambda sent: seen.append((sent.events, sent.seconds))
            )
        )
        await asyncio.sleep(3)
        took = await changes(book, redis, keys, count)
        done.set()
        await asyncio.gather(load, return_exceptions=True)
    await redis.aclose()
    return took, seen[-1][0] / seen[-1][1]


def percentile(values: list[float], share: float) -> float:
    """Nearest rank."""
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[1000.0, 3000.0])
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; Apache Kafka, Valkey"
    )
    print(f"{options.workers} workers, 4 partitions, {options.changes} changes at each rate\n")
    print(f"{'events/s wanted':>16}{'reached':>10}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}{'most ms':>10}")
    with tempfile.TemporaryDirectory() as name, EmbeddedStack(Path(name), broker="kafka") as stack:
        folder = Path(name)
        kafka = KafkaSettings(brokers=stack.bootstrap)
        create_topics(kafka)
        environment = {
            **os.environ,
            "NEARLINE_CONFIG": "",
            "NEARLINE_RUN": str(folder / "run"),
            "NEARLINE_STREAM__KAFKA__BROKERS": stack.bootstrap,
            "NEARLINE_STREAM__REDIS__URL": stack.redis_url,
            "NEARLINE_INDEX__CATALOG": str(folder / "no-catalog"),
        }
        ports = free_ports(options.workers)
        workers = [start(environment, folder, port) for port in ports]
        try:
            deadline = time.monotonic() + 60
            while not all(owned(port) for port in ports):
                if time.monotonic() > deadline:
                    sys.exit("the workers did not start")
                time.sleep(0.2)
            for rate in options.rates:
                took, reached = asyncio.run(measure(kafka, stack.redis_url, "nl:", rate, options.changes))
                figures = [percentile(took, share) * 1000 for share in (50, 95, 99, 100)]
                print(f"{rate:>16,.0f}{reached:>10,.0f}" + "".join(f"{figure:>10.0f}" for figure in figures))
        finally:
            for worker in workers:
                worker.send_signal(signal.SIGTERM)
            for worker in workers:
                worker.wait(30)


if __name__ == "__main__":
    main()
