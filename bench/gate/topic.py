"""What the contenders share: the events, and how a contender's work is measured."""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TOPIC", "Meter", "events"]

TOPIC = "bench-events"
_TYPES = (
    ("view",) * 34
    + ("order",) * 22
    + ("click",) * 18
    + ("cart",) * 14
    + ("search",) * 6
    + ("impression",) * 6
)
"""In a hundred events, about as many of each type as in The Complete Journey with its browsing."""


def events(count: int, users: int, seed: int = 7) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of ``count`` events of ``users`` shoppers, one a millisecond, like real ones in size and mix."""
    random_ = random.Random(seed)
    start = 1_735_689_600_000
    for number in range(count):
        user = f"u{random_.randrange(users)}"
        kind = random_.choice(_TYPES)
        event: dict[str, object] = {
            "event_id": f"e-{seed}-{number:09d}",
            "user_id": user,
            "type": kind,
            "ts": start + number,
            "session_id": f"s-{user}-{number // 100_000}",
            "scene": "detail",
        }
        if kind == "search":
            event["query"] = "frozen potatoes"
        else:
            event["item_id"] = str(random_.randrange(20_000))
        if kind == "order":
            event["quantity"], event["amount"] = 1, 2.49
        yield user.encode(), json.dumps(event).encode()


class Meter:
    """CPU and wall seconds from the first event to the last; prints one line of JSON at the end."""

    def __init__(self) -> None:
        self.began: tuple[float, float] | None = None

    def first(self) -> None:
        """Call when the first events are there; later calls change nothing."""
        if self.began is None:
            self.began = (time.perf_counter(), _cpu())

    def last(self, count: int, **more: float) -> None:
        """Call when ``count`` events are done."""
        wall, cpu = self.began or (time.perf_counter(), _cpu())
        figures = {"events": count, "wall_s": time.perf_counter() - wall, "cpu_s": _cpu() - cpu, **more}
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def environment() -> tuple[str, str, int]:
    """Broker, Redis and number of events, as run.py hands them to a contender."""
    return os.environ["BENCH_BROKER"], os.environ["BENCH_REDIS"], int(os.environ["BENCH_EVENTS"])
