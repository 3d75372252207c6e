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
from index.recall.memory import Kept

if TYPE_CHECKING:
    from index.built.catalog import Catalog, Rows
    from index.channels.lexical import Lexical
    from index.recall.channel import Asked, Batch, Values
    from index.recall.request import Channel

__all__ = ["DenseChannel", "LexicalChannel"]

PLACES: Final = 20
"""Places until a value counts half."""

_NONE: Final = np.empty(0, dtype=np.int64)
_NOTHING: Final = Listed(_NONE, np.empty(0))

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
        key = (self.name, batch.queries[number], asked.depth, asked.wanted)
        kept = batch.memory.lists.get(key)
        if kept is None:
            kept = self._list(batch, number, asked, _NONE)
            batch.memory.lists.put(key, kept)
        if not kept.holds_without(asked.excluded):
            kept = self._list(batch, number, asked, asked.excluded)
        return kept.listed or _NOTHING

    def _list(self, batch: Batch, number: int, asked: Asked, excluded: Rows) -> Kept:
        # Another request of the batch may have needed a longer search; what this one gets does not depend on it.
        nearest = batch.nearest[number]
        found, scores = nearest.texts[: asked.depth], nearest.scores[: asked.depth]
        known = found >= 0
        texts = found[known]
        values = scaled(scores[known], full=bool(known.all()))
        rows, order = _behind(batch.catalog, texts, asked.wanted, excluded, self.per_text)
        looked = np.sort(rows).astype(np.int32)
        return Kept(_listed(rows, values[order], order, asked.wanted, self.per_text), looked)


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
        wanted = {(number, asked.wanted) for asked in batch.asked for number in asked.numbers}
        kept: dict[tuple[int, int], Kept] = {}
        for number, many in wanted:
            known = batch.memory.lists.get((self.name, batch.queries[number], many))
            if known is not None:
                kept[number, many] = known
        found = self._answers(batch, sorted({number for number, _ in wanted - kept.keys()}))
        for number, many in sorted(wanted - kept.keys()):
            made = self._list(batch.catalog, *found[number], many, _NONE)
            batch.memory.lists.put((self.name, batch.queries[number], many), made)
            kept[number, many] = made
        lists = []
        for asked in batch.asked:
            mine = []
            for number in asked.numbers:
                one = kept[number, asked.wanted]
                if not one.holds_without(asked.excluded):
                    if number not in found:
                        found |= self._answers(batch, [number])
                    one = self._list(batch.catalog, *found[number], asked.wanted, asked.excluded)
                mine.append(one.listed or _NOTHING)
            lists.append(mine)
        return lists

    def _answers(self, batch: Batch, numbers: list[int]) -> dict[int, tuple[Rows, Values]]:
        """By query's number the rows that have its words, and their values."""
        if not numbers:
            return {}
        scored = self.lexical.answer([batch.queries[number] for number in numbers], _LEXICAL_DEPTH)
        found = {}
        for number, rows, scores in zip(numbers, scored.rows, scored.scores, strict=True):
            known = rows >= 0
            found[number] = (rows[known], scaled(scores[known], full=bool(known.all())))
        return found

    def _list(self, catalog: Catalog, rows: Rows, values: Values, wanted: int, excluded: Rows) -> Kept:
        kept = allowed(catalog, rows, excluded)
        rows, values = rows[kept], values[kept]
        looked = np.sort(rows).astype(np.int32)
        liked = np.lexsort((-catalog.liked(rows), -np.round(values, 9)))
        rows, values = rows[liked], values[liked]
        texts = catalog.texts_of(rows)
        together = np.argsort(texts, kind="stable")
        listed = _listed(rows[together], values[together], texts[together], wanted, self.per_text)
        return Kept(listed, looked)


def _behind(
    catalog: Catalog, texts: npt.NDArray[np.int64], wanted: int, excluded: Rows, per_text: int
) -> tuple[Rows, npt.NDArray[np.int64]]:
    """The allowed rows behind texts, text by text, most popular first, and the place of each one's text.

    Of a text only so many are looked at as can come into the list, unless too few of them are allowed.
    """
    sizes = catalog.text_sizes(texts)
    most = max(4 * per_text, -(-4 * wanted // max(len(texts), 1)))
    while True:
        taken = np.minimum(sizes, most)
        order = np.repeat(np.arange(len(texts)), taken)
        places = np.arange(len(order)) - np.repeat(np.cumsum(taken) - taken, taken)
        rows = catalog.rows_of_texts(texts[order], places)
        kept = allowed(catalog, rows, excluded)
        if int(kept.sum()) >= wanted or bool((taken == sizes).all()):
            return rows[kept], order[kept]
        most *= 4


def _listed(rows: Rows, values: Values, text: npt.NDArray[np.int64], wanted: int, per_text: int) -> Listed:
    """The list of rows that stand text by text (``text`` rises), each text's later ones counting less."""
    places = np.arange(len(rows)) - np.searchsorted(text, text)
    worth = values / (1 + places // per_text)
    best = np.argsort(-worth, kind="stable")[:wanted]
    return Listed(rows[best], worth[best] * PLACES / (PLACES + np.arange(len(best))))
