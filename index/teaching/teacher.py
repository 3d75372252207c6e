"""What behaviour says that a shopper wants: EASE^R, item-kNN and what is rising, as shares of the likeliest items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from index.channels.behaviour import LAMBDA, cosine_weights, gram
from index.channels.popularity import popularity
from index.ranking.closed_form import quick_ease

if TYPE_CHECKING:
    from index.channels.channel import Scores
    from index.channels.purchases import Histories, Purchases

__all__ = ["Shares", "Teacher", "TeacherSettings", "mix"]

_DAYS: Final = 30.0
_HALVINGS: Final = 30
_NARROWEST: Final = 2.0
_MOST_OF_ALL: Final = 0.2


class TeacherSettings(BaseModel):
    """How the teachers are fused. Scores are standardised over the items of each shopper before they are added."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ease: float = Field(default=1.0, ge=0, description="Weight of EASE^R.")
    item_knn: float = Field(
        default=0.3, ge=0, description="Weight of item-kNN; it is surer of short histories."
    )
    rising: float = Field(
        default=0.8,
        ge=0,
        description="Weight of log(sales of the last 30 days) - log(all sales): less of what everybody has, more of now.",
    )
    items: int = Field(default=100, ge=10, description="Likeliest items of a list.")
    breadth: float = Field(
        default=40.0,
        gt=1,
        description="Among how many items a list hesitates (the perplexity of its shares), at most a fifth of the catalogue.",
    )


@dataclass(frozen=True, slots=True)
class Shares:
    """Lists of n shoppers.

    Attributes:
        items: (n, k) items, the likeliest first.
        shares: (n, k) adding up to 1 in each row; 0 for what the shopper has and for what was never sold.
    """

    items: npt.NDArray[np.int64]
    shares: Scores


class Teacher:
    """Fused teachers, learnt from a history.

    Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019; Sarwar and others, "Item-based
    Collaborative Filtering Recommendation Algorithms", WWW 2001.
    """

    def __init__(self, history: Purchases, now: int, settings: TeacherSettings) -> None:
        """Learn; seconds for some thousand items.

        Args:
            history: The order lines before ``now``.
            now: UTC milliseconds.
            settings: How they are fused.

        Raises:
            CatalogError: if there are too many items for closed-form weights, or scipy is missing.
        """
        counts = gram(history)
        self.sold = counts.diagonal() > 0
        self._settings = settings
        self._ease = quick_ease(counts, LAMBDA)
        self._cosines = cosine_weights(counts)
        recent, whole = popularity(history, now, days=_DAYS), popularity(history, now)
        self._rising = (np.log1p(recent) - np.log1p(whole)).astype(np.float32)

    def scores(self, shoppers: Histories) -> Scores:
        """(shoppers, items): higher is likelier; -inf for what they have and for what was never sold."""
        from scipy.sparse import csr_array  # noqa: PLC0415 - serving does without it

        items = len(self.sold)
        had = shoppers.bought(items)
        basket = csr_array(shoppers.weights(items, None))
        settings = self._settings
        fused = settings.rising * np.tile(self._rising, (shoppers.count, 1))
        for weight, matrix in ((settings.ease, self._ease), (settings.item_knn, self._cosines)):
            if weight:
                fused += weight * _standardised(basket @ matrix, self.sold)
        fused[had | ~self.sold] = -np.inf
        result: Scores = fused.astype(np.float32)
        return result

    def lists(self, shoppers: Histories) -> Shares:
        """The likeliest items of each shopper with their shares.

        Shares are a softmax of the scores at a temperature of each shopper's own: that at which its perplexity is
        ``breadth``. Scores of short and of long histories have other scales, and a student is to learn their order.
        """
        scores = self.scores(shoppers)
        k = min(self._settings.items, scores.shape[1])
        items = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(scores, items, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        items, found = np.take_along_axis(items, order, axis=1), np.take_along_axis(found, order, axis=1)
        # A list that hesitates among most of a small catalogue says nothing of its shopper.
        breadth = min(self._settings.breadth, 0.9 * k, max(_NARROWEST, _MOST_OF_ALL * scores.shape[1]))
        return Shares(items, _shares(found, breadth))


def mix(lists: Shares, other: Shares, share: float) -> list[tuple[npt.NDArray[np.int64], Scores]]:
    """Two lists of each shopper as one: each item once.

    Args:
        lists: Which have ``1 - share`` of the weight.
        other: Which have ``share`` of it.
        share: From 0 to 1.
    """
    mixed = []
    for items, shares, more, theirs in zip(lists.items, lists.shares, other.items, other.shares, strict=True):
        whole, place = np.unique(np.concatenate([items, more]), return_inverse=True)
        total = np.bincount(place, np.concatenate([(1 - share) * shares, share * theirs]))
        kept = total > 0
        mixed.append((whole[kept], total[kept].astype(np.float32)))
    return mixed


def _standardised(scores: Scores, sold: npt.NDArray[np.bool_]) -> Scores:
    of = scores[:, sold]
    result: Scores = (scores - of.mean(axis=1, keepdims=True)) / np.maximum(
        of.std(axis=1, keepdims=True), 1e-9
    )
    return result


def _shares(scores: Scores, breadth: float) -> Scores:
    """A softmax of each row with perplexity ``breadth``, found by bisection of the temperature's logarithm."""
    level = (scores - scores.max(axis=1, keepdims=True)).astype(np.float64)
    low, high = np.full(len(scores), -9.0), np.full(len(scores), 9.0)
    shares = np.empty_like(level)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        powers = np.exp(level / np.exp(middle)[:, None])
        shares = powers / powers.sum(axis=1, keepdims=True)
        entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1)
        narrow = entropy < np.log(breadth)
        low, high = np.where(narrow, middle, low), np.where(narrow, high, middle)
    result: Scores = shares.astype(np.float32)
    return result
