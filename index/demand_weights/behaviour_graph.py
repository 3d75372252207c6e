"""The part of the knowledge graph that behaviour gives: who bought an item, and what was searched before its click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import Stemmer

from index.channels.lexical import words
from index.demand_weights.links import Links

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from index.channels.purchases import Purchases

__all__ = ["MOST_BUYERS", "bought_by", "searched_as"]

MOST_BUYERS: Final = 64
"""Buyers of an item that are kept, the latest: they bound the work of a request, and tell most."""

_RESPONSES: Final = frozenset({"click", "cart", "favorite", "order"})


def bought_by(log: Purchases, items: Sequence[str], *, most: int = MOST_BUYERS) -> Links:
    """Edges from items to their buyers.

    Args:
        log: Order lines; those of other items are passed over.
        items: The graph's items by row.
        most: Buyers kept of an item, the latest.
    """
    row_of = {item: row for row, item in enumerate(items)}
    row = np.array([row_of.get(item, -1) for item in log.items], dtype=np.int64)[log.item]
    # The log is in order of time: read backwards, the first line of an item and buyer is their latest.
    known = np.flatnonzero(row >= 0)[::-1]
    pairs, first = np.unique(row[known] * len(log.users) + log.user[known], return_index=True)
    owner, buyer = pairs // len(log.users), pairs % len(log.users)
    order = np.lexsort((first, owner))
    place = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
    kept = order[place < most]
    return Links.of(len(items), len(log.users), (owner[kept], buyer[kept]))


def searched_as(
    events: Iterable[Mapping[str, Any]], items: Sequence[str], *, within_s: float = 600.0
) -> Links:
    """Edges from items to the words they were searched with, weighing how often.

    An event of the type click, cart, favorite or order belongs to the latest search of the shopper within ``within_s``
    seconds before it. (Query and click as a bipartite graph: Craswell and Szummer, "Random walks on the click graph",
    SIGIR 2007.)

    Args:
        events: In order of time for each shopper, with ``type``, ``user_id``, ``ts`` (UTC milliseconds), and ``query`` or
            ``item_id``; others, and those of other items, are passed over.
        items: The graph's items by row.
        within_s: See above.
    """
    stemmer = Stemmer.Stemmer("english")
    row_of = {item: row for row, item in enumerate(items)}
    searches: dict[str, tuple[int, str]] = {}
    numbers: dict[str, int] = {}
    edges: list[tuple[int, int]] = []
    for event in events:
        kind, user, ts = event.get("type"), event.get("user_id"), event.get("ts")
        if not isinstance(user, str) or not isinstance(ts, int):
            continue
        query = event.get("query")
        if kind == "search" and isinstance(query, str):
            searches[user] = (ts, query)
        elif kind in _RESPONSES and user in searches:
            row = row_of.get(str(event.get("item_id")))
            since, query = searches[user]
            if row is not None and 0 <= ts - since <= within_s * 1000:
                edges += [
                    (row, numbers.setdefault(word, len(numbers)))
                    for word in dict.fromkeys(words(query, stemmer))
                ]
    both: npt.NDArray[np.int64] = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return Links.of(len(items), len(numbers), (both[:, 0], both[:, 1]))
