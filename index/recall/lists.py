"""Lists of many queries made at once: what stands query by query, cut and put in order. Pure, over arrays."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from index.recall.channel import Listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog, Rows
    from index.encoders.encoder import Vectors
    from index.recall.channel import Values

__all__ = ["allowed_by_query", "best_lists", "scaled"]

PLACES: Final = 20
"""Places until a value counts half."""


def scaled(scores: Vectors, known: npt.NDArray[np.bool_], depths: npt.NDArray[np.int64]) -> Values:
    """Scores of lists brought to 0..1 as in `index.channels.hybrid`; the last of a list keeps a thousandth.

    Of a list as long as was asked for, what lies beyond its last is as good as nothing, so its last score is taken off.

    Args:
        scores: (q, k), falling in each row.
        known: (q, k) where a list has not ended.
        depths: (q,) how long each list was asked to be, above 0; it has ended by there, or at k.

    Returns:
        (q, k); what stands where a list has ended means nothing.
    """
    values = np.where(known, scores, 0.0).astype(np.float64)
    if values.size:
        last = np.minimum(depths, values.shape[1]) - 1
        lowest = values[np.arange(len(values)), last]
        full = known[np.arange(len(values)), last] & (lowest < values[:, 0])
        values = np.maximum(values - np.where(full, lowest, 0.0)[:, None], 0.0)
        values = np.maximum(values / np.maximum(values[:, :1], 1e-12), 1e-3)
    return values


def allowed_by_query(
    catalog: Catalog, rows: Rows, query: npt.NDArray[np.int64], excluded: Sequence[Rows]
) -> npt.NDArray[np.bool_]:
    """(m,) which of the rows, that stand query by query, may be shown; by query the rows that may not."""
    mask = catalog.offered_mask(rows)
    for number, out in enumerate(excluded):
        if len(out):
            begin, end = np.searchsorted(query, [number, number + 1]).tolist()
            mask[begin:end] &= ~np.isin(rows[begin:end], out)
    return mask


def best_lists(
    rows: Rows, worth: Values, query: npt.NDArray[np.int64], queries: int, wanted: int
) -> list[Listed]:
    """The lists of rows that stand query by query: each query's ``wanted`` of most worth, of equal ones the first."""
    many = np.bincount(query, minlength=queries)
    order = np.argsort(-_table(worth, query, many), axis=1, kind="stable")[:, :wanted]
    there = np.arange(order.shape[1]) < many[:, None]
    at = (order + (np.cumsum(many) - many)[:, None])[there]
    behind = np.broadcast_to(PLACES / (PLACES + np.arange(order.shape[1])), order.shape)
    rows, worth = rows[at], worth[at] * behind[there]
    ends = np.cumsum(np.minimum(many, wanted)).tolist()
    # Copies, so that a list that is remembered does not hold those beside it.
    return [Listed(rows[begin:end].copy(), worth[begin:end].copy()) for begin, end in pairwise([0, *ends])]


def _table(worth: Values, query: npt.NDArray[np.int64], many: npt.NDArray[np.int64]) -> Values:
    """(queries, longest) what stands query by query, -inf where a query has no more."""
    whole = np.full((len(many), int(many.max(initial=0))), -np.inf)
    whole[query, np.arange(len(query)) - (np.cumsum(many) - many)[query]] = worth
    return whole
