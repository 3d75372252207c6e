"""The pools of a batch of users into slates: coarse score, features, ranker, arrangement; every score the sum of its named parts.

What is the same step for every user is done for all of them at once. A slate does not depend on the others of its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Final

import numpy as np

from index.ranking.discovery import quota
from index.ranking.live import About, live_features
from index.ranking.slate import Pool, arrange_all
from index.recall.candidates import Chosen, candidates_of
from index.recall.coarse import coarse_parts, places_of
from index.recall.shelves import MineCategories, ages_of
from index.recall.shortlist import largest, within_reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog, Rows
    from index.encoders.encoder import Vectors
    from index.ranking.slate import Arranged
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
        record: bool = True,
    ) -> list[list[Candidate]]:
        """The slate of each user's pool, best first; none of an empty one.

        Args:
            joined: What the channels found.
            requests: What was asked for.
            asked: The same in numbers.
            queries: The different queries of each user.
            weights: For each user (q,) their weights.
            record: Tell with each candidate what is for the record alone: its ranks, its parts and what the ranker knows.
        """
        if not len(joined):
            return [[] for _ in requests]
        limits = np.array([request.limit or self.settings.limit for request in requests], dtype=np.int64)
        share = self.settings.discovery_share
        kept = np.array(
            [
                quota(share, limit, request.user, request.version)
                for limit, request in zip(limits.tolist(), requests, strict=True)
            ],
            dtype=np.int64,
        )
        parts = coarse_parts(joined, self.settings.weights.model_dump())
        relevance = np.zeros(len(joined))
        for part in parts.values():
            relevance += part
        mine = MineCategories.of(self.catalog, [one.categories for one in asked])
        codes = self.catalog.category_codes(joined.rows)
        ages = ages_of(self.catalog, self.beside.days, joined.rows, self.day)
        # New to the shop, or of a category that the user has not touched; without any touched, none is unseen.
        wanted = (ages <= self.settings.new_days) | mine.unseen(joined.owner, codes)
        ranker, caps = self.beside.ranker, self.settings.caps.given()
        few = np.maximum(_ARRANGED, limits)
        most = few if ranker is None else np.maximum(_FINE, 2 * limits)
        at = _shortlists(joined.owner, relevance, wanted, most, kept)
        # Of equal scores the first is taken, so more popular ones stand first.
        owner, rows = joined.owner[at], joined.rows[at]
        at = at[np.lexsort((-self.catalog.liked(rows), -np.round(relevance[at], 9), owner))]
        fine, told = relevance[at], None
        if ranker is not None:
            told = self._features(joined, at, asked, weights, mine.weight(owner, codes[at]))
            fine = ranker.score(told, owner)
            short = _shortlists(owner, fine, wanted[at], few, kept)
            at, told, fine = at[short], told[short], fine[short]
        if not caps:
            hopeful = within_reach(joined.owner[at], fine, wanted[at], limits, kept, self.settings.diversity)
            at, fine = at[hopeful], fine[hopeful]
            told = None if told is None else told[hopeful]
        arranged = self._arranged(joined, at, fine, wanted, codes, limits, kept, caps)
        bounds = np.searchsorted(joined.owner[at], np.arange(len(asked)))
        place = np.concatenate(
            [slate.at + begin for slate, begin in zip(arranged, bounds.tolist(), strict=True)]
        )
        at = at[place]
        parts = {name: part[at] for name, part in parts.items()}
        if ranker is not None:
            parts["model"] = fine[place] - relevance[at]
        if told is not None:
            told = told[place] if record else None
        elif record:
            told = self._features(joined, at, asked, weights, mine.weight(joined.owner[at], codes[at]))
        chosen = Chosen(
            at,
            parts,
            np.concatenate([slate.likeness for slate in arranged]),
            np.concatenate([slate.discovery for slate in arranged]),
            told,
            [len(slate.at) for slate in arranged],
        )
        return candidates_of(self.catalog, joined, chosen, asked, queries)

    def _arranged(
        self,
        joined: Joined,
        at: npt.NDArray[np.int64],
        fine: Values,
        wanted: npt.NDArray[np.bool_],
        codes: npt.NDArray[np.int64],
        limits: npt.NDArray[np.int64],
        kept: npt.NDArray[np.int64],
        caps: dict[str, int],
    ) -> list[Arranged]:
        """The slates of candidates (k,), user after user; places count from each user's first."""
        groups = self._groups(joined.rows[at], codes[at]) if caps else {}
        ends = np.searchsorted(joined.owner[at], np.arange(len(limits) + 1)).tolist()
        vectors: Iterable[Vectors | None] = repeat(None, len(limits))
        if self.vectors is not None and self.settings.diversity > 0:
            vectors = self.vectors.each(self.catalog.texts_of(joined.rows[at]), ends[1:])
        pools = [
            Pool(
                {"relevance": fine[begin:end]},
                mine,
                {name: group[begin:end] for name, group in groups.items()},
                wanted[at[begin:end]],
            )
            for (begin, end), mine in zip(pairwise(ends), vectors, strict=True)
        ]
        return arrange_all(
            pools, limits.tolist(), caps=caps, places=kept.tolist(), strength=self.settings.diversity
        )

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
        asked: Sequence[Asked],
        weights: Sequence[Values],
        category: Values,
    ) -> npt.NDArray[np.float32]:
        """(k, features) what the ranker knows of items (k,), user after user, ``category`` their categories' weights."""
        rows, owner = joined.rows[at], joined.owner[at]
        ranks, _ = joined.by_query(at)
        usual, acts = np.full(len(asked), np.nan), np.zeros(len(asked))
        likeness, taken = np.full(len(at), np.nan), np.zeros(len(at))
        by_demand = np.zeros((len(asked), ranks.shape[1]))
        bounds = np.searchsorted(owner, np.arange(len(asked) + 1)).tolist()
        texts = self.catalog.texts_of(rows)
        for number, one in enumerate(asked):
            by_demand[number, : len(weights[number])] = weights[number]
            theirs = slice(bounds[number], bounds[number + 1])
            own = one.taken
            acts[number] = len(own)
            if not len(own) or theirs.start == theirs.stop:
                continue
            acted = np.fromiter(own, dtype=np.int64, count=len(own))
            price = self.catalog.prices(acted)
            price = price[np.isfinite(price) & (price > 0)]
            if len(price):
                usual[number] = np.median(price)
            if self.vectors is not None:
                near = self.vectors.of(texts[theirs]) @ self.vectors.of(self.catalog.texts_of(acted)).T
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
        return live_features(shares, placed, ranks, by_demand[owner], about)


def _shortlists(
    owner: npt.NDArray[np.int64],
    relevance: Values,
    wanted: npt.NDArray[np.bool_],
    most: npt.NDArray[np.int64],
    kept: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """The places of each user's `shortlist`, user after user; of equal ones the first."""
    chosen = largest(owner, relevance, most)
    # What counts for discovery matters only to those whose candidates are cut.
    cut = (np.bincount(owner, minlength=len(most)) > most) & (kept > 0)
    if cut.any():
        also = np.flatnonzero(wanted & cut[owner])
        chosen[also[largest(owner[also], relevance[also], 2 * kept)]] = True
    return np.flatnonzero(chosen)


def _numbered(names: list[str | None]) -> npt.NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array(
        [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64
    )
