"""How much each of a user's demands counts: UQ2I, from what is known for it and from what it recalls.

Beside the evidence that comes with a demand, recall itself tells how well a demand meets the user's preferences: the
share of its first items that are of the user's categories, the first of them in full, the second half and so on; and
how well its first items are connected with what the user took up (`index.demand_weights.paths`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from index.demand_weights.weights import weigh_all
from index.recall.shelves import MineCategories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog, Rows
    from index.demand_weights.paths import Paths
    from index.demand_weights.weights import WeightSettings
    from index.recall.channel import Asked, Listed, Values
    from index.recall.request import Channel, Query

__all__ = ["demand_weights"]

_FIRST: Final = 20
_DIGITS: Final = 6


class _Firsts(NamedTuple):
    """The first items of the lists of all users' queries, query after query.

    Attributes:
        counts: (users,) how many queries each user has.
        sizes: (queries,) how many of the items are a query's.
        rows: (m,) the items, and ``values`` theirs in their lists.
    """

    counts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    rows: Rows
    values: Values


def demand_weights(
    queries: Sequence[Sequence[Query]],
    words: Mapping[Channel, Sequence[Sequence[Listed]]],
    catalog: Catalog,
    asked: Sequence[Asked],
    settings: WeightSettings,
    *,
    paths: Paths | None = None,
    record: bool = True,
) -> tuple[list[npt.NDArray[np.float64]], list[dict[str, dict[str, float]]]]:
    """Weigh the demands of each of n users.

    Args:
        queries: The different ones of each user.
        words: By channel of words for each user a list for each of their queries.
        catalog: The items.
        asked: The users' categories, the most important first, and what they took up.
        settings: Strengths of the evidence.
        paths: The knowledge graph over the build's rows; None leaves the relevance by paths unknown.
        record: Say what the weights are made of; without it nothing is said.

    Returns:
        For each user (q,) weights, and by query what is said of its weight: ``given`` with the request, ``weight`` in the
        fusion, and the parts whose sum is the logarithm of what the evidence multiplies it by, before the user's weights
        are brought to a mean of 1.
    """
    every = [query for mine in queries for query in mine]
    given = np.array([query.weight for query in every], dtype=np.float64)
    at = np.flatnonzero([query.evidence is not None for query in every])
    parts: dict[str, Values] = {}
    if len(at):
        firsts = _firsts(queries, words)
        found = weigh_all(
            [[query.evidence for query in mine if query.evidence is not None] for mine in queries],
            settings,
            preference=_preference(firsts, catalog, [one.categories for one in asked])[at],
            path=_connected(firsts, paths, [one.taken for one in asked])[at],
        )
        given[at] *= found.weights
        parts = found.parts
    ends = np.cumsum([0, *map(len, queries)]).tolist()
    weights = [given[begin:end] for begin, end in pairwise(ends)]
    return weights, _said(queries, given, at, parts) if record else [{} for _ in queries]


def _said(
    queries: Sequence[Sequence[Query]],
    weights: Values,
    at: npt.NDArray[np.int64],
    parts: Mapping[str, Values],
) -> list[dict[str, dict[str, float]]]:
    """By user and query what is said of its weight; the ``parts`` are those of the queries ``at``."""
    rounded = {name: np.round(part, _DIGITS).tolist() for name, part in parts.items()}
    place = {number: mine for mine, number in enumerate(at.tolist())}
    number = 0
    told = []
    for mine in queries:
        said: dict[str, dict[str, float]] = {}
        for query in mine:
            said[query.text] = one = {"given": query.weight, "weight": float(weights[number])}
            known = place.get(number)
            if known is not None:
                one["weight"] = round(one["weight"], _DIGITS)
                one |= {name: part[known] for name, part in rounded.items() if part[known]}
            number += 1
        told.append(said)
    return told


def _firsts(
    queries: Sequence[Sequence[Query]], words: Mapping[Channel, Sequence[Sequence[Listed]]]
) -> _Firsts:
    channels = list(words.values())
    every = [
        lists[user][at].rows[:_FIRST]
        for user, mine in enumerate(queries)
        for at in range(len(mine))
        for lists in channels
    ]
    values = [
        lists[user][at].values[:_FIRST]
        for user, mine in enumerate(queries)
        for at in range(len(mine))
        for lists in channels
    ]
    sizes = np.array([len(rows) for rows in every], dtype=np.int64)
    return _Firsts(
        np.array([len(mine) for mine in queries], dtype=np.int64),
        sizes.reshape(-1, max(len(channels), 1)).sum(axis=1),
        np.concatenate(every or [np.empty(0, np.int64)]),
        np.concatenate(values or [np.empty(0)]),
    )


def _preference(firsts: _Firsts, catalog: Catalog, categories: Sequence[tuple[str, ...]]) -> Values:
    """(queries,) how much of what each recalls is of its user's categories; NaN where nothing is recalled or known."""
    user = np.repeat(np.arange(len(firsts.counts)), firsts.counts)
    mine = MineCategories.of(catalog, categories)
    of_item = np.repeat(user, firsts.sizes)
    weight = mine.weight(of_item, catalog.category_codes(firsts.rows))
    query = np.repeat(np.arange(len(user)), firsts.sizes)
    met = np.bincount(query, weight, len(user)) / np.maximum(firsts.sizes, 1)
    known = (firsts.sizes > 0) & mine.known[user]
    return np.where(known, met, np.nan)


def _connected(firsts: _Firsts, paths: Paths | None, taken: Sequence[Mapping[int, float]]) -> Values:
    """(queries,) the relevance by paths; NaN without a graph, or of a user of whom it knows nothing."""
    total = int(firsts.counts.sum())
    if paths is None or not total:
        return np.full(total, np.nan)
    end = len(paths)
    histories = [{row: weight for row, weight in one.items() if row < end} for one in taken]
    known = firsts.rows < end
    query = np.repeat(np.arange(total), firsts.sizes)
    sizes = np.bincount(query[known], minlength=total)
    found = paths.relevances(histories, firsts.counts, firsts.rows[known], firsts.values[known], sizes)
    there = np.repeat([bool(one) for one in histories], firsts.counts)
    return np.where(there, np.minimum(np.maximum(found, 0.0), 1.0), np.nan)
