"""What ten open consoles cost a gate under full load, and how fast pages answer meanwhile.

    python -m bench.console_cost [--events 2000000] [--consoles 10] [--window 3] [--json FILE]

The topics are filled beforehand; then one gate worker takes them in as fast as it can. Meanwhile the time is cut into
windows: in every other one, ten browsers' worth of requests come to a console as open pages send them (the moving part of
Now every two seconds, that of Rules every two seconds from half of them), and in between none do, though the console
goes on reading heartbeats. The cost is the CPU time of the gate's process for an event that it received, over all windows
with consoles against all without, with a 95 % interval by bootstrap over the windows; each window ends where the gate's count
moves. The gate answers no page itself, so what consoles take from it is the CPU time of the console's process, which is
measured too and is far less noisy. Pages are timed in
the same run, one after the other, by the wall clock of this machine: ``idle`` is the machine's share of idle time.

Ends with 1 where the cost is 3 % or more beyond what the interval allows, or the median of a page is 200 ms or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from bench.gate.topic import events
from bench.live import stats
from bench.recovery import Worker
from stream.embedded import EmbeddedStack
from stream.embedded.ports import LOOPBACK, free_ports
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Sequence

Window = tuple[float, int]  # CPU seconds, events
BAR, BAR_MS = 0.03, 200.0
PAGES = ("/", "/now/live", "/rules", "/rules/edit", "/shopper?user=u1", "/shopper", "/discovery", "/trail")
ROOT = Path(__file__).parents[1]


async def fill(kafka: KafkaSettings, count: int, users: int) -> None:
    """Put the events on their topics."""
    async with Player(kafka) as player:
        await player.play(json.loads(value) for _, value in events(count, users))


async def consoles(url: str, number: int, on: asyncio.Event) -> None:
    """Ask as so many open pages do, while ``on`` is set."""

    async def one(place: int) -> None:
        path = "/now/live" if place % 2 == 0 else "/rules/effect"
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            await asyncio.sleep(place * 2 / number)
            while True:
                await on.wait()
                (await client.get(path)).raise_for_status()
                await asyncio.sleep(2)

    await asyncio.gather(*(one(place) for place in range(number)))


async def pages(url: str, until: asyncio.Event) -> dict[str, list[float]]:
    """Milliseconds of each page, one after the other, until told to stop."""
    took: dict[str, list[float]] = {path: [] for path in PAGES}
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        while not until.is_set():
            for path in PAGES:
                began = time.perf_counter()
                answer = await client.get(path)
                took[path].append((time.perf_counter() - began) * 1000)
                assert answer.status_code in {200, 404}, (path, answer.text)
                await asyncio.sleep(0.25)
    return took


async def counted(worker: Worker, process: psutil.Process, whole: int) -> tuple[int, float]:
    """Events received and CPU seconds at the moment when the count next moves, or when ``whole`` are in.

    The gate counts a batch when it is done with it, so between two such moments there is no telling how far it is.
    """
    before = None
    while True:
        received = int((await asyncio.to_thread(stats, worker))["accounting"]["received"])
        before = received if before is None else before
        if received > before or received >= whole:
            return received, sum(process.cpu_times()[:2])
        await asyncio.sleep(0.02)


async def windows(
    worker: Worker, console: int, url: str, number: int, seconds: float, whole: int
) -> dict[str, Any]:
    """Measure until the worker has taken in ``whole`` events; ``console`` is the console's process."""
    process, beside = psutil.Process(worker.process.pid), psutil.Process(console)
    own: dict[bool, list[Window]] = {False: [], True: []}
    on, done = asyncio.Event(), asyncio.Event()
    asking = asyncio.create_task(consoles(url, number, on))
    found: dict[bool, list[Window]] = {False: [], True: []}
    received = 0
    while received < whole * 0.02:  # models of nothing are loaded; partitions are taken over first
        received, cpu = await counted(worker, process, whole)
    with_consoles = False
    psutil.cpu_percent()
    timing: asyncio.Task[dict[str, list[float]]] | None = None
    while received < whole * 0.95:
        console_cpu, began = sum(beside.cpu_times()[:2]), time.monotonic()
        await asyncio.sleep(seconds)
        after, spent = await counted(worker, process, whole)
        own[with_consoles].append(
            (sum(beside.cpu_times()[:2]) - console_cpu, round((time.monotonic() - began) * 1000))
        )
        if after >= whole:
            break
        found[with_consoles].append((spent - cpu, after - received))
        with_consoles = not with_consoles
        if with_consoles:
            on.set()
            timing = timing or asyncio.create_task(pages(url, done))
        else:
            on.clear()
        received, cpu = await counted(worker, process, whole)
    done.set()
    idle = psutil.cpu_times_percent().idle
    took = await timing if timing else {}
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    return {
        "without": found[False],
        "with": found[True],
        "own": [own[False], own[True]],
        "pages": took,
        "idle": idle,
    }


def per_100k(windows: Sequence[Window]) -> float:
    """CPU seconds for 100,000 events over all windows: a window in which little came weighs little."""
    return sum(spent for spent, _ in windows) / sum(count for _, count in windows) * 100_000


def interval(one: Sequence[Window], other: Sequence[Window]) -> tuple[float, float]:
    """95 % interval of how much more ``one`` costs than ``other``, by bootstrap over the windows."""
    dice = random.Random(3)
    drawn = sorted(
        per_100k(dice.choices(one, k=len(one))) / per_100k(dice.choices(other, k=len(other))) - 1
        for _ in range(2000)
    )
    return drawn[50], drawn[1949]


def measure(count: int, number: int, seconds: float, users: int) -> dict[str, Any]:
    """Fill, start, measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with EmbeddedStack(folder) as stack:
            kafka = KafkaSettings(brokers=stack.bootstrap)
            create_topics(kafka)
            asyncio.run(fill(kafka, count, users))
            port = free_ports(1)[0]
            environment = {
                **os.environ,
                "NEARLINE_CONFIG": "",
                "NEARLINE_RUN": str(folder / "run"),
                "NEARLINE_STREAM__KAFKA__BROKERS": stack.bootstrap,
                "NEARLINE_STREAM__REDIS__URL": stack.redis_url,
                "NEARLINE_INDEX__CATALOG": str(folder / "no-catalog"),
                "NEARLINE_CONSOLE__PORT": str(port),
            }
            url = f"http://{LOOPBACK}:{port}"
            with (folder / "console.log").open("wb") as log:
                console = subprocess.Popen(
                    [sys.executable, "-m", "console", "console"],
                    cwd=ROOT,
                    env=environment,
                    stdout=log,
                    stderr=log,
                )
            try:
                deadline = time.monotonic() + 60
                while True:
                    try:
                        httpx.get(f"{url}/health", timeout=2).raise_for_status()
                        break
                    except httpx.HTTPError:
                        if time.monotonic() > deadline:
                            raise
                        time.sleep(0.2)
                worker = Worker(environment, folder)
                try:
                    while not worker.owned():
                        time.sleep(0.1)
                    return asyncio.run(windows(worker, console.pid, url, number, seconds, count))
                finally:
                    worker.stop()
            finally:
                console.terminate()
                console.wait()


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--consoles", type=int, default=10)
    parser.add_argument("--window", type=float, default=3.0, help="seconds")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.events, given.consoles, given.window, given.users)
    without, with_ = found["without"], found["with"]
    if min(len(with_), len(without)) < 2:
        print(
            "The topics were taken in before there were two windows of each; give more --events, or a shorter --window."
        )
        return 1
    cost = per_100k(with_) / per_100k(without) - 1
    low, high = interval(with_, without)
    print(
        f"{os.cpu_count()} cores, {found['idle']:.0f} % idle; {given.events:,} events, {given.consoles} consoles\n"
    )
    print(f"{'gate':24}{'windows':>9}{'CPU s per 100,000 events':>26}")
    print(f"{'without consoles':24}{len(without):>9}{per_100k(without):>26.3f}")
    print(f"{'with consoles':24}{len(with_):>9}{per_100k(with_):>26.3f}")
    print(f"cost {cost:+.2%}, 95 % interval {low:+.2%} to {high:+.2%}; bar {BAR:.0%}\n")
    quiet, busy = (sum(cpu for cpu, _ in part) / sum(ms for _, ms in part) * 1000 for part in found["own"])
    print(
        f"the console's own CPU: {quiet:.1%} of a core without, {busy:.1%} with: "
        f"{(busy - quiet) / (os.cpu_count() or 1):.2%} of this machine\n"
    )
    if high - low > 2 * BAR:
        print(
            "The interval is too wide to tell whether the bar is met; use a quieter machine or more --events.\n"
        )
    print(f"{'page':20}{'asked':>7}{'p50, ms':>10}{'p95, ms':>10}{'most, ms':>10}")
    slow = False
    for path, took in found["pages"].items():
        took.sort()
        p50, p95 = took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.95))]
        slow = slow or p50 >= BAR_MS
        print(f"{path:20}{len(took):>7}{p50:>10.0f}{p95:>10.0f}{took[-1]:>10.0f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return 1 if low >= BAR or slow else 0


if __name__ == "__main__":
    sys.exit(main())
