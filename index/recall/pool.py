"""The lists of one user joined: each item once, with a column of values for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from index.built.catalog import Rows
    from index.recall.channel import Listed, Values
    from index.recall.request import Channel

__all__ = ["Joined", "join"]


@dataclass(frozen=True, slots=True)
class Joined:
    """m items that some channel found, for q queries.

    Attributes:
        rows: (m,) their rows, rising.
        columns: By channel that found anything (m,): of a channel of words the sum over queries of the query's weight x
            the item's value in its list, of others the value; 0 where the channel did not find the item.
        ranks: (m, q) the best place, from 1, in the lists of each query; 0 in none.
        shares: (m, q) what each query adds, over all channels of words.
        source: (m,) which act of the user brought the item by behaviour; -1 none.
    """

    rows: Rows
    columns: dict[Channel, Values]
    ranks: npt.NDArray[np.int64]
    shares: Values
    source: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


def join(
    words: Mapping[Channel, Sequence[Listed]],
    others: Mapping[Channel, Sequence[Listed]],
    demands: npt.NDArray[np.float64],
    weights: Mapping[str, float],
) -> Joined:
    """Join the lists of one user.

    Args:
        words: By channel of words one list for each query.
        others: By other channel its lists.
        demands: (q,) the queries' weights.
        weights: By channel what it counts, for ``shares``.
    """
    told = [
        *((name, at, one) for name, lists in words.items() for at, one in enumerate(lists)),
        *((name, -1, one) for name, lists in others.items() for one in lists),
    ]
    every = [one.rows for _, _, one in told]
    rows, where = np.unique(np.concatenate(every) if every else np.empty(0, np.int64), return_inverse=True)
    columns: dict[Channel, Values] = {}
    ranks = np.zeros((len(rows), len(demands)), dtype=np.int64)
    shares = np.zeros((len(rows), len(demands)))
    source = np.full(len(rows), -1, dtype=np.int64)
    start = 0
    for name, query, one in told:
        at = where[start : start + len(one.rows)]
        start += len(one.rows)
        if not len(at):
            continue
        column = columns.setdefault(name, np.zeros(len(rows)))
        if query < 0:
            column[at] = one.values
            if one.source is not None:
                source[at] = one.source
            continue
        worth = demands[query] * one.values
        column[at] += worth
        shares[at, query] += weights.get(name, 0.0) * worth
        place = np.arange(1, len(at) + 1)
        ranks[at, query] = np.where(ranks[at, query] > 0, np.minimum(ranks[at, query], place), place)
    return Joined(rows.astype(np.int64), columns, ranks, shares, source)
