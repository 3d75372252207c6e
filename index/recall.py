"""From a user's queries to candidates: encode, search, fuse.

A batch of requests costs one call of the encoder and one of the index, whatever its size. Each user's lists are then
fused by reciprocal ranks. Items that share a text come out of a query's list a few at a time: first the most popular
`per_text` of every text in the order of the texts, then the next few. So a query is answered with
the breadth of what the shop has, and not by one title fifty times.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from index.catalog import Catalog, Rows
from index.errors import CatalogDamagedError, CatalogError
from index.fusion import RRF_K, fuse
from index.manifest import manifest_mark
from index.popular import interleave
from index.vectors import VectorIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from index.encoder import Encoder, Vectors

__all__ = ["Candidate", "Query", "Recall", "RecallRequest", "RecallResult"]

PER_TEXT: Final = 3
_OPEN_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Query:
    """One thing a user may want, in words.

    Attributes:
        text: What to look for.
        weight: How much its list counts against the user's other ones; above 0.
        why: The evidence for it, passed on to the candidates it brings.
    """

    text: str
    weight: float = 1.0
    why: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise CatalogError(
                f"The query {self.text[:80]!r} has the weight {self.weight}.",
                way_out="Give a finite weight above 0.",
            )


@dataclass(frozen=True, slots=True)
class RecallRequest:
    """What one user's slate is to be made from.

    Attributes:
        queries: The user's demands. Blank ones are passed over; equal ones count once, with their weights added.
        exclude: Ids of items to leave out, such as what was just bought.
        categories: The user's categories, the most important first; used where there are no queries.
        limit: The most candidates wanted.
        per_query: How deep each query's list goes into the fusion; ``limit`` if that is more.
    """

    queries: tuple[Query, ...] = ()
    exclude: frozenset[str] = frozenset()
    categories: tuple[str, ...] = ()
    limit: int = 50
    per_query: int = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that may be shown, and why.

    Attributes:
        item: The item's id.
        score: The fused score: the sum over ``ranks`` of the query's weight / (k + rank).
        query: The query that contributes most; None in the channel ``popular``.
        why: That query's evidence, or in a few words how the item came in.
        channel: Where it came from.
        ranks: The item's rank, from 1, in the list of each query that found it.
    """

    item: str
    score: float
    query: str | None
    why: str
    channel: Literal["dense", "popular"]
    ranks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecallResult:
    """The candidates of a batch, in the order of its requests.

    Attributes:
        candidates: For each request its candidates, best first.
        best: For each request the similarity, from -1 to 1, of the catalogue's nearest text to each of its queries:
            how well the catalogue can answer the query at all. Exclusions do not matter to it.
        encode_ms: Milliseconds in the encoder, for the whole batch.
        search_ms: Milliseconds in the index.
        fuse_ms: Milliseconds in fusing and in making the candidates.
    """

    candidates: list[list[Candidate]]
    best: list[dict[str, float]]
    encode_ms: float
    search_ms: float
    fuse_ms: float


class Recall:
    """Recall over one catalogue; safe to share between threads."""

    def __init__(
        self,
        catalog: Catalog,
        encoder: Encoder,
        vectors: VectorIndex,
        *,
        rrf_k: int = RRF_K,
        per_text: int = PER_TEXT,
    ) -> None:
        """Join the parts.

        Args:
            catalog: The items.
            encoder: The encoder the index was made by.
            vectors: The index of the same build as the catalogue.
            rrf_k: The constant of the fusion.
            per_text: How many items of one text a query's list takes before it goes on to the next text.

        Raises:
            CatalogDamagedError: If catalogue and index are of different builds.
        """
        if catalog.manifest.build_id != vectors.build_id:
            raise CatalogDamagedError(
                "The item table and the vector index are of different builds.", way_out="Open both again."
            )
        self.catalog = catalog
        self.encoder = encoder
        self.vectors = vectors
        self._rrf_k = rrf_k
        self._per_text = per_text

    @classmethod
    def open(
        cls,
        directory: Path,
        encoder: Encoder,
        *,
        rrf_k: int = RRF_K,
        per_text: int = PER_TEXT,
        verify: bool = False,
    ) -> Recall:
        """Open catalogue and index of a folder; again, if it was replaced by another version meanwhile.

        Raises:
            CatalogMissingError: If there is no catalogue.
            CatalogDamagedError: If one of its files is.
            EncoderMismatchError: If another encoder made the index.
        """
        for left in reversed(range(_OPEN_TRIES)):
            before = manifest_mark(directory)
            try:
                catalog = Catalog.open(directory, verify=verify)
                vectors = VectorIndex.open(directory, encoder, verify=verify)
                return cls(catalog, encoder, vectors, rrf_k=rrf_k, per_text=per_text)
            except CatalogError:
                if not left or manifest_mark(directory) == before:
                    raise
        raise AssertionError

    @property
    def now(self) -> Recall:
        """The recall to use for one batch; `index.living.LivingRecall` answers with its newest state."""
        return self

    def over(self, catalog: Catalog, vectors: VectorIndex) -> Recall:
        """The same recall over another state of the same build."""
        return Recall(catalog, self.encoder, vectors, rrf_k=self._rrf_k, per_text=self._per_text)

    def recall(self, requests: Sequence[RecallRequest]) -> RecallResult:
        """Find the candidates of a batch of requests.

        Raises:
            EncoderUnavailableError: If the encoder cannot be reached.
        """
        merged = [_merge(request.queries) for request in requests]
        number = {text: at for at, text in enumerate(dict.fromkeys(text for one in merged for text in one))}
        excluded = [self._rows(request.exclude) for request in requests]

        started = time.perf_counter()
        encoded: Vectors = (
            self.encoder.encode(list(number))
            if number
            else np.empty((0, self.vectors.dimensions), np.float32)
        )
        after_encode = time.perf_counter()
        depth = max((self._depth(one, out) for one, out in zip(requests, excluded, strict=True)), default=0)
        scores, texts = self.vectors.search(encoded, depth)
        after_search = time.perf_counter()

        candidates: list[list[Candidate]] = []
        best: list[dict[str, float]] = []
        for request, queries, out in zip(requests, merged, excluded, strict=True):
            best.append({text: float(scores[number[text], 0]) for text in queries})
            if not queries:
                candidates.append(self.popular(request.categories, request.limit, request.exclude))
                continue
            wanted = max(request.per_query, request.limit)
            lists = [self._expand(texts[number[text]], wanted, out) for text in queries]
            candidates.append(self._fuse(list(queries.values()), lists, request.limit))
        done = time.perf_counter()
        return RecallResult(
            candidates,
            best,
            encode_ms=(after_encode - started) * 1e3,
            search_ms=(after_search - after_encode) * 1e3,
            fuse_ms=(done - after_search) * 1e3,
        )

    def popular(
        self, categories: Sequence[str], limit: int, exclude: frozenset[str] = frozenset()
    ) -> list[Candidate]:
        """The most popular items of the categories by turns, then of the whole catalogue."""
        catalog = self.catalog
        out = set(self._rows(exclude).tolist())
        depth = max(limit, 0) + len(out)
        named = [(f"popular in {name}", catalog.popular(name, depth)) for name in dict.fromkeys(categories)]
        picked = interleave([*named], ("popular overall", catalog.popular(None, depth + limit)), out, limit)
        return [
            Candidate(catalog.item_id(row), 1 / (self._rrf_k + rank), None, why, "popular")
            for rank, (row, why) in enumerate(picked, 1)
        ]

    def _rows(self, ids: frozenset[str]) -> Rows:
        rows = (self.catalog.row(item) for item in ids)
        return np.array(sorted(row for row in rows if row is not None), dtype=np.int64)

    def _depth(self, request: RecallRequest, excluded: Rows) -> int:
        """How many texts to search so that exclusions leave enough: each can empty at most one text."""
        return max(request.per_query, request.limit) + len(excluded)

    def _expand(self, texts: Rows, wanted: int, excluded: Rows) -> Rows:
        """The rows (m,) behind a query's nearest texts, best first, m at most ``wanted``."""
        texts = texts[texts >= 0]
        # Rows that are not offered are dropped below; so many more are taken out of a text.
        sizes = np.minimum(self.catalog.text_sizes(texts), wanted + len(excluded) + self.catalog.hidden)
        order = np.repeat(np.arange(len(texts)), sizes)
        places = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        by_turns = np.lexsort((places, order, places // self._per_text))
        rows = self.catalog.rows_of_texts(texts[order[by_turns]], places[by_turns])
        if len(excluded):
            rows = rows[~np.isin(rows, excluded)]
        return self.catalog.offered(rows)[:wanted]

    def _fuse(self, queries: Sequence[Query], lists: Sequence[Rows], limit: int) -> list[Candidate]:
        weights = np.array([query.weight for query in queries])
        fused = fuse(lists, weights.tolist(), self._rrf_k)
        shares = np.where(fused.ranks > 0, weights / (self._rrf_k + fused.ranks), 0.0)
        leading = shares.argmax(axis=1) if len(shares) else np.empty(0, np.int64)
        found = []
        for row, score, ranks, first in zip(
            fused.rows[:limit].tolist(),
            fused.scores.tolist(),
            fused.ranks.tolist(),
            leading.tolist(),
            strict=False,
        ):
            query = queries[first]
            found.append(
                Candidate(
                    self.catalog.item_id(row),
                    score,
                    query.text,
                    query.why or f"number {ranks[first]} for this query",
                    "dense",
                    {one.text: rank for one, rank in zip(queries, ranks, strict=True) if rank},
                )
            )
        return found


def _merge(queries: Sequence[Query]) -> dict[str, Query]:
    """The queries by text: blank ones gone, equal ones one with the sum of their weights."""
    merged: dict[str, Query] = {}
    for query in queries:
        text = " ".join(query.text.split())
        if text:
            known = merged.get(text)
            merged[text] = Query(
                text, query.weight + (known.weight if known else 0.0), known.why if known else query.why
            )
    return merged
