"""Relevance of a demand to a shopper by paths through a knowledge graph.

::

    shopper ── item ──┬── (the item itself) ──┬── item ── query
                      ├── category ───────────┤
                      ├── factor ─────────────┤     words of the title, the brand
                      ├── buyer ──────────────┤     who else bought it
                      └── searched word ──────┘     what it was clicked for

A shopper's items are those of their history, a query's those it recalls or was clicked for. Each kind of node in the
middle is a meta-path (Sun and others, "PathSim: Meta Path-Based Top-K Similarity Search in Heterogeneous Information
Networks", VLDB 2011). From both of its ends one goes to the middle at random, as in the path-constrained random walk of
Lao and Cohen, "Relational retrieval using a combination of path-constrained random walks", Machine Learning 2010. With s
and q the two distributions over the nodes in the middle, the walks meet with probability s . q, and two walks of the
shopper with s . s. The relevance by the path is

    s . q / (s . q + s . s):

0 where the walks cannot meet, a half where the query is as near to the shopper as the shopper's own items are to one
another, below 1 always. So it is on one scale for every path and every shopper, and for one shopper it orders queries as
the walk does. It is PathSim's idea, to count paths relative to those from an end back to itself, with the shopper's end
alone: the query's would hold against a query that it is narrow. The paths' relevances are added with weights that sum to 1.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from index.demand_weights.links import Links
from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["MOST_HISTORY", "PathRelevance", "PathSettings", "Paths", "Recalled"]

MOST_HISTORY: Final = 100
"""Items of a history that are walked from: those of the largest weights."""


_TINY: Final = 1e-300
_NO_ROWS: Final = np.empty(0, dtype=np.int64)


class PathSettings(BaseModel):
    """How much each path counts; what the graph lacks is left out, and the others count for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: float = Field(
        default=0.1, ge=0, description="Shopper - item - query: the query brings what was bought."
    )
    category: float = Field(default=0.1, ge=0, description="Shopper - item - category - item - query.")
    factor: float = Field(default=0.4, ge=0, description="By words of titles and brands.")
    buyer: float = Field(default=0.4, ge=0, description="By shoppers who bought both.")
    searched: float = Field(default=0.3, ge=0, description="By words that items of both were searched with.")


@dataclass(frozen=True, slots=True)
class Recalled:
    """What stands for a query.

    Attributes:
        rows: (m,) rows of items that it recalls, or that were clicked for it.
        scores: (m,) how much each speaks for the query, 0 or more, such as 1 / rank.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PathRelevance:
    """How relevant a query is to a shopper.

    Attributes:
        value: From 0 to 1; 0 where nothing connects them, a half where it is as near as the shopper's own items are to one
            another.
        by_path: By path what it contributes; adds up to ``value``.
    """

    value: float
    by_path: dict[str, float]


class _Scratch(threading.local):
    """An array over all nodes, all zero between calls: to fill a new one would cost more than the walk."""

    def __init__(self, nodes: int) -> None:
        self.met = np.zeros(nodes, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Paths:
    """The graph. Safe to share between threads; each keeps 4 bytes a node of its own, beside 1 of all.

    Attributes:
        links: The edges from items to the nodes of all paths, path after path (`Links.merged`).
        counts: By path its number of nodes, in that order.
        shares: By path its weight; they sum to 1.
    """

    links: Links
    counts: dict[str, int]
    shares: dict[str, float]
    _scratch: _Scratch = field(repr=False, compare=False)
    _path_of: npt.NDArray[np.uint8] = field(repr=False, compare=False)

    @classmethod
    def over(cls, links: Links, counts: Mapping[str, int], settings: PathSettings | None = None) -> Paths:
        """Take edges that are merged already.

        Raises:
            CatalogError: If a path is unknown, or none has a weight.
        """
        weights = (settings or PathSettings()).model_dump()
        for name in counts:
            if name not in weights:
                raise CatalogError(
                    f"There is no path {name!r}.", way_out=f"Name one of {', '.join(weights)}."
                )
        total = sum(weights[name] for name in counts)
        if not total > 0:
            raise CatalogError("No path has a weight.", way_out="Weigh at least one of the paths.")
        shares = {name: weights[name] / total for name in counts}
        path_of = np.repeat(np.arange(len(counts), dtype=np.uint8), list(counts.values()))
        return cls(links, dict(counts), shares, _Scratch(links.count), path_of)

    @classmethod
    def of(cls, links: Mapping[str, Links], settings: PathSettings | None = None) -> Paths:
        """Join edges of several kinds.

        Args:
            links: By name of `PathSettings` the edges.
            settings: The paths' weights; the defaults if None.

        Raises:
            CatalogError: If the edges are over different items, a path is unknown, or none has a weight.
        """
        if len({len(one) for one in links.values()}) != 1:
            sizes = ", ".join(f"{name} {len(one):,}" for name, one in links.items())
            raise CatalogError(
                f"The paths are over different numbers of items: {sizes or 'there is none'}.",
                way_out="Build them from one catalogue.",
            )
        counts = {name: one.count for name, one in links.items()}
        return cls.over(Links.merged(list(links.values())), counts, settings)

    @classmethod
    def build(
        cls,
        item_categories: Sequence[str | None],
        item_factors: Sequence[Iterable[str]],
        *,
        bought: Links | None = None,
        searched: Links | None = None,
        settings: PathSettings | None = None,
    ) -> Paths:
        """Make the graph of a catalogue.

        Args:
            item_categories: Each item's category; None where unknown.
            item_factors: Each item's factors, as from `index.demand_weights.catalog_graph.factors`.
            bought: Edges to buyers, as from `index.demand_weights.behaviour_graph.bought_by`.
            searched: Edges to words, as from `index.demand_weights.behaviour_graph.searched_as`.
            settings: The paths' weights.

        Raises:
            CatalogError: As `of`.
        """
        links = {
            "item": Links.identity(len(item_categories)),
            "category": Links.named([() if name is None else (name,) for name in item_categories]),
            "factor": Links.named(item_factors),
        }
        if bought is not None:
            links["buyer"] = bought
        if searched is not None:
            links["searched"] = searched
        return cls.of(links, settings)

    def __len__(self) -> int:
        return len(self.links)

    def relevance(self, history: Mapping[int, float], queries: Sequence[Recalled]) -> list[PathRelevance]:
        """How relevant each query is to a shopper.

        The work is in proportion to the edges of the items named; nothing is done for items that are not.

        Args:
            history: By row the weight, 0 or more, of what the shopper bought or viewed; see `MOST_HISTORY`.
            queries: What stands for each query.

        Raises:
            CatalogError: If a row is not in the graph, or a weight or score is negative or not finite.
        """
        rows, weights = _heaviest(history)
        self._check(rows, weights, "The history")
        for number, query in enumerate(queries, 1):
            self._check(query.rows, query.scores, f"Query {number}")
        sizes = [len(query.rows) for query in queries]
        asked = np.concatenate([query.rows for query in queries]) if queries else _NO_ROWS
        scores = np.concatenate([query.scores for query in queries]) if queries else np.empty(0)
        found = []
        met = self._meetings(
            [(rows, weights)], np.array([len(queries)]), asked, scores, np.array(sizes, dtype=np.int64)
        )
        for one in met.tolist():
            by_path = {name: self.shares[name] * value for name, value in zip(self.counts, one, strict=True)}
            found.append(PathRelevance(sum(by_path.values()), by_path))
        return found

    def relevances(
        self,
        histories: Sequence[Mapping[int, float]],
        counts: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float64],
        sizes: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float64]:
        """The `PathRelevance.value` of the queries of n shoppers, in one go.

        Args:
            histories: Of each shopper, as in `relevance`.
            counts: (n,) how many queries each shopper has.
            rows: (m,) the rows that stand for the queries, query after query, shopper after shopper.
            scores: (m,) how much each speaks for its query.
            sizes: (q,) how many rows each query has.

        Returns:
            (q,).

        Raises:
            CatalogError: As `relevance`.
        """
        heaviest = [_heaviest(history) for history in histories]
        if heaviest:
            known, weights = (np.concatenate(part) for part in zip(*heaviest, strict=True))
            self._check(known, weights, "A history")
        self._check(rows, scores, "A query")
        found = np.zeros(len(sizes))
        for share, one in zip(
            self.shares.values(), self._meetings(heaviest, counts, rows, scores, sizes).T, strict=True
        ):
            found += share * one
        return found

    def _meetings(
        self,
        histories: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]],
        counts: npt.NDArray[np.int64],
        asked: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float64],
        sizes: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float64]:
        """(queries, paths) the relevance by each path; see the module."""
        kinds, many = len(self.counts), len(sizes)
        if not many:
            return np.zeros((0, kinds))
        shopper = self._scratch.met

        nodes, mass, begins = self.links.reach(
            np.concatenate([rows for rows, _ in histories]),
            np.concatenate([weights / max(float(weights.sum()), _TINY) for _, weights in histories]),
        )
        of_history = begins[np.cumsum([0, *(len(rows) for rows, _ in histories)])]
        query = np.repeat(np.arange(many), sizes)
        whole = np.maximum(np.bincount(query, scores, many), _TINY)
        to, carried, begins = self.links.reach(asked, scores / whole[query])
        of_query = begins[np.cumsum(np.concatenate([[0], sizes]))]
        of_owner = of_query[np.cumsum(np.concatenate([[0], counts]))].tolist()

        own, theirs = np.empty(len(nodes), np.float32), np.empty(len(to), np.float32)
        for number, (begin, end) in enumerate(pairwise(of_history.tolist())):
            mine = nodes[begin:end]
            np.add.at(shopper, mine, mass[begin:end])
            # The sum over nodes of s^2 is the sum over edges of (the edge's mass) x s: no node need be looked for.
            own[begin:end] = shopper[mine]
            reached = slice(of_owner[number], of_owner[number + 1])
            theirs[reached] = shopper[to[reached]]
            shopper[mine] = 0.0
        shoppers = len(histories)
        group = np.repeat(np.arange(shoppers) * kinds, np.diff(of_history))
        group += self._path_of[nodes]
        alone = np.bincount(group, mass * own, shoppers * kinds).reshape(shoppers, kinds)
        group = np.repeat(np.arange(many) * kinds, np.diff(of_query)) + self._path_of[to]
        both = np.bincount(group, carried * theirs, many * kinds).reshape(many, kinds)
        relevance: npt.NDArray[np.float64] = np.divide(
            both,
            both + alone[np.repeat(np.arange(shoppers), counts)],
            out=np.zeros((many, kinds)),
            where=both > 0,
        )
        return relevance

    def _check(self, rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], whose: str) -> None:
        if not len(rows):
            return
        if int(rows.min()) < 0 or int(rows.max()) >= len(self):
            raise CatalogError(
                f"{whose} names a row beyond the graph's {len(self):,} items.",
                way_out="Build the graph from the catalogue in force.",
            )
        least, most = float(weights.min()), float(weights.max())
        if not 0 <= least <= most < np.inf:
            raise CatalogError(
                f"{whose} has a weight from {least} to {most}.", way_out="Give finite weights of 0 or more."
            )


def _heaviest(history: Mapping[int, float]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    rows = np.fromiter(history.keys(), dtype=np.int64, count=len(history))
    weights = np.fromiter(history.values(), dtype=np.float64, count=len(history))
    if len(rows) <= MOST_HISTORY:
        return rows, weights
    chosen = np.lexsort((rows, -weights))[:MOST_HISTORY]
    return rows[chosen], weights[chosen]
