"""Titles by the fewest words that tell them apart in their catalogue.

``filigris`` stands for "filigris heart with butterfly" where no other title says filigris. A name is a choice of a title's
words, in their order, that no other title has all of; so a name is one title's and can be read back, and is still words.
"""

from __future__ import annotations

from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING, Final

from agents.token_count import estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ShortNames"]

# More words than that are hardly shorter than the title.
_MOST_WORDS: Final = 4
# A title of more words is told apart by its first ones or not at all: choices grow with the fourth power.
_LOOKED_AT: Final = 12


class ShortNames:
    """The short names of a catalogue's titles.

    Args:
        titles: All titles, as they are shown (`agents.profile.sanitise`).
        count: The length of a text in tokens of the model that will read the names.
    """

    def __init__(self, titles: Iterable[str], *, count: Callable[[str], int] = estimate) -> None:
        words = {title: list(dict.fromkeys(title.split())) for title in titles}
        having: dict[str, set[str]] = {}
        for title, own in words.items():
            for word in own:
                having.setdefault(word, set()).add(title)
        cost = {word: count(f" {word}") for word in having}
        self._short = {title: _shortest(own, having, cost) or title for title, own in words.items()}
        self._whole = {name: title for title, name in self._short.items()}

    def __len__(self) -> int:
        return len(self._short)

    def short(self, title: str) -> str:
        """The name of a title; a title that is not in the catalogue, or not to be told apart, is its own name."""
        return self._short.get(title, title)

    def whole(self, name: str) -> str:
        """The title of a name; what is no name is given back as it is."""
        return self._whole.get(name, name)


def _shortest(words: list[str], having: dict[str, set[str]], cost: dict[str, int]) -> str:
    """The cheapest of the choices of fewest words that one title alone has; empty if there is none."""
    for size in range(1, _MOST_WORDS + 1):
        alone = [
            chosen
            for chosen in combinations(words[:_LOOKED_AT], size)
            if len(reduce(set.intersection, (having[word] for word in chosen))) == 1
        ]
        if alone:
            return " ".join(min(alone, key=lambda chosen: sum(cost[word] for word in chosen)))
    return ""
