"""What answers a demand: near in meaning (`Dense`), or with its words (`Lexical`).

Items that share a text come out of a list a few at a time: the first `per_text` of them, most popular first, count
fully, the next so many half, then a third. So a query is answered with the breadth of what the shop has, and not by one
title fifty times.

A value also falls with its place in the list, as `PLACES` / (`PLACES` + place - 1). So demands whose lists begin with
many values that are nearly the same, as those of words do, take turns in the slate; the order within a list stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.recall.channel import Listed, allowed, scaled

if TYPE_CHECKING:
    from index.built.catalog import Catalog, Rows
    from index.channels.channel import Scored
    from index.channels.lexical import Lexical
    from index.recall.channel import Asked, Batch, Values
    from index.recall.request import Channel

__all__ = ["DenseChannel", "LexicalChannel"]

PLACES: Final = 20
"""Places until a value counts half."""

_LEXICAL_DEPTH: Final = 1_000
"""Items with a query's words that are looked at; of the same text, the most popular then come first."""


@dataclass(frozen=True, slots=True)
class DenseChannel:
    """The nearest texts of the vector index, new items of a living catalogue among them."""

    per_text: int
    name: Channel = "dense"

    def find(self, batch: Batch) -> list[list[Listed]]:
        """As `LiveChannel.find`."""
        return [[self._one(batch, number, asked) for number in asked.numbers] for asked in batch.asked]

    def _one(self, batch: Batch, number: int, asked: Asked) -> Listed:
        # Another request of the batch may have needed a longer search; what this one gets does not depend on it.
        found, scores = batch.texts[number, : asked.depth], batch.scores[number, : asked.depth]
        known = found >= 0
        texts = found[known]
        values = scaled(scores[known], full=bool(known.all()))
        rows, order = _behind(batch.catalog, texts, asked, self.per_text)
        return _listed(rows, values[order], order, asked.wanted, self.per_text)


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
        found = self.lexical.answer(batch.queries, _LEXICAL_DEPTH)
        return [
            [self._one(batch.catalog, found, number, asked) for number in asked.numbers]
            for asked in batch.asked
        ]

    def _one(self, catalog: Catalog, found: Scored, number: int, asked: Asked) -> Listed:
        known = found.rows[number] >= 0
        rows = found.rows[number][known]
        values = scaled(found.scores[number][known], full=bool(known.all()))
        kept = allowed(catalog, rows, asked.excluded)
        rows, values = rows[kept], values[kept]
        liked = np.lexsort((-catalog.liked(rows), -np.round(values, 9)))
        rows, values = rows[liked], values[liked]
        texts = catalog.texts_of(rows)
        together = np.argsort(texts, kind="stable")
        return _listed(rows[together], values[together], texts[together], asked.wanted, self.per_text)


def _behind(
    catalog: Catalog, texts: npt.NDArray[np.int64], asked: Asked, per_text: int
) -> tuple[Rows, npt.NDArray[np.int64]]:
    """The allowed rows behind texts, text by text, most popular first, and the place of each one's text.

    Of a text only so many are looked at as can come into the list, unless too few of them are allowed.
    """
    sizes = catalog.text_sizes(texts)
    most = max(4 * per_text, -(-4 * asked.wanted // max(len(texts), 1)))
    while True:
        taken = np.minimum(sizes, most)
        order = np.repeat(np.arange(len(texts)), taken)
        places = np.arange(len(order)) - np.repeat(np.cumsum(taken) - taken, taken)
        rows = catalog.rows_of_texts(texts[order], places)
        kept = allowed(catalog, rows, asked.excluded)
        if int(kept.sum()) >= asked.wanted or bool((taken == sizes).all()):
            return rows[kept], order[kept]
        most *= 4


def _listed(rows: Rows, values: Values, text: npt.NDArray[np.int64], wanted: int, per_text: int) -> Listed:
    """The list of rows that stand text by text (``text`` rises), each text's later ones counting less."""
    places = np.arange(len(rows)) - np.searchsorted(text, text)
    worth = values / (1 + places // per_text)
    best = np.argsort(-worth, kind="stable")[:wanted]
    return Listed(rows[best], worth[best] * PLACES / (PLACES + np.arange(len(best))))
