"""Which of the shop's categories a text speaks of, if of any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from agents.judge.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Encoder", "Topics"]

Vectors = npt.NDArray[np.float32]

_TITLES: Final = 40


class Encoder(Protocol):
    """Turns texts into unit vectors whose inner product is their likeness."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Encode n texts into (n, d)."""
        ...


@dataclass(frozen=True, slots=True)
class Topics:
    """The categories of a shop, as vectors and as words.

    Attributes:
        names: The categories.
        centres: (categories, d) the unit mean of each name's vector and those of titles of its items.
        words: The words that stand in the shop's titles and categories.
    """

    names: tuple[str, ...]
    centres: Vectors
    words: frozenset[str]

    @classmethod
    def of(cls, titles: Mapping[str, Sequence[str]], encoder: Encoder) -> Self:
        """From the titles of each category, the most important first; at most forty of each are encoded."""
        names = tuple(sorted(titles))
        centres = []
        for name in names:
            vectors = encoder.encode([name, *titles[name][:_TITLES]])
            middle = vectors[0] + vectors.mean(axis=0)
            centres.append(middle / max(float(np.linalg.norm(middle)), 1e-9))
        sold = frozenset(word for part in titles.values() for title in part for word in terms(title))
        named = frozenset[str]().union(*map(terms, names))
        stacked = np.stack(centres) if centres else np.zeros((0, 1), np.float32)
        return cls(names, stacked.astype(np.float32), sold | named)

    def nearest(self, vectors: Vectors) -> list[tuple[str, float]]:
        """For each of n vectors (n, d) the nearest category and its cosine; ("", 0.0) without categories."""
        if not self.names:
            return [("", 0.0)] * len(vectors)
        likeness = vectors @ self.centres.T
        best = likeness.argmax(axis=1)
        return [(self.names[at], float(row[at])) for at, row in zip(best, likeness, strict=True)]

    def known(self, phrases: Iterable[str]) -> list[str]:
        """The phrases cut after their last word that is the shop's, where two words are left; each once.

        What a description is of stands last in it, so what follows the shop's own word is another matter: of "mushroom lamps
        everywhere" the lamps are left, while a word in front, new to the shop, stays.
        """
        found = []
        for phrase in phrases:
            words = phrase.split()
            while words and not terms(words[-1]) & self.words:
                words.pop()
            if len(words) > 1:
                found.append(" ".join(words))
        return list(dict.fromkeys(found))
