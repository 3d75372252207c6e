"""What a ranker of slates knows of a shopper and an item: one row of features a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from index.channels.behaviour import HALF_LIFE, LAMBDA, cosine_weights, gram
from index.channels.following import next_weights
from index.channels.neighbours import SimilarShoppers
from index.channels.purchases import DAY_MS
from index.channels.sparse import sparse_rows
from index.ranking.closed_form import quick_ease
from index.ranking.item_facts import ITEM, ItemFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from index.channels.channel import Scores
    from index.channels.purchases import Histories, Purchases
    from index.encoders.encoder import Vectors

__all__ = ["DEPTH", "FEATURES", "MOST", "Candidates", "Knowledge"]

_SCORES: Final = (
    "ease",
    "ease-decayed",
    "ease-recent",
    "ease-basket",
    "ease-last",
    "item-knn",
    "next",
    "user-knn",
    "user-knn-recent",
)
_RANKED: Final = ("ease", "ease-recent", "ease-basket", "next", "user-knn", "user-knn-recent")
_PAIR: Final = (
    "price_gap",
    "price_gap_scaled",
    "title_nearest",
    "title_near_five",
    "popularity_gap",
    "days_bought",
    "days_since",
    "share_of_days",
    "pieces_gap",
    "near_trend_gap",
)
_SHOPPER: Final = (
    "items",
    "days",
    "since_last",
    "since_first",
    "newness",
    "usual_price",
    "basket",
    "usual_pieces",
    "usual_trend",
)
FEATURES: Final = (
    *_SCORES,
    *(f"{name}_share" for name in _SCORES),
    *(f"{name}_rank" for name in _RANKED),
    *ITEM,
    *_PAIR,
    *_SHOPPER,
)
"""Names of the columns, in their order."""

DEPTH: Final = 150
"""Of each channel's list that goes into the union."""

MOST: Final = 250
"""Candidates of a shopper that get features, by a coarse score; what they bought comes on top."""

_NEW_DAYS: Final = 45.0
_LATELY: Final = 14.0


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of n shoppers, one after the other.

    Attributes:
        owner: (m,) the shopper of each candidate, rising from 0.
        rows: (m,) its item.
        features: (m, len(FEATURES)) float32; NaN where unknown.
    """

    owner: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]


class Knowledge:
    """Everything learnt from a history up to a moment that features are made of.

    Args:
        history: The order lines before ``now``.
        now: UTC milliseconds.
        vectors: (items, d) unit vectors of the titles; None where there is no encoder.
    """

    def __init__(self, history: Purchases, now: int, vectors: Vectors | None = None) -> None:
        self.now = now
        self.vectors = vectors
        self.shoppers = max(len(np.unique(history.user)), 1)
        self._items = len(history.items)
        counts = gram(history)
        self.sold = counts.diagonal() > 0
        day = history.time // DAY_MS
        latest = history.keep(history.time >= now - 75 * DAY_MS)
        baskets, basket_of = np.unique(history.user * 1_000_000 + day, return_inverse=True)
        fading = 0.5 ** ((now / DAY_MS - baskets % 1_000_000) / 90.0)
        everyone = sparse_rows(
            history.histories(np.arange(len(history.users)), now).weights(self._items, HALF_LIFE)
        )
        self._weights: dict[str, Scores] = {
            "ease": quick_ease(counts, LAMBDA),
            "ease-decayed": quick_ease((everyone.T @ everyone).toarray(), LAMBDA),
            "ease-recent": quick_ease(gram(latest), 150.0),
            "ease-basket": quick_ease(gram(history, basket_of, fading), 150.0),
            "item-knn": cosine_weights(counts),
            "next": next_weights(history, now),
        }
        self._similar = SimilarShoppers.learn(history, now)
        self._lately = SimilarShoppers.learn(history, now, days=_LATELY)
        self._facts = ItemFacts.learn(history, now, counts.diagonal().astype(np.float64), vectors)

    def item(self, name: str) -> npt.NDArray[np.float64]:
        """(items,) one of the columns about items, such as ``age``, ``trend``, ``sales_14`` or ``buyers``."""
        return self._facts.table[:, ITEM.index(name)].astype(np.float64)

    def score(self, shoppers: Histories) -> dict[str, Scores]:
        """By channel the scores (shoppers, items) of every item."""
        bought = sparse_rows(shoppers.weights(self._items, HALF_LIFE))
        scores = {name: bought @ one for name, one in self._weights.items()}
        latest = shoppers.ago == 0
        last = (np.ones(int(latest.sum()), np.float32), (shoppers.shopper[latest], shoppers.item[latest]))
        scores["ease-last"] = sparse_rows(last, (shoppers.count, self._items)) @ self._weights["ease"]
        scores["user-knn"] = self._similar.score(shoppers)
        scores["user-knn-recent"] = self._lately.score(shoppers)
        return scores

    def candidates(
        self,
        shoppers: Histories,
        *,
        novel: bool,
        depth: int = DEPTH,
        most: int = MOST,
        scores: dict[str, Scores] | None = None,
        also: npt.NDArray[np.bool_] | None = None,
        wanted: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.bool_]] | None = None,
    ) -> Candidates:
        """The best of the union of the channels' first ``depth`` items for each shopper, with features.

        Args:
            shoppers: Whom to offer to.
            novel: Leave out what a shopper bought; otherwise all they bought are candidates too.
            depth: Of each channel's list.
            most: Candidates of a shopper, by the mean of the channels' scores as shares of their largest.
            scores: As from `score`, where they are there already.
            also: (shoppers, items) further candidates, such as what words bring; never sold ones too.
            wanted: Told owners and rows, says of which to make features; of all if None.
        """
        bought = shoppers.bought(self._items)
        scores = self.score(shoppers) if scores is None else scores
        out = np.broadcast_to(~self.sold, bought.shape)
        if novel:
            out = out | bought
        mask = np.zeros_like(bought)
        who = np.arange(len(bought))[:, None]
        ranks: dict[str, npt.NDArray[np.int16]] = {}
        coarse = np.zeros(bought.shape, dtype=np.float32)
        for name in _SCORES:
            one = _first(np.where(out, -np.inf, scores[name]), depth)
            at, found = np.nonzero(one >= 0)
            mask[at, one[at, found]] = True
            coarse += scores[name] / _largest(scores[name])
            if name in _RANKED:
                ranks[name] = np.full(bought.shape, depth, dtype=np.int16)
                ranks[name][at, one[at, found]] = found
        mask[who, np.argsort(-self.item("sales_30"), kind="stable")[: depth // 2]] = True
        mask &= ~out
        chosen = _first(np.where(mask, coarse, -np.inf), most)
        mask[:] = False
        at, found = np.nonzero(chosen >= 0)
        mask[at, chosen[at, found]] = True
        # Channels of behaviour know little of what is new and rising; it is for the ranker to judge.
        mask[:, self._facts.fresh] |= ~out[:, self._facts.fresh]
        if also is not None:
            mask |= also & ~bought if novel else also
        if not novel:
            mask |= bought & self.sold
        owner, rows = np.nonzero(mask)
        if wanted is not None:
            kept = wanted(owner, rows)
            owner, rows = owner[kept], rows[kept]
        return Candidates(owner, rows, self._features(shoppers, scores, ranks, owner, rows))

    def _features(
        self,
        shoppers: Histories,
        scores: dict[str, Scores],
        place: dict[str, npt.NDArray[np.int16]],
        owner: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float32]:
        picked = [scores[name][owner, rows] for name in _SCORES]
        shares = [one / _largest(scores[name])[owner, 0] for name, one in zip(_SCORES, picked, strict=True)]
        ranks = [place[name][owner, rows] for name in _RANKED]
        about = self._about(shoppers)
        days = shoppers.days(self._items)[owner, rows]
        last = np.zeros((shoppers.count, self._items), dtype=np.float32)
        np.maximum.at(last, (shoppers.shopper, shoppers.item), shoppers.day.astype(np.float32))
        mine = last[owner, rows]
        nearest, near_five = self._titles(shoppers, owner, rows)
        gap = self._facts.price[rows] - about["usual_price"][owner]
        pair = (
            gap,
            np.abs(gap) / (about["price_spread"][owner] + 0.3),
            nearest,
            near_five,
            self._facts.sales[rows] - about["usual_sales"][owner],
            days,
            np.where(mine > 0, self.now / DAY_MS - mine, np.nan),
            days / np.maximum(about["days"][owner], 1.0),
            self._facts.pieces[rows] - about["usual_pieces"][owner],
            self._facts.near_trend[rows] - about["usual_trend"][owner],
        )
        whole = np.empty((len(rows), len(FEATURES)), dtype=np.float32)
        front = (*picked, *shares, *ranks)
        for at, column in enumerate(front):
            whole[:, at] = column
        at = len(front)
        whole[:, at : at + len(ITEM)] = self._facts.table[rows]
        at += len(ITEM)
        rest: list[npt.NDArray[Any]] = [*pair, *(about[name][owner] for name in _SHOPPER)]
        for column in rest:
            whole[:, at] = column
            at += 1
        return whole

    def _about(self, shoppers: Histories) -> dict[str, npt.NDArray[np.float64]]:
        n, today = shoppers.count, self.now / DAY_MS
        who, what = shoppers.shopper, shoppers.item
        entries = np.maximum(np.bincount(who, minlength=n), 1)

        def mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return np.bincount(who, np.nan_to_num(values), minlength=n) / entries

        first, last = np.full(n, np.inf), np.full(n, -np.inf)
        np.minimum.at(first, who, shoppers.day)
        np.maximum.at(last, who, shoppers.day)
        days = np.zeros(n)
        np.maximum.at(days, who, shoppers.ago + 1.0)
        price = mean(self._facts.price[what])
        spread = np.sqrt(np.maximum(mean(self._facts.price[what] ** 2) - price**2, 0.0))
        return {
            "items": shoppers.bought(self._items).sum(axis=1).astype(np.float64),
            "days": days,
            "since_last": today - last,
            "since_first": today - first,
            "newness": mean((shoppers.day - self._facts.first_day[what] < _NEW_DAYS).astype(np.float64)),
            "usual_price": price,
            "price_spread": spread,
            "usual_sales": mean(self._facts.sales[what]),
            "basket": entries / np.maximum(days, 1.0),
            "usual_pieces": mean(np.log1p(np.nan_to_num(shoppers.quantity))),
            "usual_trend": mean(self._facts.near_trend[what]),
        }

    def _titles(
        self, shoppers: Histories, owner: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Cosine of each candidate's title with the nearest title its owner bought, and the mean of the nearest five."""
        one = np.full(len(rows), np.nan, dtype=np.float32)
        five = np.full(len(rows), np.nan, dtype=np.float32)
        if self.vectors is None:
            return one, five
        bounds = np.searchsorted(owner, np.arange(shoppers.count + 1))
        starts = np.searchsorted(shoppers.shopper, np.arange(shoppers.count + 1))
        for at in range(shoppers.count):
            mine = np.unique(shoppers.item[starts[at] : starts[at + 1]])
            theirs = slice(bounds[at], bounds[at + 1])
            if not len(mine) or theirs.start == theirs.stop:
                continue
            near = self.vectors[rows[theirs]] @ self.vectors[mine].T
            # An item is no neighbour of itself: what was bought is known from other columns.
            near[rows[theirs][:, None] == mine[None, :]] = -1.0
            top = -np.partition(-near, min(5, near.shape[1]) - 1, axis=1)[:, :5]
            one[theirs], five[theirs] = top.max(axis=1), top.mean(axis=1)
        return one, five


def _first(scores: Scores, depth: int) -> npt.NDArray[np.int64]:
    """(n, depth) the columns of the largest scores of each row, falling; -1 where only -inf is left.

    Columns that tie at the edge go by numpy's selection, which is the same for the same scores.
    """
    depth = min(depth, scores.shape[1])
    top = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    found = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    ended = ~np.isfinite(np.take_along_axis(found, order, axis=1))
    return np.where(ended, -1, np.take_along_axis(top, order, axis=1))


def _largest(scores: Scores) -> Scores:
    largest: Scores = np.maximum(scores.max(axis=1, keepdims=True), 1e-9)
    return largest
