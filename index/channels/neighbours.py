"""What shoppers with similar purchases bought: k nearest users by cosine, with weights by rarity and age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from index.channels.behaviour import HALF_LIFE
from index.channels.sparse import sparse_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.channels.channel import Need, Scores
    from index.channels.purchases import Histories, Purchases

__all__ = ["SimilarShoppers"]

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class SimilarShoppers:
    """User-to-user nearest neighbours (Resnick and others, GroupLens, CSCW 1994, with cosine and inverse frequency).

    Attributes:
        known: (users, items) the users' decayed purchases times log(users / buyers), rows of length 1.
        taken: (users, items) 0.5 ** (days since the item was last bought / `days`).
        rarity: (items,) log(users / buyers).
        k: How many neighbours count.
    """

    known: Scores
    taken: Scores
    rarity: Scores
    half_life: float
    k: int = 100
    name: str = "user-knn"
    needs: frozenset[Need] = frozenset({"purchases"})

    @classmethod
    def learn(
        cls, history: Purchases, now: int, *, k: int = 100, half_life: float = HALF_LIFE, days: float = 60.0
    ) -> SimilarShoppers:
        """Learn from a history.

        Args:
            history: The order lines.
            now: UTC milliseconds; what is bought long before counts less.
            k: Neighbours of a shopper.
            half_life: Of a shopper's purchases, in invoice days.
            days: Half-life of what neighbours bought, in days.
        """
        items = len(history.items)
        everyone = history.histories(np.arange(len(history.users)), now)
        known = everyone.weights(items, half_life)
        buyers = (known > 0).sum(axis=0)
        rarity = np.log1p(len(known) / (1.0 + buyers)).astype(np.float32)
        taken = np.zeros_like(known)
        age = now / 86_400_000 - everyone.day
        np.maximum.at(taken, (everyone.shopper, everyone.item), (0.5 ** (age / days)).astype(np.float32))
        return cls(_unit(known * rarity), taken, rarity, half_life, k)

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`. A shopper is no neighbour of their own: an equal history counts for nothing."""
        scores = np.empty((shoppers.count, len(self.rarity)), dtype=np.float32)
        known = sparse_rows(self.known)
        for start in range(0, shoppers.count, _BLOCK):
            part = shoppers.part(slice(start, start + _BLOCK))
            asked = _unit(part.weights(len(self.rarity), self.half_life) * self.rarity)
            near = np.ascontiguousarray((known @ asked.T).T)
            near[near > 1 - 1e-5] = 0.0
            if self.k < near.shape[1]:
                edge = -np.partition(-near, self.k - 1, axis=1)[:, self.k - 1 : self.k]
                near[near < edge] = 0.0
            scores[start : start + _BLOCK] = sparse_rows(near) @ self.taken
        return scores


def _unit(rows: npt.NDArray[np.float32]) -> Scores:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Scores = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit
