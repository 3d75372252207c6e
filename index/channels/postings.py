"""The words of a built catalogue on disk: BM25's postings, memory-mapped, so that workers on a machine share pages.

::

    postings-terms.npy   the terms of each field, sorted, one after the other in UTF-8
    postings-ends.npy    where each term ends
    postings-fields.npy  how many items there are, and where each field's terms begin
    postings-starts.npy  where each term's postings begin
    postings-rows.npy    the items
    postings-scores.npy  their BM25 times the field's weight

A search for a term is a binary search, so opening reads nothing. Of a term in more than `MOST` items of a field only
those with the largest scores are kept (static pruning; Carmel and others, "Static Index Pruning for Information
Retrieval Systems", SIGIR 2001): a word that so many items share tells little, and costs most.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import Stemmer

from index.channels.lexical import TIE, Lexical
from index.errors import CatalogDamagedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["MOST", "PARTS", "catalog_fields", "open_lexical", "save_lexical"]

MOST: Final = 10_000
"""Items of one term and field that are kept."""

PARTS: Final = tuple(
    f"postings-{part}.npy" for part in ("terms", "ends", "fields", "starts", "rows", "scores")
)
"""The names of the files."""

_LANGUAGE: Final = "english"
_WEIGHTS: Final = {"title": 1.0, "brand": 1.0, "category": 0.5, "attributes": 0.7}


@dataclass(frozen=True, slots=True)
class _MappedField:
    """As the field of a `Lexical`, over memory-mapped arrays."""

    terms: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    first: int
    last: int

    def of(self, term: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        wanted = term.encode()
        at = bisect_left(range(self.last), wanted, self.first, key=self._term)
        if at >= self.last or self._term(at) != wanted:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        part = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.rows[part].astype(np.int64), np.asarray(self.scores[part])

    def _term(self, at: int) -> bytes:
        return self.terms[int(self.ends[at]) : int(self.ends[at + 1])].tobytes()


def catalog_fields(
    titles: Sequence[str],
    brands: Sequence[str | None],
    categories: Sequence[str],
    attributes: Sequence[Mapping[str, str]],
) -> dict[str, list[str]]:
    """What words are looked for in, by field, from the columns of a catalogue."""
    return {
        "title": list(titles),
        "brand": [brand or "" for brand in brands],
        "category": list(categories),
        "attributes": [" ".join(one.values()) for one in attributes],
    }


def save_lexical(fields: Mapping[str, Sequence[str]], folder: Path, *, most: int = MOST) -> None:
    """Index the fields and write `PARTS` into a folder.

    Args:
        fields: By field the text of every item, in the items' order.
        folder: Of the catalogue.
        most: Items of one term and field to keep.
    """
    blobs: list[bytes] = []
    ends, starts, bounds = [0], [0], [0]
    items = 0
    rows: list[npt.NDArray[np.int32]] = []
    scores: list[npt.NDArray[np.float32]] = []
    size = held = 0
    for name, texts in fields.items():
        items = len(texts)
        # One field at a time, so that the memory of building is that of the largest one.
        lexical = Lexical.build({name: texts}, weights=_WEIGHTS, language=_LANGUAGE)
        for one in lexical._fields:
            for term in sorted(filter(None, one.terms), key=str.encode):
                found, values = one.of(term)
                if len(found) > most:
                    kept = np.sort(np.argpartition(-values, most - 1)[:most])
                    found, values = found[kept], values[kept]
                if not len(found):
                    continue
                blobs.append(term.encode())
                size += len(blobs[-1])
                held += len(found)
                ends.append(size)
                starts.append(held)
                rows.append(found.astype(np.int32))
                scores.append(values.astype(np.float32))
        bounds.append(len(ends) - 1)
    arrays: tuple[npt.NDArray[Any], ...] = (
        np.frombuffer(b"".join(blobs), dtype=np.uint8),
        np.array(ends, dtype=np.int64),
        np.array([items, *bounds], dtype=np.int64),
        np.array(starts, dtype=np.int64),
        np.concatenate(rows) if rows else np.empty(0, np.int32),
        np.concatenate(scores) if scores else np.empty(0, np.float32),
    )
    for name, array in zip(PARTS, arrays, strict=True):
        np.save(folder / name, array)


def open_lexical(folder: Path, items: int) -> Lexical:
    """Open what `save_lexical` wrote; nothing is read before it is asked for.

    Args:
        folder: Of the catalogue.
        items: How many it has.

    Raises:
        CatalogDamagedError: If a file is missing, cut short, or of another catalogue.
    """
    try:
        terms, ends, bounds, starts, rows, scores = (_mapped(folder / name) for name in PARTS)
    except (OSError, ValueError, EOFError) as error:
        raise CatalogDamagedError(
            f"The words of the catalogue in {folder} cannot be read ({error}).",
            way_out="Build the catalogue again.",
        ) from error
    known = len(ends) == len(starts) and len(rows) == len(scores) == int(starts[-1])
    if not known or int(ends[-1]) != len(terms) or int(bounds[0]) != items:
        raise CatalogDamagedError(
            f"The files of words in {folder} do not fit one another.", way_out="Build the catalogue again."
        )
    fields: list[Any] = [
        _MappedField(terms, ends, starts, rows, scores, int(first), int(last))
        for first, last in pairwise(bounds[1:])
    ]
    return Lexical(items, fields, TIE, Stemmer.Stemmer(_LANGUAGE))


def _mapped(path: Path) -> Any:
    try:
        # As a plain array, still mapped: the class of maps takes longer to slice than the slice to read.
        return np.load(path, mmap_mode="r").view(np.ndarray)
    except ValueError:
        return np.load(path)  # nothing can be mapped of an array without elements
