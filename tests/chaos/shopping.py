"""What is sent: a stretch of real shopping with a hostile mix, cut into waves.

The order of one shopper's events must not be a matter of chance, or nobody could say which triggers
must fire: so a wave holds events of one topic only of each shopper, and the next wave is sent when
the broker has acknowledged the one before. Then whatever was sent later also lies later on the
topics. Within a wave the order is that of the topic.
"""

from __future__ import annotations

import json
import random
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from stream.datasets import open_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["hostile", "load_shopping", "waves"]

SHOPPERS = 160
EVENTS = 40_000
DAY_MS = 86_400_000


def load_shopping() -> list[dict[str, Any]]:
    """A stretch of Complete Journey by so few shoppers that each has a history in a short run."""
    dataset = open_dataset("completejourney")
    seen: dict[str, None] = {}
    for event in islice(dataset.events(limit=12_000), 12_000):
        seen.setdefault(event["user_id"])
    users = list(seen)[:SHOPPERS]
    return list(dataset.events(limit=EVENTS, users=users))


def hostile(shopping: Sequence[dict[str, Any]], seed: int) -> Iterator[dict[str, Any] | bytes]:
    """``shopping`` from a seeded place on, with defects, repetitions, stragglers and clocks ahead."""
    rng = random.Random(seed)
    now = int(time.time() * 1000)
    place = rng.randrange(len(shopping) // 2)
    number = 0
    while True:
        number += 1
        place = (place + 1) % len(shopping)
        event = shopping[place]
        yield event
        dice = rng.random()
        past = shopping[place - rng.randrange(1, 600)]
        if dice < 0.02:
            yield rng.choice(_defects(now, number))
        elif dice < 0.06:
            yield past  # the same once more, at once or when it is long forgotten
        elif dice < 0.14:
            moved = past["ts"] - rng.randrange(3 * DAY_MS)
            yield {**past, "event_id": f"straggler-{seed}-{number}", "ts": moved}
        elif dice < 0.1405:  # a clock ahead of the world's: all this shopper does from now on is late
            yield {**past, "event_id": f"ahead-{seed}-{number}", "ts": now + 300_000}


def _defects(now: int, number: int) -> list[dict[str, Any] | bytes]:
    good = {"event_id": f"defect-{number}", "user_id": "7", "type": "view", "ts": now, "item_id": "1"}
    return [
        b"",
        b"no json at all",
        b'{"event_id": "cut", ',
        b"\xff\xfe\x00",
        b"[" * 5_000,
        json.dumps({**good, "query": "x" * 80_000}).encode(),
        json.dumps({**good, "note": "\u202e"}, ensure_ascii=False).encode()[:-3],
        {**good, "event_id": ""},
        {**good, "event_id": "x\u0000y"},
        {**good, "type": "levitate"},
        {**good, "ts": "yesterday"},
        {**good, "ts": now + 30 * DAY_MS},
        {**good, "ts": 12},
        {**good, "quantity": -4},
        {**good, "item_id": None},
        {**good, "type": "search"},
    ]


def waves(events: Iterator[dict[str, Any] | bytes], longest: int) -> Iterator[list[dict[str, Any] | bytes]]:
    """``events`` in waves of at most ``longest``, of each shopper only events of one type in a wave.

    What does not fit into a wave waits for the next, and all of that shopper's that follows with it.
    """
    waiting: list[dict[str, Any] | bytes] = []
    for event in events:
        waiting.append(event)
        if len(waiting) < 4 * longest:
            continue
        wave: list[dict[str, Any] | bytes] = []
        left: list[dict[str, Any] | bytes] = []
        kinds: dict[str, str | None] = {}
        for one in waiting:
            if isinstance(one, dict):
                user, kind = str(one.get("user_id")), str(one.get("type"))
                if len(wave) >= longest or kinds.setdefault(user, kind) != kind:
                    kinds[user] = None
                    left.append(one)
                    continue
            wave.append(one)
        yield wave
        waiting = left
