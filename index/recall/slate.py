"""The pools of a batch of users into slates: coarse score, features, ranker, arrangement; every score the sum of its named parts.

What is the same step for every user is done for all of them at once. A slate does not depend on the others of its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from index.ranking.discovery import quota
from index.ranking.live import About, live_features
from index.ranking.slate import Pool, arrange_all, shortlist
from index.recall.candidates import Chosen, candidates_of
from index.recall.coarse import coarse_parts, places_of
from index.recall.shelves import MineCategories, ages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog, Rows
    from index.encoders.encoder import Vectors
    from index.recall.beside import Beside
    from index.recall.channel import Asked, Values
    from index.recall.pool import Joined
    from index.recall.request import Candidate, Query, RecallRequest
    from index.recall.settings import RecallSettings
    from index.recall.text_vectors import TextVectors

__all__ = ["Slates"]

_FINE: Final = 200
_ARRANGED: Final = 120


@dataclass(frozen=True, slots=True)
class Slates:
    """Makes slates over one state of a catalogue.

    Attributes:
        catalog: The items.
        vectors: Of the texts; None where the build kept none.
        beside: Ages, the ranker.
        settings: How it is done.
        day: The day that ages are counted to; the present one if None.
    """

    catalog: Catalog
    vectors: TextVectors | None
    beside: Beside
    settings: RecallSettings
    day: int | None = None

    def make(
        self,
        joined: Joined,
        requests: Sequence[RecallRequest],
        asked: Sequence[Asked],
        queries: Sequence[Sequence[Query]],
        weights: Sequence[Values],
        *,
        features: bool = True,
    ) -> list[list[Candidate]]:
        """The slate of each user's pool, best first; none of an empty one.

        Args:
            joined: What the channels found.
            requests: What was asked for.
            asked: The same in numbers.
            queries: The different queries of each user.
            weights: For each user (q,) their weights.
            features: Tell with each candidate what the ranker knows of it.
        """
        if not len(joined):
            return [[] for _ in requests]
        limits = [request.limit or self.settings.limit for request in requests]
        share = self.settings.discovery_share
        kept = [
            quota(share, limit, request.user, request.version)
            for limit, request in zip(limits, requests, strict=True)
        ]
        parts = coarse_parts(joined, self.settings.weights.model_dump())
        relevance = np.zeros(len(joined))
        for part in parts.values():
            relevance += part
        mine = MineCategories.of(self.catalog, [one.categories for one in asked])
        codes = self.catalog.category_codes(joined.rows)
        ages = ages_of(self.catalog, self.beside.days, joined.rows, self.day)
        # New to the shop, or of a category that the user has not touched; without any touched, none is unseen.
        wanted = (ages <= self.settings.new_days) | mine.unseen(joined.owner, codes)
        at, bounds = _shortlists(
            joined.bounds, relevance, wanted, [max(_FINE, 2 * one) for one in limits], kept
        )
        # Of equal scores the first is taken, so more popular ones stand first.
        owner, rows = joined.owner[at], joined.rows[at]
        order = np.lexsort((-self.catalog.liked(rows), -np.round(relevance[at], 9), owner))
        at, rows = at[order], rows[order]
        vectors = self.vectors.of(self.catalog.texts_of(rows)) if self.vectors is not None else None
        ranker = self.beside.ranker
        told: npt.NDArray[np.float32] | None = None
        if features or ranker is not None:
            told = self._features(joined, at, bounds, asked, weights, mine.weight(owner, codes[at]), vectors)
        fine = relevance[at]
        if ranker is not None and told is not None:
            parts = {name: part[at] for name, part in parts.items()}
            parts["model"] = ranker.score(told, owner) - fine
            fine = fine + parts["model"]
        else:
            parts = {name: part[at] for name, part in parts.items()}
        groups = self._groups(rows, codes[at])
        few, ends = _shortlists(bounds, fine, wanted[at], [max(_ARRANGED, one) for one in limits], kept)
        some = [slice(begin, end) for begin, end in pairwise(ends.tolist())]
        arranged = arrange_all(
            [
                Pool(
                    {"relevance": fine[few[one]]},
                    None if vectors is None else vectors[few[one]],
                    {name: group[few[one]] for name, group in groups.items()},
                    wanted[at[few[one]]],
                )
                for one in some
            ],
            limits,
            caps=self.settings.caps.given(),
            places=kept,
            strength=self.settings.diversity,
        )
        chosen = Chosen(
            np.concatenate([few[one][slate.at] for one, slate in zip(some, arranged, strict=True)]),
            at,
            parts,
            np.concatenate([slate.likeness for slate in arranged]),
            np.concatenate([slate.discovery for slate in arranged]),
            told if features else None,
            [len(slate.at) for slate in arranged],
        )
        return candidates_of(self.catalog, joined, chosen, asked, queries)

    def _groups(self, rows: Rows, codes: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
        """The groups that caps are set for."""
        caps = self.settings.caps
        groups = {}
        if caps.category is not None:
            groups["category"] = codes
        if caps.brand is not None:
            groups["brand"] = _numbered([self.catalog.brand(row) for row in rows.tolist()])
        if caps.seller is not None:
            name = self.settings.seller_attribute
            groups["seller"] = _numbered([self.catalog.attribute(row, name) for row in rows.tolist()])
        return groups

    def _features(
        self,
        joined: Joined,
        at: npt.NDArray[np.int64],
        bounds: npt.NDArray[np.int64],
        asked: Sequence[Asked],
        weights: Sequence[Values],
        category: Values,
        vectors: Vectors | None,
    ) -> npt.NDArray[np.float32]:
        rows, owner = joined.rows[at], joined.owner[at]
        usual, acts = np.full(len(asked), np.nan), np.zeros(len(asked))
        likeness, taken = np.full(len(at), np.nan), np.zeros(len(at))
        by_demand = np.zeros((len(asked), joined.ranks.shape[1]))
        for number, one in enumerate(asked):
            by_demand[number, : len(weights[number])] = weights[number]
            theirs = slice(int(bounds[number]), int(bounds[number + 1]))
            own = one.taken
            acts[number] = len(own)
            if not len(own) or theirs.start == theirs.stop:
                continue
            acted = np.fromiter(own, dtype=np.int64, count=len(own))
            price = self.catalog.prices(acted)
            price = price[np.isfinite(price) & (price > 0)]
            if len(price):
                usual[number] = np.median(price)
            if vectors is not None and self.vectors is not None:
                near = vectors[theirs] @ self.vectors.of(self.catalog.texts_of(acted)).T
                likeness[theirs] = near.max(axis=1)
            order = np.argsort(acted)
            place = np.minimum(np.searchsorted(acted[order], rows[theirs]), len(acted) - 1)
            same = acted[order][place] == rows[theirs]
            values = np.fromiter(own.values(), dtype=np.float64, count=len(own))[order]
            taken[theirs] = np.where(same, values[place], 0.0)
        about = About(
            price=self.catalog.prices(rows),
            usual_price=usual[owner],
            category=category,
            popularity=self.catalog.popularities(rows),
            age_days=ages_of(self.catalog, self.beside.days, rows, self.day),
            likeness=likeness,
            taken=taken,
            acts=acts[owner],
            queries=np.array([len(one) for one in weights], dtype=np.float64)[owner],
        )
        shares: dict[str, Values] = {}
        for name, column in joined.columns.items():
            largest = np.maximum.reduceat(column, joined.bounds[:-1][joined.sizes > 0])
            of_user = np.ones(len(asked))
            of_user[joined.sizes > 0] = np.maximum(largest, 1e-12)
            shares[name] = column[at] / of_user[owner]
        placed: dict[str, Values] = {
            name: places_of(joined, column, at) for name, column in joined.columns.items()
        }
        return live_features(shares, placed, joined.ranks[at], by_demand[owner], about)


def _shortlists(
    bounds: npt.NDArray[np.int64],
    relevance: Values,
    wanted: npt.NDArray[np.bool_],
    most: Sequence[int],
    kept: Sequence[int],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The places of each user's `shortlist`, user after user, and where each user's begin."""
    found = []
    starts = bounds.tolist()
    for number, (begin, end) in enumerate(pairwise(starts)):
        short = shortlist(relevance[begin:end], most[number], wanted[begin:end], kept[number])
        found.append(short + begin)
    ends = np.cumsum([0, *map(len, found)])
    return np.concatenate(found), ends


def _numbered(names: list[str | None]) -> npt.NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array(
        [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64
    )
