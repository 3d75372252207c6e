"""What answers a demand: near in meaning (`Dense`), or with its words (`Lexical`).

Items that share a text come out of a list a few at a time: the first `per_text` of them, most popular first, count
fully, the next so many half, then a third. So a query is answered with the breadth of what the shop has, and not by one
title fifty times.

A value also falls with its place in the list, as `index.recall.lists.PLACES` / (`PLACES` + place - 1). So demands whose lists begin with
many values that are nearly the same, as those of words do, take turns in the slate; the order within a list stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.recall.lists import allowed_by_query, best_lists, scaled
from index.recall.remembered import lists_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.built.catalog import Catalog, Rows
    from index.channels.lexical import Lexical
    from index.recall.channel import Asked, Batch, Listed, Values
    from index.recall.request import Channel

__all__ = ["DenseChannel", "LexicalChannel"]

_TRUE: Final = np.ones(1, dtype=np.bool_)

_NEARLY: Final = 2e-9
"""Values nearer than this count as equal where popularity decides."""

_LEXICAL_DEPTH: Final = 1_000
"""Items with a query's words that are looked at; of the same text, the most popular then come first."""


@dataclass(frozen=True, slots=True)
class DenseChannel:
    """The nearest texts of the vector index, new items of a living catalogue among them."""

    per_text: int
    name: Channel = "dense"

    def find(self, batch: Batch) -> list[list[Listed]]:
        """As `LiveChannel.find`."""
        return lists_of(batch, self.name, self._lists, lambda asked: (asked.depth, asked.wanted))

    def _lists(
        self, batch: Batch, numbers: Sequence[int], asked: Sequence[Asked], excluded: Sequence[Rows]
    ) -> list[Listed]:
        # Another request of the batch may have needed a longer search; what this one gets does not depend on it.
        depths = np.array([one.depth for one in asked])
        deepest, catalog, wanted = int(depths.max()), batch.catalog, asked[0].wanted
        nearest = [batch.nearest[number] for number in numbers]
        texts = np.stack([one.texts[:deepest] for one in nearest]).astype(np.int64)
        known = (texts >= 0) & (np.arange(texts.shape[1]) < depths[:, None])
        values = scaled(np.stack([one.scores[:deepest] for one in nearest]), known, depths)
        query, at = np.nonzero(known)
        texts = texts[query, at]
        rows, order = _behind(catalog, texts, query, len(numbers), wanted, excluded, self.per_text)
        query = query[order]
        # The texts of a query are in its order, so rows that share one stand together.
        first = np.concatenate([_TRUE[: len(order)], order[1:] != order[:-1]])
        places = np.arange(len(order)) - np.flatnonzero(first)[np.cumsum(first) - 1]
        worth = values[known][order] / (1 + places // self.per_text)
        return best_lists(rows, worth, query, len(numbers), wanted)


@dataclass(frozen=True, slots=True)
class LexicalChannel:
    """BM25 over the words of the build.

    An item that came after the build, or whose text changed, is not among its words: the dense channel has it at once,
    and the next published or folded version has its words.
    """

    lexical: Lexical
    per_text: int
    name: Channel = "lexical"

    def find(self, batch: Batch) -> list[list[Listed]]:
        """As `LiveChannel.find`."""
        return lists_of(batch, self.name, self._lists, lambda asked: (asked.wanted,))

    def _lists(
        self, batch: Batch, numbers: Sequence[int], asked: Sequence[Asked], excluded: Sequence[Rows]
    ) -> list[Listed]:
        scored = self.lexical.answer([batch.queries[number] for number in numbers], _LEXICAL_DEPTH)
        known = scored.rows >= 0
        values = scaled(scored.scores, known, np.full(len(known), _LEXICAL_DEPTH))
        wanted, near = asked[0].wanted, 2 * asked[0].wanted
        if near >= values.shape[1]:
            return self._listed(batch.catalog, scored.rows, values, known, wanted, excluded)[0]
        # The first rows nearly always have a list's length of different texts; what follows is worth less.
        found, whole = self._listed(
            batch.catalog, scored.rows[:, :near], values[:, :near], known[:, :near], wanted, excluded
        )
        least = np.where(known[:, near], values[:, near], -1.0)
        again = np.flatnonzero(least >= whole - _NEARLY)
        if len(again):
            rest, _ = self._listed(
                batch.catalog,
                scored.rows[again],
                values[again],
                known[again],
                wanted,
                [excluded[at] for at in again.tolist()],
            )
            for at, one in zip(again.tolist(), rest, strict=True):
                found[at] = one
        return found

    def _listed(
        self,
        catalog: Catalog,
        table: npt.NDArray[np.int64],
        worths: Values,
        known: npt.NDArray[np.bool_],
        wanted: int,
        excluded: Sequence[Rows],
    ) -> tuple[list[Listed], Values]:
        """The lists of rows (q, k), and (q,) what each one's last item that counts fully is worth; 0 where it is not full."""
        queries = len(table)
        query = np.repeat(np.arange(queries), known.sum(axis=1))
        rows, values = table[known], worths[known]
        kept = allowed_by_query(catalog, rows, query, excluded)
        if not kept.all():
            rows, values, query = rows[kept], values[kept], query[kept]
        texts = catalog.texts_of(rows)
        places = np.zeros(len(rows), dtype=np.int64)
        # Only where items share a text does one stand behind another.
        shared = np.flatnonzero(catalog.text_sizes(texts) > 1)
        if len(shared):
            liked = catalog.liked(rows[shared])
            ranked = np.lexsort((-liked, -np.round(values[shared], 9), texts[shared], query[shared]))
            shared = shared[ranked]
            text, whose = texts[shared], query[shared]
            first = np.ones(len(shared), dtype=bool)
            first[1:] = (text[1:] != text[:-1]) | (whose[1:] != whose[:-1])
            places[shared] = np.arange(len(shared)) - np.flatnonzero(first)[np.cumsum(first) - 1]
        worth = values / (1 + places // self.per_text)
        # Values fall, so what is worth less than the last needed of those that count fully is in no list.
        fully = np.flatnonzero(places < self.per_text)
        many = np.bincount(query[fully], minlength=queries)
        full = np.flatnonzero(many >= wanted)
        least = np.zeros(queries)
        least[full] = values[fully[(np.cumsum(many) - many)[full] + wanted - 1]]
        near = np.flatnonzero(worth >= least[query])
        rows, worth, query, texts, places = rows[near], worth[near], query[near], texts[near], places[near]
        span = int(texts.max(initial=0)) + 1
        order = np.argsort((query * span + texts) * table.shape[1] + places)
        return best_lists(rows[order], worth[order], query[order], queries, wanted), least


def _behind(
    catalog: Catalog,
    texts: npt.NDArray[np.int64],
    query: npt.NDArray[np.int64],
    queries: int,
    wanted: int,
    excluded: Sequence[Rows],
    per_text: int,
) -> tuple[Rows, npt.NDArray[np.int64]]:
    """The allowed rows behind texts, text by text, most popular first, and the place of each one's text.

    Of a text only so many are looked at as can come into the list, unless too few of them are allowed.
    """
    sizes = catalog.text_sizes(texts)
    most = np.maximum(4 * per_text, -(-4 * wanted // np.maximum(np.bincount(query, minlength=queries), 1)))
    while True:
        taken = np.minimum(sizes, most[query])
        order = np.repeat(np.arange(len(texts)), taken)
        places = np.arange(len(order)) - np.repeat(np.cumsum(taken) - taken, taken)
        rows = catalog.rows_of_texts(texts[order], places)
        kept = allowed_by_query(catalog, rows, query[order], excluded)
        cut = np.bincount(query[taken < sizes], minlength=queries) > 0
        short = cut & (np.bincount(query[order[kept]], minlength=queries) < wanted)
        if not short.any():
            return rows[kept], order[kept]
        most[short] *= 4
