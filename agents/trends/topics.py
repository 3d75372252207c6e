"""Which of the shop's categories a text speaks of, if of any."""

from __future__ import annotations

from collections import Counter
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
_COMMON: Final = 0.05


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
        words: The words that stand in the shop's titles and categories, but for those of every twentieth title.
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
        counts: Counter[str] = Counter()
        whole = 0
        for part in titles.values():
            for title in part:
                counts.update(terms(title))
                whole += 1
        rare = {word for word, count in counts.items() if count <= max(1.0, _COMMON * whole)}
        named = frozenset[str]().union(*map(terms, names))
        stacked = np.stack(centres) if centres else np.zeros((0, 1), np.float32)
        return cls(names, stacked.astype(np.float32), frozenset(rare) | named)

    def nearest(self, vectors: Vectors) -> list[tuple[str, float]]:
        """For each of n vectors (n, d) the nearest category and its cosine; ("", 0.0) without categories."""
        if not self.names:
            return [("", 0.0)] * len(vectors)
        likeness = vectors @ self.centres.T
        best = likeness.argmax(axis=1)
        return [(self.names[at], float(row[at])) for at, row in zip(best, likeness, strict=True)]

    def known(self, phrases: Iterable[str]) -> list[str]:
        """Those phrases of which at least one word is the shop's."""
        return [phrase for phrase in phrases if terms(phrase) & self.words]
