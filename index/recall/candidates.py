"""What was chosen for a batch of slates as candidates: each with its parts, and why it is there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from index.recall.request import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog
    from index.recall.channel import Asked, Values
    from index.recall.pool import Joined
    from index.recall.request import Channel, Query

__all__ = ["Chosen", "candidates_of"]

_DIGITS: Final = 6
_WORDS: Final = frozenset({"dense", "lexical"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands in the slates of a batch, slate after slate.

    Attributes:
        at: (k,) places in the pools.
        parts: By name (k,) what makes up the relevance.
        likeness: (k,) what is taken off for likeness.
        discovery: (k,) what lifted it to a place kept for discovery.
        features: (k, features) what the ranker knows; None if what is for the record alone is not to be told.
        sizes: Of each slate.
    """

    at: npt.NDArray[np.int64]
    parts: dict[str, Values]
    likeness: Values
    discovery: Values
    features: npt.NDArray[np.float32] | None
    sizes: list[int]


def candidates_of(
    catalog: Catalog,
    joined: Joined,
    chosen: Chosen,
    asked: Sequence[Asked],
    queries: Sequence[Sequence[Query]],
) -> list[list[Candidate]]:
    """The candidates of each slate."""
    at = chosen.at
    owner = joined.owner[at]
    rounded = {name: np.round(part, _DIGITS) for name, part in chosen.parts.items()}
    rounded["likeness"] = np.round(-chosen.likeness, _DIGITS)
    rounded["discovery"] = np.round(chosen.discovery, _DIGITS)
    score = np.zeros(len(at))
    for part in rounded.values():
        score += part
    channels = _channels(joined, at, owner, rounded)
    ranks, shares = joined.by_query(at)
    if not ranks.shape[1]:
        ranks, shares = np.zeros((len(at), 1), dtype=np.int64), np.zeros((len(at), 1))
    best = shares.argmax(axis=1)
    asking = best.tolist()
    whose = owner.tolist()
    where = joined.rows[at]
    texts: list[str | None] = [None] * len(at)
    whys = [""] * len(at)
    rank = ranks[np.arange(len(at)), best].tolist()
    # A query that adds most to an item has it in a list, unless none has.
    for place, (channel, first) in enumerate(zip(channels, rank, strict=True)):
        if first:
            query = queries[whose[place]][asking[place]]
            texts[place] = query.text
            if channel in _WORDS:
                whys[place] = query.why or f"number {first} for this query"
    rows, source = where.tolist(), joined.source[at].tolist()
    for place, why in enumerate(whys):
        if not why:
            whys[place] = _why(catalog, channels[place], rows[place], source[place], asked[whose[place]])
    columns = (catalog.item_ids(where), np.round(score, _DIGITS).tolist(), texts, whys, channels)
    if chosen.features is None:
        made = list(map(Candidate, *columns))
    else:
        told = _recorded(chosen.features, rounded, ranks, [queries[user] for user in whose])
        made = list(map(Candidate, *columns, *told))
    ends = np.cumsum([0, *chosen.sizes]).tolist()
    return [made[begin:end] for begin, end in pairwise(ends)]


def _recorded(
    features: npt.NDArray[np.float32],
    parts: dict[str, Values],
    ranks: npt.NDArray[np.int64],
    queries: Sequence[Sequence[Query]],
) -> tuple[list[dict[str, int]], list[dict[str, float]], list[tuple[float | None, ...]]]:
    """Of each candidate what is for the record alone: its ranks by query, its parts, and what the ranker knows."""
    names = list(parts)
    values = np.stack(list(parts.values()), axis=1).tolist()
    known = np.round(features.astype(np.float64), _DIGITS - 1)
    told = known.astype(object)
    told[np.isnan(known)] = None
    return (
        [
            {query.text: rank for query, rank in zip(mine, places, strict=False) if rank}
            for mine, places in zip(queries, ranks.tolist(), strict=True)
        ],
        [{name: value for name, value in zip(names, one, strict=True) if value} for one in values],
        [tuple(one) for one in told.tolist()],
    )


def _channels(
    joined: Joined, at: npt.NDArray[np.int64], owner: npt.NDArray[np.int64], parts: dict[str, Values]
) -> list[Channel]:
    """The channel with the largest part; of equal ones that with the largest value."""
    names = list(joined.columns)
    part = np.stack([parts[name] for name in names])
    # A channel that found nothing for a user is none of theirs.
    value = np.stack(
        [np.where(joined.found[name][owner] > 0, joined.columns[name][at], -1.0) for name in names]
    )
    largest = np.where(part == part.max(axis=0), value, -2.0).argmax(axis=0)
    return cast("list[Channel]", [names[one] for one in largest.tolist()])


def _why(catalog: Catalog, channel: Channel, row: int, source: int, asked: Asked) -> str:
    if channel == "behaviour" and source >= 0:
        taken = catalog.row(asked.acts[source].item)
        return "goes with what you took" if taken is None else f"goes with “{catalog.short_title(taken)}”"
    name = catalog.named_category(row)
    return f"{channel} in {name}" if name else f"{channel} in the shop"
