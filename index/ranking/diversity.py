"""Slates that differ: how much a candidate's likeness to what is there already costs, and a list's broader second part.

Likeness is that of maximal marginal relevance (Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for
Reordering Documents and Producing Summaries", SIGIR 1998): an item's value is relevance - strength x max(0, nearest - floor),
with ``nearest`` its largest cosine with an item already taken; cosines below the floor are the shop's common words and
cost nothing. `index.ranking.slate.arrange` counts by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["BREADTH", "FLOOR", "HEAD", "STRENGTH", "SURE", "TRUST", "broaden"]

STRENGTH: Final = 0.5
FLOOR: Final = 0.3
HEAD: Final = 10
"""First places that go by relevance alone: what a shopper surely wants may come in three colours."""

SURE: Final = 20
"""First places of `broaden` that go by relevance alone."""

TRUST: Final = 0.4
"""What the second opinion counts further down, beside a relevance from 0 to 1."""

BREADTH: Final = 0.03
"""What a unit of log(1 + sales) costs further down. Both were chosen on Online Retail with cutoffs up to August 2011:
as many shoppers with a hit as by relevance alone, and four hundredths more of the catalogue in somebody's slate."""


def broaden(
    relevance: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    sales: npt.NDArray[np.float64],
    *,
    sure: int = SURE,
    trust: float = TRUST,
    breadth: float = BREADTH,
) -> npt.NDArray[np.int64]:
    """Order m items: the first places by relevance, the others by relevance + trust x second - breadth x log(1 + sales).

    Where the first places were wrong about a shopper, more of the same is likely to be: further down a second opinion
    counts too. And what sells best is on everybody's list there, so the unusual is preferred among near equals (inverse
    popularity, as in Steck, "Item Popularity and Recommendation Accuracy", RecSys 2011).

    Args:
        relevance: (m,) from 0 to 1.
        second: (m,) a second opinion, from 0 to 1.
        sales: (m,) recent order lines of each item.
        sure: How many first places go by relevance alone.
        trust: What the second opinion counts.
        breadth: What a unit of log(1 + sales) costs.

    Returns:
        (m,) places in ``relevance``, best first.

    >>> none = np.zeros(4)
    >>> broaden(np.array([0.9, 0.5, 0.49, 0.1]), none, np.array([9.0, 90.0, 0.0, 0.0]), sure=1).tolist()
    [0, 2, 1, 3]
    """
    order = np.argsort(-relevance, kind="stable")
    first, rest = order[:sure], order[sure:]
    value = relevance[rest] + trust * second[rest] - breadth * np.log1p(sales[rest])
    return np.concatenate([first, rest[np.argsort(-value, kind="stable")]])
