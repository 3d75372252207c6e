"""Reciprocal-rank fusion: several ranked lists into one.

Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods", SIGIR 2009: an item's score is the sum of ``1 / (k + rank)`` over the lists it is in, ranks from 1 and
k = 60. Here each list also has a weight, by which its terms are multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RRF_K", "Fused", "fuse"]

RRF_K: Final = 60
"""The constant of the article: how little the first ranks stand out from the ones after them."""


@dataclass(frozen=True, slots=True)
class Fused:
    """The fused list, best first, of m rows out of q lists.

    Attributes:
        rows: (m,) the rows, each once.
        scores: (m,) their scores, falling.
        ranks: (m, q) a row's rank in each list, from 1; 0 where the list lacks it.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.int64]


def fuse(lists: Sequence[npt.NDArray[np.int64]], weights: Sequence[float], k: int = RRF_K) -> Fused:
    """Fuse q lists of rows, each best first and without repeats.

    Equal scores are ordered by the best rank in any list, then by row, so the same lists always give the same order.

    >>> fused = fuse([np.array([7, 3]), np.array([3])], [1.0, 1.0])
    >>> fused.rows.tolist(), fused.ranks.tolist()
    ([3, 7], [[2, 1], [1, 0]])
    """
    if not any(len(one) for one in lists):
        empty = np.empty(0, dtype=np.int64)
        return Fused(empty, np.empty(0), np.empty((0, len(lists)), dtype=np.int64))
    rows, places = np.unique(np.concatenate(lists), return_inverse=True)
    ranks = np.zeros((len(rows), len(lists)), dtype=np.int64)
    at = 0
    for column, one in enumerate(lists):
        ranks[places[at : at + len(one)], column] = np.arange(1, len(one) + 1)
        at += len(one)
    found = ranks > 0
    scores = np.where(found, np.asarray(weights, dtype=np.float64) / (k + ranks), 0.0).sum(axis=1)
    best = np.where(found, ranks, np.iinfo(np.int64).max).min(axis=1)
    # Rounded, because a sum of the same terms in another order differs in its last bit and is a tie all the same.
    order = np.lexsort((rows, best, -np.round(scores, 12)))
    return Fused(rows[order].astype(np.int64), scores[order], ranks[order])
