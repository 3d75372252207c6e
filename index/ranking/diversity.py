"""Slates whose items differ: maximal marginal relevance over titles' vectors.

Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries",
SIGIR 1998. Here an item's value is relevance - strength x max(0, nearest - floor), with ``nearest`` its largest cosine
with an item already taken; cosines below the floor are the shop's common words and cost nothing. Values fall from
place to place, so they are scores too: a relevance and what was taken off it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.encoder import Vectors

__all__ = ["FLOOR", "HEAD", "STRENGTH", "diversify"]

STRENGTH: Final = 0.5
FLOOR: Final = 0.3
HEAD: Final = 10
"""First places that go by relevance alone: what a shopper surely wants may come in three colours."""


def diversify(
    relevance: npt.NDArray[np.float64],
    vectors: Vectors,
    limit: int,
    *,
    head: int = HEAD,
    strength: float = STRENGTH,
    floor: float = FLOOR,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Choose ``limit`` of m items one after the other.

    Args:
        relevance: (m,) from 0 to 1.
        vectors: (m, d) their unit vectors.
        limit: How many to choose, at most m.
        head: How many first places go by relevance alone.
        strength: How much of the similarity is taken off; 0 leaves the order of relevance.
        floor: Cosine up to which nothing is taken off.

    Returns:
        (limit,) places in ``relevance`` in the order chosen, and their values, falling.

    >>> near = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    >>> diversify(np.array([0.9, 0.8, 0.7]), near, 3, head=1)[0].tolist()
    [0, 2, 1]
    """
    limit = min(limit, len(relevance))
    order = np.argsort(-relevance, kind="stable")
    chosen = order[: min(head, limit)].tolist()
    values = relevance[chosen].tolist()
    cosine = np.maximum(vectors @ vectors.T - floor, 0.0)
    nearest = cosine[chosen].max(axis=0) if chosen else np.zeros(len(relevance))
    left = np.ones(len(relevance), dtype=bool)
    left[chosen] = False
    while len(chosen) < limit:
        value = np.where(left, relevance - strength * nearest, -np.inf)
        at = int(value.argmax())
        chosen.append(at)
        values.append(float(value[at]))
        left[at] = False
        nearest = np.maximum(nearest, cosine[at])
    return np.array(chosen, dtype=np.int64), np.array(values)
