"""Words that match: BM25 over several fields, each query term counted in the field it fits best.

A term's score for an item is the largest of its BM25 scores over the fields, plus `tie` times the others; a query's
score is the sum over its terms. That is the disjunction-maximum query of search engines (Lucene's
``DisjunctionMaxQuery``): a term that fits the title well is not held against an item whose description is long,
and attributes widen what can be found without swamping it. BM25 after Robertson and Zaragoza, "The Probabilistic
Relevance Framework: BM25 and Beyond", 2009, as bm25s computes it when indexing.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import bm25s
import numpy as np
import numpy.typing as npt
import Stemmer

from index.channels.channel import Need, Scored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FIELD_WEIGHTS", "TIE", "Lexical", "words"]

FIELD_WEIGHTS: Final[dict[str, float]] = {
    "title": 1.0,
    "name": 1.0,
    "description": 1.0,
    "brand": 1.0,
    "attributes": 0.7,
}
"""What each field's BM25 is multiplied by; a field that is not named here counts 1."""

TIE: Final = 0.05
K1: Final = 1.2
B: Final = 0.75

_DENSE: Final = 64
"""Items for each posting up to which scores are added up in an array over all items; beyond, sorting is quicker."""

_BITS: Final = np.int64(2**31 - 1)
_ROWS: Final = np.int64(2**32 - 1)
_FIRST: Final = np.ones(1, dtype=np.bool_)

_MOST_HELD: Final = 2_000_000
_EACH: Final = 20
"""Postings of joined terms that are kept, 16 bytes each, and what a term itself counts for."""

_Postings: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]

_WORD: Final = re.compile(r"\w+")
_STOPS: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
    ]
)


def words(text: str, stemmer: Any) -> list[str]:
    """The stems of a text's words, lower-case and without accents; English stop words are left out."""
    bare = text.lower()
    if not bare.isascii():
        plain = unicodedata.normalize("NFKD", bare)
        bare = "".join(char for char in plain if not unicodedata.combining(char))
    found = [word for word in _WORD.findall(bare) if word not in _STOPS]
    stems: list[str] = stemmer.stemWords(found)
    return stems


@dataclass(frozen=True, slots=True)
class _Field:
    """The postings of one field: for term t the rows and scores from ``starts[t]`` to ``starts[t + 1]``."""

    terms: dict[str, int]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    weight: float

    def of(self, term: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        at = self.terms.get(term)
        if at is None:
            return self.rows[:0], self.scores[:0]
        part = slice(self.starts[at], self.starts[at + 1])
        return self.rows[part], self.scores[part] * self.weight


class _Scratch(threading.local):
    """A thread's array over all items, all zero between calls: to fill a new one would cost more than a query does."""

    def __init__(self) -> None:
        self._whole = np.zeros(0)

    def over(self, items: int) -> npt.NDArray[np.float64]:
        if len(self._whole) != items:
            self._whole = np.zeros(items)
        return self._whole


@dataclass(slots=True)
class Lexical:
    """BM25 over fields; safe to share between threads after it is made.

    Attributes:
        items: How many items there are.
    """

    items: int
    _fields: list[_Field]
    _tie: float
    _stemmer: Any = field(repr=False)
    _known: dict[str, _Postings] = field(default_factory=dict, repr=False)
    _held: int = 0
    _scratch: _Scratch = field(default_factory=_Scratch, repr=False)
    name: str = "lexical"
    needs: frozenset[Need] = frozenset({"titles"})

    @classmethod
    def build(
        cls,
        fields: Mapping[str, Sequence[str]],
        *,
        weights: Mapping[str, float] = FIELD_WEIGHTS,
        tie: float = TIE,
        k1: float = K1,
        b: float = B,
        language: str = "english",
    ) -> Lexical:
        """Index the texts.

        Args:
            fields: By field the text of every item, in the items' order.
            weights: By field its weight; 0 leaves it out.
            tie: How much of the other fields' scores is added to the best one's: 0 for none, 1 for all.
            k1: BM25's saturation of repeated terms.
            b: BM25's share of length normalisation.
            language: Of the Snowball stemmer.
        """
        stemmer = Stemmer.Stemmer(language)
        made = []
        for name, texts in fields.items():
            weight = weights.get(name, 1.0)
            stems = [words(text, stemmer) for text in texts] if weight > 0 else []
            if any(stems):
                made.append(_index(stems, weight, k1, b))
        return cls(len(next(iter(fields.values()))), made, tie, stemmer)

    def answer(self, queries: Sequence[str], depth: int) -> Scored:
        """As `QueryChannel.answer`."""
        rows = np.full((len(queries), depth), -1, dtype=np.int64)
        scores = np.full((len(queries), depth), -np.inf, dtype=np.float32)
        for at, query in enumerate(queries):
            found, values = self._one(query, depth)
            rows[at, : len(found)], scores[at, : len(found)] = found, values
        return Scored(rows, scores)

    def _one(self, query: str, depth: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The ``depth`` best rows, and their scores, falling; of equal ones the first rows."""
        terms = dict.fromkeys(words(query, self._stemmer))
        per_term = [self._term(term) for term in terms] if self._fields else []
        many = sum(len(found) for found, _ in per_term)
        if not many:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows = np.concatenate([found for found, _ in per_term])
        values = np.concatenate([value for _, value in per_term])
        if self.items <= _DENSE * many:
            whole = self._scratch.over(self.items)
            np.add.at(whole, rows, values)
            parts = []
            for found, _ in per_term:
                parts.append(whole[found])
                whole[found] = 0.0  # of an item that several terms name, only the first one has the sum
            sums = np.concatenate(parts)
        else:
            rows, place = np.unique(rows, return_inverse=True)
            sums = np.bincount(place, values, minlength=len(rows)).astype(np.float64, copy=False)
        # The bits of floats from 0 rise as they do, so whole numbers order by score, then by row.
        bits = sums.astype(np.float32).view(np.int32).astype(np.int64)
        keys: npt.NDArray[np.int64] = (_BITS - bits << 32) | rows
        if len(keys) > depth:
            keys = np.partition(keys, depth)[:depth]
        keys.sort()
        keys = keys[: np.searchsorted(keys, _BITS << 32)]
        return keys & _ROWS, (_BITS - (keys >> 32)).astype(np.int32).view(np.float32)

    def _term(self, term: str) -> _Postings:
        """The items of a term over all fields, rising, and what it adds to each; kept, as words come up again and again."""
        known = self._known.get(term)
        if known is None:
            if self._held > _MOST_HELD:
                self._known, self._held = {}, 0
            self._known[term] = known = self._joined(term)
            self._held += len(known[0]) + _EACH
        return known

    def _joined(self, term: str) -> _Postings:
        parts = [(rows, scores) for rows, scores in (one.of(term) for one in self._fields) if len(rows)]
        if not parts:
            return np.empty(0, np.int64), np.empty(0)
        if len(parts) == 1:
            return parts[0][0], parts[0][1].astype(np.float64)
        rows = np.concatenate([found for found, _ in parts])
        values = np.concatenate([value for _, value in parts]).astype(np.float64)
        order = np.argsort(rows, kind="stable")
        rows, values = rows[order], values[order]
        starts = np.flatnonzero(np.concatenate([_FIRST, rows[1:] != rows[:-1]]))
        most = np.maximum.reduceat(values, starts)
        return rows[starts], most + self._tie * (np.add.reduceat(values, starts) - most)


def _index(texts: list[list[str]], weight: float, k1: float, b: float) -> _Field:
    index = bm25s.BM25(method="lucene", k1=k1, b=b)
    index.index(texts, create_empty_token=True, show_progress=False)
    held = index.scores
    return _Field(
        dict(index.vocab_dict),
        np.asarray(held["indptr"], dtype=np.int64),
        np.asarray(held["indices"], dtype=np.int64),
        np.asarray(held["data"], dtype=np.float32),
        weight,
    )
