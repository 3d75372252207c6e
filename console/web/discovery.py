"""What shoppers are shown: breadth, categories and new items, over a sample of the slates that stand in Redis."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from console.web.sampling import some_with_slates
from stream.slates import Slate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.asyncio import Redis

    from console.web.catalog import OpenCatalog

__all__ = ["Breadth", "Kept", "Shown", "sample_slates", "shown"]

_BATCH = 25
_MOST_ROWS = 15


@dataclass(frozen=True, slots=True)
class Breadth:
    """How many slates have so many categories."""

    categories: int
    slates: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a sample of slates shows.

    Attributes:
        slates: how many were read; ``places`` of all of them.
        oldest, newest: when they were made, milliseconds.
        breadth: slates by number of categories; ``typical`` is the median.
        categories: (category, places, slates) most places first; ``other`` how many more there are.
        channels: (channel, places).
        rungs: (rung, slates).
        items: distinct items; ``new_places`` places of items new to the shop, ``new_slates`` slates with one.
        new_items: (item, title, category, places).
        most_shown: (item, title, category, places).
        catalog: whether categories are known at all.
    """

    slates: int
    places: int
    oldest: int | None
    newest: int | None
    breadth: list[Breadth]
    typical: float
    categories: list[tuple[str, int, int]]
    other: int
    channels: list[tuple[str, int]]
    rungs: list[tuple[str, int]]
    items: int
    new_places: int
    new_slates: int
    new_items: list[tuple[str, str, str, int]]
    most_shown: list[tuple[str, str, str, int]]
    catalog: bool


async def sample_slates(redis: Redis, prefix: str, most: int) -> list[Slate]:
    """Up to ``most`` slates, whichever Redis comes upon; read a few at a time, so that nobody waits behind them."""
    users = await some_with_slates(redis, prefix, most)
    slates = []
    for start in range(0, len(users), _BATCH):
        pipe = redis.pipeline(transaction=False)
        for user in users[start : start + _BATCH]:
            pipe.get(f"{prefix}slate:{user}".encode(errors="surrogateescape"))
        found = await pipe.execute()
        # None is a slate that expired meanwhile.
        slates += [msgspec.json.decode(value, type=Slate) for value in found if value is not None]
    return slates


def shown(slates: Iterable[Slate], catalog: OpenCatalog) -> Shown:
    """Count what ``slates`` show. Pure."""
    breadth: Counter[int] = Counter()
    by_category: Counter[str] = Counter()
    slates_of: Counter[str] = Counter()
    channels: Counter[str] = Counter()
    rungs: Counter[str] = Counter()
    items: Counter[str] = Counter()
    new: Counter[str] = Counter()
    made: list[int] = []
    new_slates = 0
    for slate in slates:
        made.append(slate.made_at)
        rungs[slate.rung] += 1
        seen: set[str] = set()
        fresh = False
        for candidate in slate.candidates:
            known = catalog.known(candidate.item)
            items[candidate.item] += 1
            channels[candidate.channel] += 1
            by_category[known.category or "without a category"] += 1
            seen.add(known.category)
            if known.new or candidate.channel == "new":
                new[candidate.item] += 1
                fresh = True
        for category in seen:
            slates_of[category or "without a category"] += 1
        breadth[len(seen)] += 1
        new_slates += fresh
    widths = sorted(breadth.elements())
    return Shown(
        len(made),
        sum(items.values()),
        min(made, default=None),
        max(made, default=None),
        [Breadth(width, breadth[width]) for width in sorted(breadth)],
        float(median(widths)) if widths else 0.0,
        [(name, places, slates_of[name]) for name, places in by_category.most_common(_MOST_ROWS)],
        max(0, len(by_category) - _MOST_ROWS),
        channels.most_common(),
        rungs.most_common(),
        len(items),
        sum(new.values()),
        new_slates,
        _rows(new, catalog),
        _rows(items, catalog),
        catalog=bool(len(catalog)),
    )


def _rows(counts: Counter[str], catalog: OpenCatalog) -> list[tuple[str, str, str, int]]:
    found = []
    for item, places in counts.most_common(_MOST_ROWS):
        known = catalog.known(item)
        found.append((item, known.title, known.category, places))
    return found


class Kept:
    """A sample that several viewers share for half a minute."""

    def __init__(self, for_s: float = 30.0, most: int = 200) -> None:
        self._for_s = for_s
        self._most = most
        self._at = 0.0
        self._slates: list[Slate] = []

    async def slates(self, redis: Redis, prefix: str) -> list[Slate]:
        """The sample, read anew where it is too old."""
        if not self._at or time.monotonic() - self._at > self._for_s:
            self._slates = await sample_slates(redis, prefix, self._most)
            self._at = time.monotonic()
        return self._slates
