"""One user's pool into a slate: coarse score, features, ranker, arrangement; every score the sum of its named parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from index.ranking.discovery import quota
from index.ranking.live import About, live_features, places
from index.ranking.slate import Pool, coarse, rank, shortlist
from index.recall.request import Candidate
from index.recall.shelves import ages_of, category_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog, Rows
    from index.encoders.encoder import Vectors
    from index.nearest.vectors import VectorIndex
    from index.ranking.slate import Position
    from index.recall.beside import Beside
    from index.recall.channel import Asked, Values
    from index.recall.pool import Joined
    from index.recall.request import Channel, Query, RecallRequest
    from index.recall.settings import RecallSettings

__all__ = ["Slates"]

_FINE: Final = 200
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Slates:
    """Makes slates over one state of a catalogue.

    Attributes:
        catalog: The items.
        vectors: Their index, for the vectors of what came after the build.
        beside: Vectors of the build's texts, ages, the ranker.
        settings: How it is done.
        day: The day that ages are counted to; the present one if None.
    """

    catalog: Catalog
    vectors: VectorIndex
    beside: Beside
    settings: RecallSettings
    day: int | None = None

    def make(
        self, joined: Joined, request: RecallRequest, asked: Asked, queries: Sequence[Query], weights: Values
    ) -> list[Candidate]:
        """The slate of a pool that is not empty, best first.

        Args:
            joined: What the channels found.
            request: What was asked for.
            asked: The same in numbers.
            queries: The different queries.
            weights: (q,) their weights.
        """
        limit = request.limit or self.settings.limit
        parts = coarse(
            {str(name): column for name, column in joined.columns.items()}, self.settings.weights.model_dump()
        )
        codes = self.catalog.category_codes(joined.rows)
        mine = category_weights(self.catalog, asked.categories)
        wanted = self._discovery(joined.rows, codes, mine)
        kept = quota(self.settings.discovery_share, limit, request.user, request.version)
        pool = Pool({**parts}, discovery=wanted)
        relevance = pool.relevance
        at = shortlist(relevance, max(_FINE, 2 * limit), wanted, kept)
        # Of equal scores the first is taken, so more popular ones stand first.
        at = at[np.lexsort((-self.catalog.liked(joined.rows[at]), -np.round(relevance[at], 9)))]
        rows = joined.rows[at]
        vectors = self._vectors(rows)
        features = self._features(joined, at, asked, weights, mine, codes[at], vectors)
        ranked = rank(
            Pool(
                {name: part[at] for name, part in parts.items()},
                vectors,
                self._groups(rows, codes[at]),
                wanted[at],
            ),
            limit,
            features=features,
            ranker=self.beside.ranker,
            caps=self.settings.caps.given(),
            places=kept,
            fine=len(at),
            strength=self.settings.diversity,
        )
        told = np.round(features.astype(np.float64), _DIGITS - 1).tolist()
        return [self._candidate(one, joined, int(at[one.at]), asked, queries, told) for one in ranked]

    def _discovery(
        self, rows: Rows, codes: npt.NDArray[np.int64], mine: dict[int, float]
    ) -> npt.NDArray[np.bool_]:
        """(m,) new to the shop, or of a category that the user has not touched; without any touched, none is unseen."""
        wanted: npt.NDArray[np.bool_] = (
            ages_of(self.catalog, self.beside.days, rows, self.day) <= self.settings.new_days
        )
        if mine:
            wanted |= (codes >= 0) & ~np.isin(codes, list(mine))
        return wanted

    def _groups(self, rows: Rows, codes: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
        """The groups that caps are set for."""
        caps = self.settings.caps
        groups = {"category": codes}
        if caps.brand is not None:
            groups["brand"] = _numbered([self.catalog.brand(row) for row in rows.tolist()])
        if caps.seller is not None:
            name = self.settings.seller_attribute
            groups["seller"] = _numbered([self.catalog.attribute(row, name) for row in rows.tolist()])
        return groups

    def _vectors(self, rows: Rows) -> Vectors | None:
        """(m, d) the vectors of the rows' texts; None where the build kept none."""
        kept: Any = self.beside.embeddings
        if kept is None:
            return None
        texts = self.catalog.texts_of(rows)
        found = np.empty((len(rows), self.vectors.dimensions), np.float32)
        old = texts < len(kept)
        found[old] = kept[texts[old]]
        found[~old] = self.vectors.added[texts[~old] - len(kept)]
        return found

    def _features(
        self,
        joined: Joined,
        at: npt.NDArray[np.int64],
        asked: Asked,
        weights: Values,
        mine: dict[int, float],
        codes: npt.NDArray[np.int64],
        vectors: Vectors | None,
    ) -> npt.NDArray[np.float32]:
        rows = joined.rows[at]
        taken = {row: act.weight for act in asked.acts if (row := self.catalog.row(act.item)) is not None}
        acted = np.fromiter(taken, dtype=np.int64, count=len(taken))
        price = self.catalog.prices(acted)
        price = price[np.isfinite(price) & (price > 0)]
        likeness = np.full(len(rows), np.nan)
        if vectors is not None and len(acted):
            own = self._vectors(acted)
            if own is not None:
                likeness = (vectors @ own.T).max(axis=1).astype(np.float64)
        about = About(
            price=self.catalog.prices(rows),
            usual_price=float(np.median(price)) if len(price) else float("nan"),
            category=np.array([mine.get(code, 0.0) for code in codes.tolist()]),
            popularity=self.catalog.popularities(rows),
            age_days=ages_of(self.catalog, self.beside.days, rows, self.day),
            likeness=likeness,
            taken=np.array([taken.get(row, 0.0) for row in rows.tolist()]),
            acts=len(acted),
        )
        shares: dict[str, Values] = {
            name: (column / max(float(column.max()), 1e-12))[at] for name, column in joined.columns.items()
        }
        placed: dict[str, Values] = {name: places(column)[at] for name, column in joined.columns.items()}
        return live_features(shares, placed, joined.ranks[at], weights, about)

    def _candidate(
        self,
        position: Position,
        joined: Joined,
        at: int,
        asked: Asked,
        queries: Sequence[Query],
        told: list[list[float]],
    ) -> Candidate:
        parts = {name: rounded for name, part in position.parts.items() if (rounded := round(part, _DIGITS))}
        channel: Channel = max(
            joined.columns, key=lambda name: (parts.get(name, 0.0), joined.columns[name][at])
        )
        ranks = {query.text: int(rank) for query, rank in zip(queries, joined.ranks[at], strict=True) if rank}
        query = queries[int(joined.shares[at].argmax())] if ranks else None
        row = int(joined.rows[at])
        return Candidate(
            self.catalog.item_id(row),
            round(sum(parts.values()), _DIGITS),
            query.text if query else None,
            self._why(channel, row, query, ranks, int(joined.source[at]), asked),
            channel,
            ranks,
            parts,
            tuple(None if value != value else value for value in told[position.at]),  # noqa: PLR0124 - only a NaN
        )

    def _why(
        self,
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
            taken = self.catalog.row(asked.acts[source].item)
            return (
                "goes with what you took"
                if taken is None
                else f"goes with “{self.catalog.short_title(taken)}”"
            )
        name = self.catalog.named_category(row)
        return f"{channel} in {name}" if name else f"{channel} in the shop"


def _numbered(names: list[str | None]) -> npt.NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array(
        [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64
    )
