"""How much each of a user's demands counts: UQ2I, from what is known for it and from what it recalls.

Beside the evidence that comes with a demand, recall itself tells how well a demand meets the user's preferences: the
share of its first items that are of the user's categories, the first of them in full, the second half and so on; and
how well its first items are connected with what the user took up (`index.demand_weights.paths`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from index.demand_weights.paths import Recalled
from index.demand_weights.weights import weigh
from index.recall.shelves import category_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog
    from index.demand_weights.paths import Paths
    from index.demand_weights.weights import Evidence, WeightSettings
    from index.recall.channel import Listed
    from index.recall.request import Query

__all__ = ["demand_weights"]

_FIRST: Final = 20


def demand_weights(
    queries: Sequence[Query],
    lists: Sequence[Sequence[Listed]],
    catalog: Catalog,
    categories: tuple[str, ...],
    settings: WeightSettings,
    *,
    paths: Paths | None = None,
    taken: Mapping[int, float] | None = None,
) -> tuple[npt.NDArray[np.float64], dict[str, dict[str, float]]]:
    """Weigh the demands of one user.

    Args:
        queries: The different ones.
        lists: For each query its lists, one of each channel of words.
        catalog: The items.
        categories: The user's, the most important first.
        settings: Strengths of the evidence.
        paths: The knowledge graph over the build's rows; None leaves the relevance by paths unknown.
        taken: By row the weight of what the user took up.

    Returns:
        (q,) weights, and by query what is said of its weight: ``given`` with the request, ``weight`` in the fusion, and
        the parts whose sum is the logarithm of what the evidence multiplies it by, before the user's weights are
        brought to a mean of 1.
    """
    given = np.array([query.weight for query in queries])
    known: list[Evidence] = []
    at: list[int] = []
    mine = category_weights(catalog, categories)
    connected = _connected(lists, paths, taken or {})
    for place, query in enumerate(queries):
        if query.evidence is not None:
            met = _preference(lists[place], catalog, mine)
            known.append(replace(query.evidence, preference=met, path=connected[place]))
            at.append(place)
    told = {query.text: {"given": query.weight, "weight": query.weight} for query in queries}
    weights = given.copy()
    for place, weighed in zip(at, weigh(known, settings), strict=True):
        weights[place] *= weighed.weight
        parts = {name: round(part, 6) for name, part in weighed.parts.items() if round(part, 6)}
        told[queries[place].text] |= {"weight": round(float(weights[place]), 6), **parts}
    return weights, told


def _preference(lists: Sequence[Listed], catalog: Catalog, mine: dict[int, float]) -> float | None:
    """How much of what a query recalls is of the user's categories; None where nothing is recalled or known."""
    first = [one.rows[:_FIRST] for one in lists if len(one.rows)]
    if not first or not mine:
        return None
    codes = catalog.category_codes(np.concatenate(first))
    return float(np.mean([mine.get(code, 0.0) for code in codes.tolist()]))


def _connected(
    lists: Sequence[Sequence[Listed]], paths: Paths | None, taken: Mapping[int, float]
) -> list[float | None]:
    """Each query's relevance by paths; None without a graph, or a user of whom it knows nothing."""
    if paths is None:
        return [None] * len(lists)
    known = {row: weight for row, weight in taken.items() if row < len(paths)}
    if not known:
        return [None] * len(lists)
    recalled = []
    for one in lists:
        rows = np.concatenate([part.rows[:_FIRST] for part in one] or [np.empty(0, np.int64)])
        values = np.concatenate([part.values[:_FIRST] for part in one] or [np.empty(0)])
        recalled.append(Recalled(rows[rows < len(paths)], values[rows < len(paths)]))
    return [min(max(one.value, 0.0), 1.0) for one in paths.relevance(known, recalled)]
