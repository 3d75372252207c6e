"""A small shop that answers the judge by counting words."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agents.judge import Near, Thing
from agents.judge.terms import overlap, terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TITLES = {
    "i1": "Red retrospot lunch bag",
    "i2": "Pink polkadot lunch bag",
    "i3": "Ceramic cake stand",
    "i4": "Wooden cake tin",
    "i5": "Garden watering can",
    "i6": "Herb seeds for the garden",
    "i7": "Zinc plant pot",
    "i8": "Paper napkins rose design",
}
CATEGORY = {"i1": "bags", "i2": "bags", "i3": "kitchen", "i4": "kitchen"}


class WordShop:
    """Likeness is the overlap of words; what is bought together is told beforehand."""

    def __init__(self, together: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self.together = together
        self.asked = 0
        self._counts = Counter(word for title in TITLES.values() for word in terms(title))

    @property
    def rarest(self) -> float:
        return math.log1p(len(TITLES))

    def near(self, queries: Sequence[str]) -> list[list[Near]]:
        self.asked += 1
        return [
            [
                Near(item, title, CATEGORY.get(item, "garden"), overlap(terms(query), terms(title)), 0.5)
                for item, title in TITLES.items()
            ]
            for query in queries
        ]

    def rarity(self, word: str) -> float | None:
        count = self._counts.get(word)
        return math.log1p(len(TITLES) / count) if count else None

    def category_share(self, category: str) -> float:
        return 1 / 3

    def likeness(self, queries: Sequence[str], things: Sequence[Thing]) -> np.ndarray:
        found = [[overlap(terms(query), terms(thing.text)) for thing in things] for query in queries]
        return np.array(found, dtype=np.float32).reshape(len(queries), len(things))

    def affinity(self, bought: Mapping[str, float], items: Sequence[str]) -> np.ndarray | None:
        if self.together is None:
            return None
        scores = [
            sum(weight * self.together.get(one, {}).get(item, 0) for one, weight in bought.items())
            for item in items
        ]
        return np.array(scores, dtype=np.float32)


@pytest.fixture
def shop() -> WordShop:
    return WordShop({"i1": {"i2": 0.9, "i3": 0.2}})


@pytest.fixture
def blind_shop() -> WordShop:
    return WordShop()
