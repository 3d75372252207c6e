"""What one can want of a catalogue, mined from its titles: a word that some items of a category share."""

from __future__ import annotations

import re
from bisect import bisect
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from stream.datasets.errors import DatasetError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

__all__ = ["Want", "Wants"]

_WORD = re.compile(r"[^\W\d_]{3,}")
_LEAST_ITEMS = 3
_MOST_ITEMS = 60
_MOST_SHARE = 0.25
_SMALL = 200


@dataclass(frozen=True, slots=True)
class Want:
    """A need that some items answer.

    Attributes:
        category: Where they stand; empty in a catalogue without categories.
        words: How a shopper says it: the word that their titles share.
        items: Ids of the items that answer it, the most popular first.
        reach: Running sum of their weights, for drawing one of them.
    """

    category: str
    words: str
    items: tuple[str, ...]
    reach: tuple[int, ...]

    def draw(self, rng: random.Random) -> str:
        """One of the items, the popular ones more often."""
        return self.items[bisect(self.reach, rng.random() * self.reach[-1])]


class Wants:
    """All wants of a catalogue, by category.

    A word makes a want where 3 to 60 items of the category share it, and at most a quarter of them: rarer words name
    one item, commoner ones the category. In a catalogue of under 200 items, one item is enough.

    Args:
        catalog: Rows with ``item_id`` and ``title``; ``category`` and ``popularity`` where there are any.

    Raises:
        DatasetError: if no title has a word.
    """

    def __init__(self, catalog: Iterable[Mapping[str, Any]]) -> None:
        by_category: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for row in catalog:
            entry = (int(row.get("popularity") or 0), str(row["item_id"]), str(row.get("title") or ""))
            by_category[str(row.get("category") or "")].append(entry)
        count = sum(len(entries) for entries in by_category.values())
        least = _LEAST_ITEMS if count >= _SMALL else 1
        self.by_category: dict[str, tuple[Want, ...]] = {}
        for category, entries in sorted(by_category.items()):
            if found := _mine(category, entries, least):
                self.by_category[category] = found
        if not self.by_category:
            raise DatasetError(
                f"Nothing can be wanted of a catalogue of {count:,} items: no word of the titles is shared by "
                f"{least} to {_MOST_ITEMS} of a category.",
                way_out="Give a catalogue with titles in words.",
            )
        self.categories = tuple(self.by_category)
        sizes = [len(by_category[category]) for category in self.categories]
        self._reach = list(accumulate(sizes))
        popular = sorted((entry for entries in by_category.values() for entry in entries), reverse=True)[:200]
        self._popular = Want(
            "",
            "",
            tuple(item for _, item, _ in popular),
            tuple(accumulate(sold + 1 for sold, _, _ in popular)),
        )

    def category(self, rng: random.Random) -> str:
        """A category, by its number of items."""
        return self.categories[bisect(self._reach, rng.random() * self._reach[-1])]

    def draw(self, rng: random.Random, category: str) -> Want:
        """A want of this category."""
        return rng.choice(self.by_category[category])

    def popular(self, rng: random.Random) -> str:
        """One of the shop's most popular items."""
        return self._popular.draw(rng)


def _mine(category: str, entries: list[tuple[int, str, str]], least: int) -> tuple[Want, ...]:
    by_word: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for sold, item, title in entries:
        for word in dict.fromkeys(_WORD.findall(title.casefold())):
            by_word[word].append((sold, item))
    most = min(_MOST_ITEMS, max(least, int(_MOST_SHARE * len(entries))))
    wants = []
    for word, found in sorted(by_word.items()):
        if least <= len(found) <= most:
            found.sort(key=lambda one: (-one[0], one[1]))
            reach = accumulate(sold + 1 for sold, _ in found)
            wants.append(Want(category, word, tuple(item for _, item in found), tuple(reach)))
    return tuple(wants)
