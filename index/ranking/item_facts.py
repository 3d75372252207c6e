"""What a ranker of slates knows of an item by itself: how it sells, since when, to whom, and how items like it sell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from index.channels.fresh import first_sold, trend
from index.channels.popularity import popularity
from index.channels.purchases import DAY_MS

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.channels.purchases import Purchases
    from index.encoders.encoder import Vectors

__all__ = ["ITEM", "ItemFacts"]

ITEM: Final = (
    "sales_3",
    "sales_7",
    "sales_14",
    "sales_30",
    "sales_60",
    "sales",
    "trend",
    "age",
    "last_sold",
    "buyers",
    "repeat",
    "pieces",
    "price",
    "firsts_14",
    "firsts_30",
    "firsts_share",
    "near_sales",
    "near_trend",
    "near_age",
)
"""Names of the columns: lines of the last days, ``firsts`` being those of shoppers who had not bought the item before,
``near`` means over items of like titles."""

FRESH: Final = 30
"""New items, and rising ones, that are candidates for everybody: the best sold of each."""

_NEW_DAYS: Final = 30.0
_RISING: Final = 2.0
_LEAST: Final = 5.0
_ALIKE: Final = 0.4
_RECENT: Final = 14.0
_BEFORE: Final = 60.0
_PRIOR: Final = 0.5
_BLOCK: Final = 1_024


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """Facts of all items at a moment.

    Attributes:
        table: (items, len(ITEM)) float32; NaN where unknown.
        first_day: (items,) UTC day of the first sale; NaN where never sold.
        price: (items,) mean logarithm of the price of a piece.
        sales: (items,) log(1 + lines).
        pieces: (items,) log(1 + pieces a line).
        near_trend: (items,) logarithm of the trend of items of like titles; NaN without titles.
        fresh: Rows of new and rising items, as many as `FRESH` of each.
    """

    table: npt.NDArray[np.float32]
    first_day: npt.NDArray[np.float64]
    price: npt.NDArray[np.float64]
    sales: npt.NDArray[np.float64]
    pieces: npt.NDArray[np.float64]
    near_trend: npt.NDArray[np.float64]
    fresh: npt.NDArray[np.int64]

    @classmethod
    def learn(
        cls, history: Purchases, now: int, buyers: npt.NDArray[np.float64], vectors: Vectors | None
    ) -> ItemFacts:
        """Count a history.

        Args:
            history: The order lines before ``now``.
            now: UTC milliseconds.
            buyers: (items,) how many shoppers ever bought each item.
            vectors: (items, d) unit vectors of the titles; None without.
        """
        items = len(history.items)
        recent = {days: popularity(history, now, days=days) for days in (3.0, 7.0, _RECENT, 30.0, _BEFORE)}
        sales = popularity(history, now)
        last = np.full(items, -np.inf)
        np.maximum.at(last, history.item, history.time)
        age, rising = first_sold(history, now), trend(history, now)
        _, at_first = np.unique(history.user * items + history.item, return_index=True)
        wanted = np.zeros(len(history), dtype=bool)
        wanted[at_first] = True
        firsts = {days: popularity(history.keep(wanted), now, days=days) for days in (_RECENT, 30.0)}
        pieces = np.log1p(
            np.bincount(history.item, history.quantity, minlength=items) / np.maximum(sales, 1.0)
        )
        price = _price(history)
        near_sales, near_trend, near_age = _near(vectors, sales > 0, recent[_RECENT], recent[_BEFORE], age)
        columns = (
            *recent.values(),
            sales,
            rising,
            age,
            (now - last) / DAY_MS,
            buyers,
            sales / np.maximum(buyers, 1.0),
            pieces,
            price,
            *firsts.values(),
            firsts[30.0] / np.maximum(recent[30.0], 1.0),
            near_sales,
            near_trend,
            near_age,
        )
        young = np.where(age <= _NEW_DAYS, recent[_RECENT], 0.0)
        lifted = np.where((rising >= _RISING) & (recent[_RECENT] >= _LEAST), recent[_RECENT], 0.0)
        return cls(
            np.stack(columns, axis=1).astype(np.float32),
            now / DAY_MS - age,
            price,
            np.log1p(sales),
            pieces,
            np.log(np.maximum(near_trend, 1e-3)),
            np.union1d(_top(young), _top(lifted)),
        )


def _price(history: Purchases) -> npt.NDArray[np.float64]:
    price = np.log(np.maximum(history.amount, 1e-6) / np.maximum(history.quantity, 1e-6))
    known = np.isfinite(price)
    items = len(history.items)
    lines = np.bincount(history.item[known], minlength=items)
    total = np.bincount(history.item[known], price[known], minlength=items)
    return np.where(lines > 0, total / np.maximum(lines, 1), np.nan)


def _near(
    vectors: Vectors | None,
    sold: npt.NDArray[np.bool_],
    recent: npt.NDArray[np.float64],
    before: npt.NDArray[np.float64],
    age: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sales of the recent days, their trend and the age, each a mean over items by (cosine - 0.4)² where above.

    What sells by the season sells by its theme: a new item has no sales of its own to tell that from.
    """
    unknown = np.full(len(sold), np.nan)
    if vectors is None:
        return unknown, unknown.copy(), unknown.copy()
    facts = np.stack([recent, before - recent, np.nan_to_num(age)], axis=1).astype(np.float32)
    means = np.zeros((len(sold), 3))
    for start in range(0, len(sold), _BLOCK):
        weight = np.maximum(vectors[start : start + _BLOCK] @ vectors.T - _ALIKE, 0.0) ** 2
        weight[:, ~sold] = 0.0
        means[start : start + _BLOCK] = (weight @ facts) / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    expected = means[:, 1] * _RECENT / (_BEFORE - _RECENT)
    return means[:, 0], (means[:, 0] + _PRIOR) / (expected + _PRIOR), means[:, 2]


def _top(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Rows of the largest values, `FRESH` at most, those above 0."""
    best = np.argsort(-values, kind="stable")[:FRESH]
    return best[values[best] > 0]
