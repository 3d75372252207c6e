"""The coarse score of a batch's pools, and places by single channels. Pure, over arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from index.recall.channel import Values
    from index.recall.pool import Joined

__all__ = ["coarse_parts", "places_of"]


def coarse_parts(joined: Joined, weights: Mapping[str, float]) -> dict[str, Values]:
    """By channel (m,) each user's pool as `index.ranking.slate.coarse` scores it: weight x value / the user's largest value.

    A user's weights count against those of the channels that found something for them.

    Args:
        joined: The pools.
        weights: By channel; above 0 for every channel of the pools.
    """
    there = joined.sizes > 0
    starts = joined.bounds[:-1][there]
    total = np.zeros(len(there))
    for name in joined.columns:
        total += np.where(joined.found[name] > 0, weights.get(name, 0.0), 0.0)
    parts: dict[str, Values] = {}
    for name, column in joined.columns.items():
        largest = np.ones(len(there))
        largest[there] = np.maximum(np.maximum.reduceat(column, starts), 1e-12)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(joined.found[name] > 0, weights.get(name, 0.0) / total / largest, 0.0)
        parts[name] = column * scale[joined.owner]
    return parts


def places_of(joined: Joined, column: Values, at: npt.NDArray[np.int64]) -> Values:
    """(k,) the places of some items among their users' by a channel, from 1, as `index.ranking.live.places` counts them.

    Args:
        joined: The pools.
        column: (m,) the channel's values.
        at: (k,) which items.
    """
    listed = np.flatnonzero(column > 0)
    order = listed[np.lexsort((-column[listed], joined.owner[listed]))]
    owner = joined.owner[order]
    places = np.full(len(joined), np.nan)
    places[order] = np.arange(1, len(order) + 1) - np.searchsorted(owner, owner)
    return places[at]
