"""What the counts of the minutes cost: Redis' memory, a worker's CPU time, a console's.

    python -m bench.minutes [--gates 2] [--infers 4] [--hours 48] [--categories 60]

Fills an embedded Valkey with the minutes of so many workers, as full as a worker makes them (60 categories and 24 breadths
beside channels, rungs and rules), and tells what Redis' memory grew by, and the CPU time that a console takes to read all of
it when it starts, to read what may have changed every ten seconds, and to draw the day of the page Discovery. Then
a worker's own: the CPU time of counting and writing once every five seconds, for a gate with 64 partitions and for a
worker whose slates have shown 5,000 categories, and of counting one slate's categories.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr
from redis.asyncio import Redis

from bench.live import machine
from console.web.live.minutes import Minutes
from console.web.pages.discovery import over_time
from stream.embedded.ports import free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.valkey import valkey_spec, valkey_url
from stream.metrics.minutes import MINUTE_MS, Count, Minute, MinuteKeeper, write_minute
from stream.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "nl:"
WRITES = 50


def gate() -> Minute:
    """A minute of a gate: 500 events a second."""
    events = {"received": 30_000, "applied": 29_900, "duplicate": 50, "late": 20, "dead": 30}
    return Minute(events, {"five-views": 1_000, "search": 700, "global-behaviour": 200})


def infer(categories: int) -> Minute:
    """A minute of a worker that infers: 30 slates a second."""
    return Minute(
        slates={"llm": 1_800, "cached": 50},
        channels={"dense": 30_000, "lexical": 30_000, "behaviour": 20_000, "popular": 100, "new": 900},
        discovery={"new": 900, "unseen_category": 20_000, "with_new": 800},
        categories={f"Some category {number:02d}": 1_000 + number for number in range(categories)}
        | {"other": 3_000},
        breadth={str(number): 80 for number in range(1, 25)},
    )


async def kept(redis: Redis, minutes: int, workers: dict[str, Minute]) -> None:
    """What Redis keeps and a console reads."""
    now = time.time() * 1000
    newest = int(now // MINUTE_MS) * MINUTE_MS
    before = (await redis.info("memory"))["used_memory"]
    for number in range(minutes):
        for name, minute in workers.items():
            await write_minute(redis, PREFIX, newest - number * MINUTE_MS, name, minute, minutes * 60)
    grown = (await redis.info("memory"))["used_memory"] - before
    each = grown / minutes / len(workers)
    print(
        f"Redis: {grown / 1e6:.1f} MB for {minutes:,} minutes of {len(workers)} workers, {each:,.0f} bytes each"
    )
    read = Minutes(redis, PREFIX, minutes * 60)
    for words in ("all of it, at the start", "what may have changed, every ten seconds"):
        began = time.process_time()
        await read.refresh(now)
        print(f"console, reading {words}: {(time.process_time() - began) * 1000:.1f} ms of CPU")
    day = read.between(now - 86_400_000, now)
    began = time.process_time()
    over_time(day, now)
    print(f"console, drawing {len(day):,} minutes: {(time.process_time() - began) * 1000:.1f} ms of CPU")


async def counted(url: str) -> None:
    """What a worker spends."""
    grown = 0

    def partitions() -> Iterator[Count]:
        nonlocal grown
        grown += 100
        for number in range(64):
            for name in ("received", "applied", "duplicate", "late", "dead"):
                yield Count("events", name, grown, str(number))

    def categories() -> Iterator[Count]:
        nonlocal grown
        grown += 100
        for number in range(5_000):
            yield Count("categories", f"Some category {number}", grown)

    for words, source in (
        ("a gate of 64 partitions", partitions),
        ("a worker of 5,000 categories", categories),
    ):
        keeper = MinuteKeeper(RedisSettings(url=SecretStr(url)), f"{words}:1", 7_200)
        keeper.add(source)
        await keeper.write_once()
        began = time.process_time()
        for _ in range(WRITES):
            await keeper.write_once()
        took = (time.process_time() - began) / WRITES
        print(f"{words}: {took * 1000:.1f} ms of CPU every five seconds, {took / 5:.2%} of a core")
        await keeper.on_shutdown()
    tally: Counter[str] = Counter()
    names = [f"Some category {number % 6}" for number in range(50)]
    began = time.process_time()
    for _ in range(20_000):
        tally.update(names)
        len(set(names))
    print(f"a slate of 50 places: {(time.process_time() - began) / 20_000 * 1e6:.1f} µs of CPU")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gates", type=int, default=2)
    parser.add_argument("--infers", type=int, default=4)
    parser.add_argument("--hours", type=int, default=48)
    parser.add_argument("--categories", type=int, default=60)
    asked = parser.parse_args()
    workers = {f"gate-{number}:1795402599900": gate() for number in range(asked.gates)}
    workers |= {f"infer-{number}:1795402599900": infer(asked.categories) for number in range(asked.infers)}

    async def measure(url: str) -> None:
        redis = Redis.from_url(url)
        await kept(redis, asked.hours * 60, workers)
        await counted(url)
        await redis.aclose()

    print(machine())
    with tempfile.TemporaryDirectory() as folder, Supervisor(Path(folder) / "logs") as supervisor:
        port = free_ports(1)[0]
        supervisor.start(valkey_spec(port, Path(folder) / "valkey"))
        asyncio.run(measure(valkey_url(port)))


if __name__ == "__main__":
    main()
