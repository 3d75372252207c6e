"""Where what a shopper pays stands among the prices of the shop."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Band", "PriceBands"]


class Band(StrEnum):
    """What a shopper pays beside what the shop asks in the same categories."""

    LOW = "low"
    MIDDLE = "middle"
    HIGH = "high"
    UNKNOWN = "unknown"


class PriceBands:
    """Where a unit price stands among a shop's prices of the same category."""

    def __init__(self, prices: Iterable[tuple[str, float]]) -> None:
        """Take (category, unit price) of the catalogue's items; those without a positive price are left out."""
        by_category: defaultdict[str, list[float]] = defaultdict(list)
        for category, price in prices:
            if price > 0:
                by_category[category].append(price)
        # With fewer than three prices there are no thirds to speak of.
        self._thirds = {
            name: (known[len(known) // 3], known[-(-2 * len(known) // 3) - 1])
            for name, prices_ in by_category.items()
            if len(known := sorted(prices_)) >= 3
        }

    def band(self, bought: Iterable[tuple[str, float]]) -> Band:
        """The third of the prices in which most of (category, unit price) lie; unknown without any."""
        counts: Counter[Band] = Counter()
        for category, price in bought:
            thirds = self._thirds.get(category)
            if thirds is None or price <= 0:
                continue
            counts[Band.LOW if price < thirds[0] else Band.HIGH if price > thirds[1] else Band.MIDDLE] += 1
        if not counts:
            return Band.UNKNOWN
        order = list(Band)
        return min(counts, key=lambda band: (-counts[band], order.index(band)))
