"""What the judge asks of the shop: its nearest items, its words, and what goes with what was bought.

The room knows no catalogue of its own; whoever has one hands in something of this shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Floats", "Near", "Shop", "Thing"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Near:
    """An item that may answer a demand.

    Attributes:
        item: Its id.
        title: Its whole title.
        category: Its category; empty where the shop has none.
        likeness: Cosine of the demand and the item's text by the shop's encoder, -1 to 1.
        popularity: Share of the shop's items that sell less, 0 to 1.
    """

    item: str
    title: str
    category: str
    likeness: float
    popularity: float


@dataclass(frozen=True, slots=True)
class Thing:
    """Something a shopper had to do with: an item, or the words of a search (``item`` empty)."""

    item: str
    text: str


class Shop(Protocol):
    """A catalogue, and what is known of buying in it. Safe to ask from several threads."""

    def near(self, queries: Sequence[str]) -> list[list[Near]]:
        """For each query the items nearest in meaning and those that share its words, in any order."""
        ...

    def rarity(self, word: str) -> float | None:
        """log(1 + items / items whose title has the word); None where no title has it.

        Words are those of ``agents.words.words``.
        """
        ...

    @property
    def rarest(self) -> float:
        """The rarity of a word that one title has."""
        ...

    def category_share(self, category: str) -> float:
        """Share of what the shop sells that is of the category, 0 to 1."""
        ...

    def likeness(self, queries: Sequence[str], things: Sequence[Thing]) -> Floats:
        """(queries, things): the cosines; NaN where a thing has no vector."""
        ...

    def affinity(self, bought: Mapping[str, float], items: Sequence[str]) -> Floats | None:
        """(items,): how much buying ``bought`` (ids with weights, 1 for the latest) speaks for each of the items.

        The share of all items that it speaks for less, 0 to 1; NaN for an item of which nothing was
        learnt. None where the shop learnt nothing of what is bought together.
        """
        ...
