"""How much each of a user's demands counts: UQ2I, from what is known for it and from what it recalls.

Beside the evidence that comes with a demand, recall itself tells how well a demand meets the user's preferences: the
share of its first items that are of the user's categories, the first of them in full, the second half and so on; and
how well its first items are connected with what the user took up (`index.demand_weights.paths`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from index.demand_weights.weights import weigh
from index.recall.shelves import MineCategories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog, Rows
    from index.demand_weights.paths import Paths
    from index.demand_weights.weights import Evidence, WeightSettings
    from index.recall.channel import Asked, Listed, Values
    from index.recall.request import Channel, Query

__all__ = ["demand_weights"]

_FIRST: Final = 20


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
) -> tuple[list[npt.NDArray[np.float64]], list[dict[str, dict[str, float]]]]:
    """Weigh the demands of each of n users.

    Args:
        queries: The different ones of each user.
        words: By channel of words for each user a list for each of their queries.
        catalog: The items.
        asked: The users' categories, the most important first, and what they took up.
        settings: Strengths of the evidence.
        paths: The knowledge graph over the build's rows; None leaves the relevance by paths unknown.

    Returns:
        For each user (q,) weights, and by query what is said of its weight: ``given`` with the request, ``weight`` in the
        fusion, and the parts whose sum is the logarithm of what the evidence multiplies it by, before the user's weights
        are brought to a mean of 1.
    """
    firsts = _firsts(queries, words)
    preference = _preference(firsts, catalog, [one.categories for one in asked])
    connected = _connected(firsts, paths, [one.taken for one in asked])
    weights: list[npt.NDArray[np.float64]] = []
    told: list[dict[str, dict[str, float]]] = []
    first = 0
    for mine in queries:
        known: list[Evidence] = []
        at: list[int] = []
        for place, query in enumerate(mine):
            if query.evidence is not None:
                met, path = preference[first + place], connected[first + place]
                known.append(replace(query.evidence, preference=met, path=path))
                at.append(place)
        first += len(mine)
        given = [query.weight for query in mine]
        said = {query.text: {"given": query.weight, "weight": query.weight} for query in mine}
        for place, weighed in zip(at, weigh(known, settings), strict=True):
            given[place] *= weighed.weight
            parts = {name: rounded for name, part in weighed.parts.items() if (rounded := round(part, 6))}
            said[mine[place].text] |= {"weight": round(given[place], 6), **parts}
        weights.append(np.array(given))
        told.append(said)
    return weights, told


def _firsts(
    queries: Sequence[Sequence[Query]], words: Mapping[Channel, Sequence[Sequence[Listed]]]
) -> _Firsts:
    parts = [
        [lists[user][at] for lists in words.values()]
        for user, mine in enumerate(queries)
        for at in range(len(mine))
    ]
    every = [one for lists in parts for one in lists]
    return _Firsts(
        np.array([len(mine) for mine in queries], dtype=np.int64),
        np.array([sum(min(len(one.rows), _FIRST) for one in lists) for lists in parts], dtype=np.int64),
        np.concatenate([one.rows[:_FIRST] for one in every] or [np.empty(0, np.int64)]),
        np.concatenate([one.values[:_FIRST] for one in every] or [np.empty(0)]),
    )


def _preference(
    firsts: _Firsts, catalog: Catalog, categories: Sequence[tuple[str, ...]]
) -> list[float | None]:
    """How much of what each query recalls is of its user's categories; None where nothing is recalled or known."""
    user = np.repeat(np.arange(len(firsts.counts)), firsts.counts)
    mine = MineCategories.of(catalog, categories)
    of_item = np.repeat(user, firsts.sizes)
    weight = mine.weight(of_item, catalog.category_codes(firsts.rows))
    query = np.repeat(np.arange(len(user)), firsts.sizes)
    met = np.bincount(query, weight, len(user)) / np.maximum(firsts.sizes, 1)
    known = (firsts.sizes > 0) & mine.known[user]
    return [value if there else None for value, there in zip(met.tolist(), known.tolist(), strict=True)]


def _connected(
    firsts: _Firsts, paths: Paths | None, taken: Sequence[Mapping[int, float]]
) -> list[float | None]:
    """Each query's relevance by paths; None without a graph, or a user of whom it knows nothing."""
    total = int(firsts.counts.sum())
    if paths is None or not total:
        return [None] * total
    end = len(paths)
    histories = [{row: weight for row, weight in one.items() if row < end} for one in taken]
    known = firsts.rows < end
    query = np.repeat(np.arange(total), firsts.sizes)
    sizes = np.bincount(query[known], minlength=total)
    found = paths.relevances(histories, firsts.counts, firsts.rows[known], firsts.values[known], sizes)
    there = np.repeat([bool(one) for one in histories], firsts.counts)
    return [
        min(max(value, 0.0), 1.0) if some else None
        for value, some in zip(found.tolist(), there.tolist(), strict=True)
    ]
