"""Popular items, over all and by category, with decay over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from index.channels.purchases import DAY_MS

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.channels.channel import Need, Scores, ShopperChannel
    from index.channels.purchases import Histories, Purchases

__all__ = ["CategoryPopularity", "Habit", "Popularity", "popularity"]


def popularity(
    history: Purchases, now: int, *, days: float | None = None, half_life: float | None = None
) -> npt.NDArray[np.float64]:
    """(items,): order lines of each item, of the last ``days``, each weighed by 0.5 ** (age in days / half-life)."""
    age = (now - history.time) / DAY_MS
    weight = np.ones(len(age)) if half_life is None else 0.5 ** (age / half_life)
    if days is not None:
        weight = np.where(age <= days, weight, 0.0)
    counts: npt.NDArray[np.float64] = np.bincount(history.item, weight, minlength=len(history.items)).astype(
        float
    )
    return counts


@dataclass(frozen=True, slots=True)
class Popularity:
    """The same popular items for everybody.

    Attributes:
        counts: (items,) as from `popularity`.
    """

    counts: npt.NDArray[np.float64]
    sold: npt.NDArray[np.bool_]
    name: str = "popularity"
    needs: frozenset[Need] = frozenset({"purchases"})

    @classmethod
    def learn(
        cls, history: Purchases, now: int, *, days: float | None = 30.0, half_life: float | None = None
    ) -> Popularity:
        """Count a history; arguments as in `popularity`."""
        sold = np.bincount(history.item, minlength=len(history.items)) > 0
        return cls(popularity(history, now, days=days, half_life=half_life), sold)

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`."""
        one = np.where(self.sold, self.counts, -np.inf).astype(np.float32)
        return np.tile(one, (shoppers.count, 1))


@dataclass(frozen=True, slots=True)
class CategoryPopularity:
    """Popular items of the categories a shopper buys from: share of the category x the item's share in it.

    Attributes:
        counts: (items,) as from `popularity`.
        category: (items,) the number of each item's category.
        smoothing: Invoice entries' worth of the shop's own mix of categories that every shopper starts with.
    """

    counts: npt.NDArray[np.float64]
    category: npt.NDArray[np.int64]
    smoothing: float = 5.0
    name: str = "category-popularity"
    needs: frozenset[Need] = frozenset({"purchases", "categories"})

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`."""
        many = int(self.category.max()) + 1
        whole = np.bincount(self.category, self.counts, minlength=many)
        mix = np.tile(self.smoothing * whole / max(whole.sum(), 1e-12), (shoppers.count, 1))
        np.add.at(mix, (shoppers.shopper, self.category[shoppers.item]), 1.0)
        mix /= mix.sum(axis=1, keepdims=True)
        within = self.counts / np.maximum(whole[self.category], 1e-12)
        scores = (mix[:, self.category] * within).astype(np.float32)
        scores[:, self.counts <= 0] = -np.inf
        return scores


@dataclass(frozen=True, slots=True)
class Habit:
    """A shopper's own items by how often they bought them, then the order of another channel's scores.

    The baseline of personal frequency: strong where shoppers buy again what they bought before.

    Attributes:
        rest: What decides between items bought equally often, the ones never bought among them.
    """

    rest: ShopperChannel
    name: str = "personal-frequency"
    needs: frozenset[Need] = frozenset({"purchases"})

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`: days bought, plus the other channel's scores scaled to below 1."""
        other = self.rest.score(shoppers)
        finite = np.isfinite(other)
        low = np.where(finite, other, np.inf).min(axis=1, keepdims=True)
        high = np.where(finite, other, -np.inf).max(axis=1, keepdims=True)
        span = np.maximum(high - low, 1e-12)
        scaled = np.where(finite, 0.99 * (np.where(finite, other, low) - low) / span, -np.inf)
        days = shoppers.days(other.shape[1])
        return np.where(days > 0, days + np.maximum(scaled, 0.0), scaled).astype(np.float32)
