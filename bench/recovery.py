"""How soon triggers come again after a gate worker was killed or stopped, on Apache Kafka under load.

    python -m bench.recovery [--runs 5] [--rate 1000] [--session 6]

Shopping of the Complete Journey data set is played at a steady rate; a reader of the trigger topic notes when each
trigger can be read there. Three losses, each ``--runs`` times:

* kill -9 of one of two workers, and nothing is started in its place: the other takes its partitions over;
* kill -9 of the only worker, and the same command again at once;
* SIGTERM to one of two workers.

After a kill the clock runs until a trigger can be read whose event was sent after the kill. After SIGTERM it runs until
a trigger can be read that the new owner made. Columns: ``taken over`` when the new owner has raised the partition's
generation in Redis; ``first`` and ``all`` when the first, and each, of the partitions that the lost worker owned has
such a trigger. Ends with 1 where a maximum is over its bar.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer
from redis import Redis

from stream.datasets import open_dataset
from stream.embedded import EmbeddedStack
from stream.embedded.ports import LOOPBACK, free_ports
from stream.outbox import partition_of
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

ROOT = Path(__file__).parents[1]
RULES = """
rules:
  - {id: second-view, when: {types: [view], count: 2, within: 1h}, cooldown: 10m}
  - {id: second-order, when: {types: [order], count: 2, within: 1h}, cooldown: 10m}
"""
PATIENCE_S = 60.0
BARS_S = {"kill -9, one of two": 15.0, "kill -9, the only one": 15.0, "SIGTERM, one of two": 3.0}


class _Head(msgspec.Struct):
    user: str
    sent_at: int
    made_at: int


@dataclass
class Traffic:
    """Plays events and reads triggers from a thread of its own while it is open.

    Attributes:
        triggers: of each, the time it was read, its partition, and when its event was sent and it was made;
            seconds since the epoch.
        reached: events sent per second, over all.
    """

    kafka: KafkaSettings
    rate: float
    triggers: list[tuple[float, int, float, float]] = field(default_factory=list)
    reached: float = 0.0

    def __enter__(self) -> Self:
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="traffic")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def wait(self, what: str, check: Callable[[], bool]) -> None:
        """Return when ``check`` holds; end the benchmark where it does not in time, or nothing is played."""
        deadline = time.monotonic() + PATIENCE_S
        while not check():
            if self._error is not None:
                raise self._error
            if time.monotonic() > deadline:
                sys.exit(f"not within {PATIENCE_S:g} s: {what}")
            time.sleep(0.01)

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001  # raised by wait()
            self._error = error

    async def _run(self) -> None:
        reading = asyncio.create_task(self._read())

        async def pace() -> None:
            if self._done.is_set():
                raise asyncio.CancelledError
            if reading.done():
                reading.result()

        try:
            async with Player(self.kafka) as player:
                with contextlib.suppress(asyncio.CancelledError):
                    await player.play(
                        open_dataset("completejourney").events(), rate=self.rate, pace=pace, told=self._told
                    )
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _told(self, sent: Any) -> None:
        self.reached = sent.events / sent.seconds

    async def _read(self) -> None:
        decode = msgspec.json.Decoder(_Head).decode
        consumer = AIOKafkaConsumer(
            self.kafka.triggers_topic,
            bootstrap_servers=self.kafka.brokers,
            auto_offset_reset="latest",
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        try:
            async for record in consumer:
                head, now = decode(record.value), time.time()
                place = partition_of(head.user, self.kafka.partitions)
                self.triggers.append((now, place, head.sent_at / 1000, head.made_at / 1000))
        finally:
            await consumer.stop()


@dataclass
class Worker:
    """A gate worker as a process."""

    environment: dict[str, str]
    folder: Path

    def __post_init__(self) -> None:
        self.port = free_ports(1)[0]
        with (self.folder / f"worker-{self.port}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console", "worker", "--roles", "gate", "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def owned(self) -> set[int]:
        """The partitions that it says it owns; none while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/stats", timeout=2) as answer:
                return set(json.load(answer)["gate"]["partitions"])
        except (OSError, ValueError, KeyError):
            return set()

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        self.process.terminate()
        self.process.wait(60)


@dataclass
class Scene:
    """Servers, traffic and workers of a measurement."""

    kafka: KafkaSettings
    redis: Redis
    traffic: Traffic
    new_worker: Callable[[], Worker]
    workers: list[Worker] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def steady(self, count: int) -> None:
        """Return when ``count`` workers share all partitions and triggers of each partition flow again."""
        while len(self.workers) > count:
            self.workers.pop().stop()
        while len(self.workers) < count:
            self.workers.append(self.new_worker())
        every = set(range(self.kafka.partitions))

        def shared() -> bool:
            owned = [worker.owned() for worker in self.workers]
            return all(owned) and sum(map(len, owned)) == len(every) == len(set.union(*owned))

        self.traffic.wait(f"{count} workers share the partitions", shared)
        since = time.time()
        self.traffic.wait(
            "triggers of all partitions, soon after their events",
            lambda: (
                {p for seen, p, sent, _ in self.traffic.triggers[-500:] if sent > since and seen - sent < 1}
                == every
            ),
        )
        time.sleep(1 + self.dice.random())  # at another moment between two heartbeats and two checkpoints

    def generation(self, number: int) -> int:
        """How often the partition was taken over."""
        return int(self.redis.get(f"nl:epoch:{{p{number}}}") or 0)

    def lose(self, *, kill: bool, anew: bool = False) -> tuple[float, float, float]:
        """Lose a worker; seconds until taken over, until the first trigger, until one of each partition."""
        worker = self.workers.pop(self.dice.randrange(len(self.workers)))
        lost = worker.owned()
        before = {number: self.generation(number) for number in lost}
        first = len(self.traffic.triggers)
        began = time.time()
        if kill:
            worker.process.kill()
        else:
            worker.process.terminate()
        if anew:
            self.workers.append(self.new_worker())
        taken: dict[int, float] = {}
        found: dict[int, float] = {}

        def look() -> bool:
            for number in lost - taken.keys():
                if self.generation(number) > before[number]:
                    taken[number] = time.time()
            for seen, place, sent, made in self.traffic.triggers[first:]:
                by_new = place in taken and made >= taken[place]
                if place in lost and place not in found and by_new and (sent > began or not kill):
                    found[place] = seen
            return found.keys() == lost

        self.traffic.wait(f"triggers of the partitions {sorted(lost)} of the lost worker", look)
        worker.process.wait(60)
        return (
            max(taken.values()) - began,
            min(found.values()) - began,
            max(found.values()) - began,
        )


def table(measured: dict[str, list[tuple[float, float, float]]]) -> bool:
    """Print it; whether every bar is kept."""
    names = ("taken over", "first", "all")
    head = "".join(f"{name + ' ' + what:>16}" for name in names for what in ("p50", "max"))
    print(f"{'seconds until':<24}{'runs':>6}{head}{'bar':>8}")
    good = True
    for loss, runs in measured.items():
        figures = [of(column) for column in zip(*runs, strict=True) for of in (statistics.median, max)]
        print(
            f"{loss:<24}{len(runs):>6}"
            + "".join(f"{figure:>16.2f}" for figure in figures)
            + f"{BARS_S[loss]:>8g}"
        )
        good = good and figures[-1] < BARS_S[loss]
    return good


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=1000.0, help="events per second")
    parser.add_argument("--session", type=float, default=6.0, help="session timeout of the workers, seconds")
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; Apache Kafka, Valkey"
    )
    print(f"4 partitions, session timeout {options.session:g} s")
    measured: dict[str, list[tuple[float, float, float]]] = {loss: [] for loss in BARS_S}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as open_:
        folder = Path(name)
        stack = open_.enter_context(EmbeddedStack(folder, broker="kafka", persist=True))
        (folder / "rules.yaml").write_text(RULES)
        kafka = KafkaSettings(brokers=stack.bootstrap)
        create_topics(kafka)
        environment = {
            **os.environ,
            "NEARLINE_CONFIG": "",
            "NEARLINE_RUN": str(folder / "run"),
            "NEARLINE_STREAM__KAFKA__BROKERS": stack.bootstrap,
            "NEARLINE_STREAM__KAFKA__SESSION_TIMEOUT_S": str(options.session),
            "NEARLINE_STREAM__REDIS__URL": stack.redis_url,
            "NEARLINE_STREAM__GATE__RULES": str(folder / "rules.yaml"),
            "NEARLINE_INDEX__CATALOG": str(folder / "no-catalog"),
        }
        redis = open_.enter_context(Redis.from_url(stack.redis_url))
        traffic = open_.enter_context(Traffic(kafka, options.rate))
        scene = Scene(kafka, redis, traffic, lambda: Worker(environment, folder))
        try:
            for loss, runs in measured.items():
                for _ in range(options.runs):
                    scene.steady(1 if "only" in loss else 2)
                    runs.append(scene.lose(kill="kill" in loss, anew="only" in loss))
                    print(
                        f"{loss}: taken over after {runs[-1][0]:.2f} s, first trigger {runs[-1][1]:.2f} s, "
                        f"of all partitions {runs[-1][2]:.2f} s",
                        flush=True,
                    )
        finally:
            for worker in scene.workers:
                worker.stop()
    print(f"\n{traffic.reached:,.0f} events/s, {len(traffic.triggers):,} triggers read")
    return 0 if table(measured) else 1


if __name__ == "__main__":
    sys.exit(main())
