"""New and trending items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from index.channels.popularity import popularity
from index.channels.purchases import DAY_MS

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.channels.channel import Need, Scores
    from index.channels.purchases import Histories, Purchases

__all__ = ["Fresh", "first_sold", "trend"]


def first_sold(history: Purchases, now: int) -> npt.NDArray[np.float64]:
    """(items,): days since the item was first sold; NaN if it never was."""
    first = np.full(len(history.items), np.inf)
    np.minimum.at(first, history.item, history.time)
    return np.where(np.isfinite(first), (now - first) / DAY_MS, np.nan)


def trend(
    history: Purchases, now: int, *, recent: float = 14.0, before: float = 60.0, prior: float = 1.0
) -> npt.NDArray[np.float64]:
    """(items,): lines of the last ``recent`` days against what the days before, back to ``before``, lead to expect.

    (new + prior) / (expected + prior), with expected = lines of the days before, scaled to ``recent`` days.
    1 is steady; the prior keeps single sales from counting for much.
    """
    new = popularity(history, now, days=recent)
    old = popularity(history, now, days=before) - new
    return (new + prior) / (old * recent / (before - recent) + prior)


@dataclass(frozen=True, slots=True)
class Fresh:
    """Items first sold lately or selling ever more, the same for everybody.

    The score is log(1 + lines of the recent days) x max(log trend, 0), and for an item younger than `new_days` at
    least log(1 + lines) x (1 - age / new_days). Items of neither kind are not offered.

    Attributes:
        scores: (items,) -inf where not offered.
    """

    scores: Scores
    name: str = "fresh"
    needs: frozenset[Need] = frozenset({"purchases"})

    @classmethod
    def learn(cls, history: Purchases, now: int, *, new_days: float = 30.0, recent: float = 14.0) -> Fresh:
        """Count a history.

        Args:
            history: The order lines.
            now: UTC milliseconds.
            new_days: An item is new for this long after its first sale.
            recent: Days whose sales are the trend.
        """
        sales = np.log1p(popularity(history, now, days=recent))
        rising = sales * np.maximum(np.log(trend(history, now, recent=recent)), 0.0)
        age = np.nan_to_num(first_sold(history, now), nan=np.inf)
        young = sales * np.maximum(1.0 - age / new_days, 0.0)
        score = np.maximum(rising, young)
        return cls(np.where(score > 0, score, -np.inf).astype(np.float32))

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`."""
        return np.tile(self.scores, (shoppers.count, 1))
