"""Words that match: BM25 over several fields, each query term counted in the field it fits best.

A term's score for an item is the largest of its BM25 scores over the fields, plus `tie` times the others; a query's
score is the sum over its terms. That is the disjunction-maximum query of search engines (Lucene's
``DisjunctionMaxQuery``): a term that fits the title well is not held against an item whose description is long,
and attributes widen what can be found without swamping it. BM25 after Robertson and Zaragoza, "The Probabilistic
Relevance Framework: BM25 and Beyond", 2009, as bm25s computes it when indexing.
"""

from __future__ import annotations

import re
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
    plain = unicodedata.normalize("NFKD", text.lower())
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
            found, values = self._one(query)
            if len(found) > depth:
                edge = np.partition(values, len(values) - depth)[len(values) - depth]
                near = values >= edge
                found, values = found[near], values[near]
            # Rows rise, so a stable sort puts equal ones in their order.
            order = np.argsort(-values, kind="stable")[:depth]
            rows[at, : len(order)], scores[at, : len(order)] = found[order], values[order]
        return Scored(rows, scores)

    def _one(self, query: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        terms = dict.fromkeys(words(query, self._stemmer))
        per_term = [self._term(term) for term in terms] if self._fields else []
        if not per_term:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if self.items <= _DENSE * sum(len(found) for found, _ in per_term):
            whole = np.zeros(self.items)
            for found, value in per_term:
                whole[found] += value  # a term names an item once
            unique = np.flatnonzero(whole)
            return unique, whole[unique].astype(np.float32)
        rows = np.concatenate([found for found, _ in per_term])
        values = np.concatenate([value for _, value in per_term])
        unique, place = np.unique(rows, return_inverse=True)
        return unique, np.bincount(place, values, minlength=len(unique)).astype(np.float32)

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
        parts = [one.of(term) for one in self._fields]
        rows = np.concatenate([found for found, _ in parts])
        values = np.concatenate([value for _, value in parts]).astype(np.float64)
        if not len(rows):
            return rows, values
        order = np.argsort(rows, kind="stable")
        rows, values = rows[order], values[order]
        starts = np.flatnonzero(np.r_[True, np.diff(rows) != 0])
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
