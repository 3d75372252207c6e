"""Items whose titles are like what a shopper bought, by an encoder: content without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from index.channels.behaviour import HALF_LIFE

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.channels.channel import Need, Scores
    from index.channels.purchases import Histories
    from index.encoders.encoder import Vectors

__all__ = ["Taste"]


@dataclass(frozen=True, slots=True)
class Taste:
    """Cosine of an item's vector with the mean of the vectors of what the shopper bought, later purchases weighing more.

    Attributes:
        vectors: (items, d) unit vectors of the titles.
        offered: (items,) whether the item may be offered.
    """

    vectors: Vectors
    offered: npt.NDArray[np.bool_]
    half_life: float | None = HALF_LIFE
    name: str = "titles"
    needs: frozenset[Need] = frozenset({"purchases", "titles", "encoder"})

    def score(self, shoppers: Histories) -> Scores:
        """As `ShopperChannel.score`."""
        mean = shoppers.weights(len(self.vectors), self.half_life) @ self.vectors
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        scores: Scores = (mean / np.maximum(length, 1e-12)) @ self.vectors.T
        scores[:, ~self.offered] = -np.inf
        return scores
