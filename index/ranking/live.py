"""What the live ranker knows of a candidate: one row of numbers, made in one pass over a slate's candidates.

The same rows are in the trace of every slate, position by position, so that a ranker can be learnt from recorded slates
and what shoppers did next (`index.ranking.from_slates`).

====================  ============================================================================================
``dense`` .. ``new``  value in each channel as a share of the largest of the slate's candidates; 0 if not found by it
``*_place``           place among the slate's candidates by that channel, from 1; unknown (NaN) if not found by it
``demands``           how many of the shopper's demands found it
``demand_place``      its best place in the list of a demand; NaN if none found it
``demand_weight``     the largest weight of a demand that found it (UQ2I); 0 if none
``price_gap``         ln(price / median price of what the shopper took up); NaN without either
``price_distance``    the same without its sign
``category``          weight of its category for the shopper: 1 for the first, then 1/2, 1/3 and so on; 0 for others
``popularity``        ln(1 + popularity)
``age_days``          days since the shop first had it; NaN if unknown
``likeness``          largest cosine of its text with that of an item the shopper took up; NaN without any
``taken``             weight of what the shopper did with the very item; 0 if nothing
``acts``              how many items the shopper took up
``queries``           how many demands the shopper has
====================  ============================================================================================

What is sold out is no candidate, so stock is no feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LIVE_FEATURES", "About", "live_features", "places"]

_CHANNELS: Final = ("dense", "lexical", "behaviour", "popular", "new")
_PLACED: Final = ("dense", "lexical", "behaviour", "popular")
LIVE_FEATURES: Final = (
    *_CHANNELS,
    *(f"{name}_place" for name in _PLACED),
    "demands",
    "demand_place",
    "demand_weight",
    "price_gap",
    "price_distance",
    "category",
    "popularity",
    "age_days",
    "likeness",
    "taken",
    "acts",
    "queries",
)
"""Names of the columns, in their order."""

Column = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class About:
    """What is known of m candidates and of the shopper, beside the channels.

    Attributes:
        price: (m,) NaN where unknown.
        usual_price: (m,) median price of what the candidate's shopper took up; NaN if unknown.
        category: (m,) weight of the item's category for the shopper.
        popularity: (m,).
        age_days: (m,) NaN where unknown.
        likeness: (m,) NaN where unknown.
        taken: (m,) weight of the shopper's act with the item.
        acts: (m,) how many items the shopper took up.
        queries: (m,) how many demands the shopper has.
    """

    price: Column
    usual_price: Column
    category: Column
    popularity: Column
    age_days: Column
    likeness: Column
    taken: Column
    acts: Column
    queries: Column


def places(column: Column) -> Column:
    """(m,) each candidate's place by a channel's values, from 1; NaN where the value is 0.

    >>> places(np.array([0.2, 0.0, 0.9])).tolist()
    [2.0, nan, 1.0]
    """
    found = np.full(len(column), np.nan)
    there = np.flatnonzero(column > 0)
    found[there[np.argsort(-column[there], kind="stable")]] = np.arange(1, len(there) + 1)
    return found


def live_features(
    columns: Mapping[str, Column],
    placed: Mapping[str, Column],
    ranks: npt.NDArray[np.int64],
    weights: Column,
    about: About,
) -> npt.NDArray[np.float32]:
    """(m, len(LIVE_FEATURES)) of m candidates, which may be of several shoppers; NaN where unknown.

    Args:
        columns: By channel (m,) values as shares of the slate's largest; a channel that is not there counts 0.
        placed: By channel (m,) as from `places` over all candidates of the slate.
        ranks: (m, q) best place in each demand's lists, from 1; 0 in none.
        weights: (m, q) the demands' weights.
        about: The rest.
    """
    many = len(about.price)
    none, unknown = np.zeros(many), np.full(many, np.nan)
    found = ranks > 0
    best = np.where(found, ranks, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.log(about.price / about.usual_price)
    gap[~np.isfinite(gap)] = np.nan
    rest = (
        found.sum(axis=1),
        np.where(found.any(axis=1), best, np.nan),
        np.where(found, weights, 0.0).max(axis=1, initial=0.0),
        gap,
        np.abs(gap),
        about.category,
        np.log1p(about.popularity),
        about.age_days,
        about.likeness,
        about.taken,
        about.acts,
        about.queries,
    )
    listed = [columns.get(name, none) for name in _CHANNELS] + [placed.get(name, unknown) for name in _PLACED]
    whole = np.empty((many, len(LIVE_FEATURES)), dtype=np.float32)
    for at, column in enumerate((*listed, *rest)):
        whole[:, at] = column
    return whole
