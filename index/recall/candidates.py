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


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands in the slates of a batch, slate after slate.

    Attributes:
        at: (k,) places in what was ranked.
        ranked: (r,) of what was ranked the places in the pools.
        parts: By name (r,) what makes up the relevance.
        likeness: (k,) what is taken off for likeness.
        discovery: (k,) what lifted it to a place kept for discovery.
        features: (r, features) what the ranker knows; None if it is not to be told.
        sizes: Of each slate.
    """

    at: npt.NDArray[np.int64]
    ranked: npt.NDArray[np.int64]
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
    at = chosen.ranked[chosen.at]
    owner = joined.owner[at]
    rounded = {name: np.round(part[chosen.at], _DIGITS) for name, part in chosen.parts.items()}
    rounded["likeness"] = np.round(-chosen.likeness, _DIGITS)
    rounded["discovery"] = np.round(chosen.discovery, _DIGITS)
    score = np.zeros(len(at))
    for part in rounded.values():
        score += part
    names = list(rounded)
    channels = _channels(joined, at, owner, rounded)
    ranks = joined.ranks[at]
    best = joined.shares[at].argmax(axis=1).tolist() if ranks.shape[1] else [0] * len(at)
    rows = joined.rows[at].tolist()
    items = catalog.item_ids(joined.rows[at])
    whose = owner.tolist()
    features = _told(chosen)
    source = joined.source[at].tolist()
    made = []
    for place, (item, total, values, channel, places) in enumerate(
        zip(
            items,
            np.round(score, _DIGITS).tolist(),
            np.stack(list(rounded.values()), axis=1).tolist(),
            channels,
            ranks.tolist(),
            strict=True,
        )
    ):
        mine = queries[whose[place]]
        found = {query.text: rank for query, rank in zip(mine, places, strict=False) if rank}
        query = mine[best[place]] if found else None
        made.append(
            Candidate(
                item,
                total,
                query.text if query is not None else None,
                _why(catalog, channel, rows[place], query, found, source[place], asked[whose[place]]),
                channel,
                found,
                {name: value for name, value in zip(names, values, strict=True) if value},
                features[place] if features else (),
            )
        )
    ends = np.cumsum([0, *chosen.sizes]).tolist()
    return [made[begin:end] for begin, end in pairwise(ends)]


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


def _told(chosen: Chosen) -> list[tuple[float | None, ...]]:
    if chosen.features is None:
        return []
    told = np.round(chosen.features[chosen.at].astype(np.float64), _DIGITS - 1)
    known = told.astype(object)
    known[np.isnan(told)] = None
    return [tuple(one) for one in known.tolist()]


def _why(
    catalog: Catalog,
    channel: Channel,
    row: int,
    query: Query | None,
    ranks: dict[str, int],
    source: int,
    asked: Asked,
) -> str:
    if channel in {"dense", "lexical"} and query is not None:
        return query.why or f"number {ranks[query.text]} for this query"
    if channel == "behaviour" and source >= 0:
        taken = catalog.row(asked.acts[source].item)
        return "goes with what you took" if taken is None else f"goes with “{catalog.short_title(taken)}”"
    name = catalog.named_category(row)
    return f"{channel} in {name}" if name else f"{channel} in the shop"
