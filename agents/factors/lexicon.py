"""The decision factors of one shop: what its titles say, found again in any title by lookup."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.errors import LexiconError
from agents.factors.kinds import Kind
from agents.factors.tokens import LONGEST_TITLE, key_of, tokens
from nearline import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["LONGEST_PHRASE", "Factor", "Lexicon", "sizes"]

LONGEST_PHRASE = 4
"""Most words of a factor."""

_FORMAT = 1
# Titles repeat; what was found in so many of them is remembered before it is all forgotten at once.
_REMEMBERED = 200_000
_UNITS = (
    "ml|cl|l|ltr|litre|liter|g|kg|mg|oz|fl oz|lb|lbs|ct|pk|pack|pc|pcs|piece|pieces|cm|mm|inch|ft|"
    "gb|tb|mb|mah|watt|hz|mp|sheet|sheets|roll|rolls|drawer|drawers|tier"
)
_SIZE = re.compile(
    rf"\b(?:(?:set|pack|box|pair|s)(?: of |/)\d{{1,3}}|\d{{1,4}}(?:[.,]\d{{1,2}})?[ -]?(?:{_UNITS}))\b",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Factor:
    """Something an item is chosen for, in the catalogue's own words.

    Attributes:
        value: the words, in lower case, as titles most often write them.
        kind: what they say of an item.
        seen: titles of the catalogue that say it.
        rarity: 0 for what every title says, towards 1 for what few say: ``log(N / seen) / log(N)``,
            the inverse document frequency (Sparck Jones 1972) over its largest value.
        top: the share of those titles that stand in one category.
    """

    value: str
    kind: Kind
    seen: int
    rarity: float
    top: float = 0.0


def sizes(title: str) -> list[tuple[int, int]]:
    """Where a title gives a size or a count in a pack ("set of 6", "500 ml", "12 ct"), as (start, end)."""
    return [match.span() for match in _SIZE.finditer(title[:LONGEST_TITLE])]


class Lexicon:
    """The factors of a shop. Made by ``agents.factors.mine`` or read from a file.

    Args:
        factors: the factors, no two with the same words.
        titles: how many titles they were counted in.
    """

    def __init__(self, factors: Iterable[Factor], titles: int) -> None:
        self.titles = titles
        self._factors = {key: factor for factor in factors if (key := key_of(factor.value))}
        self._by_value = {factor.value: factor for factor in self._factors.values()}
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._factors)

    def __iter__(self) -> Iterator[Factor]:
        return iter(self._factors.values())

    def get(self, value: str) -> Factor | None:
        """The factor with these words, however they are written."""
        return self._by_value.get(value) or self._factors.get(key_of(value))

    def find(self, title: str, brand: str = "") -> tuple[Factor, ...]:
        """The factors of an item by its title and, where the catalogue has one, its brand.

        The longest phrases win and no word serves twice; in order of the title, the brand last. Every
        value stands in the title or is the brand (``agents.factors.tokens.occurs``).
        """
        return tuple(self._search(title[:LONGEST_TITLE], brand[:LONGEST_TITLE]))

    def values(self, title: str, brand: str = "") -> tuple[str, ...]:
        """The values of ``find``, remembered: titles repeat."""
        if len(title) + len(brand) > LONGEST_TITLE:
            title, brand = title[:LONGEST_TITLE], brand[:LONGEST_TITLE]
        known = self._found.get((title, brand))
        if known is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            known = self._found[title, brand] = tuple(factor.value for factor in self._search(title, brand))
        return known

    def _search(self, title: str, brand: str) -> Iterable[Factor]:
        found: dict[str, Factor] = {}
        words = tokens(title)
        spans = sizes(title)
        at = 0
        while at < len(words):
            span = next((s for s in spans if s[0] <= words[at].start < s[1]), None)
            if span is not None:
                value = " ".join(title[slice(*span)].casefold().split())
                factor = self._factors.get(key_of(value))
                found.setdefault(value, factor or Factor(value, Kind.SIZE, 0, 0.0))
                at = next((i for i in range(at, len(words)) if words[i].start >= span[1]), len(words))
                continue
            for size in range(min(LONGEST_PHRASE, len(words) - at), 0, -1):
                factor = self._factors.get(" ".join(word.key for word in words[at : at + size]))
                if factor is not None:
                    found.setdefault(factor.value, factor)
                    at += size
                    break
            else:
                at += 1
        named = self._factors.get(key_of(brand)) if brand else None
        if named is not None:
            found.setdefault(named.value, named)
        return found.values()

    def with_factors(self, more: Iterable[Factor]) -> Lexicon:
        """The same lexicon with more factors; those it has already stay as they are."""
        merged = {key_of(factor.value): factor for factor in more}
        return Lexicon((merged | self._factors).values(), self.titles)

    def save(self, path: Path) -> None:
        """Write it as JSON; the file appears whole or not at all.

        Raises:
            LexiconError: the file cannot be written.
        """
        rows = [[f.value, f.kind.value, f.seen, round(f.top, 3)] for f in self._factors.values()]
        text = json.dumps(
            {"format": _FORMAT, "titles": self.titles, "factors": rows}, ensure_ascii=False, indent=0
        )
        try:
            with written_whole(path) as beside:
                beside.write_text(text, encoding="utf-8")
        except OSError as error:
            raise LexiconError(
                f"{path}: the lexicon cannot be written ({error}).", way_out="Choose another place."
            ) from error

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """Read what ``save`` wrote.

        Raises:
            LexiconError: the file is missing or is no lexicon; the message names the row.
        """
        way_out = "Mine it again from the catalogue."
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LexiconError(f"{path}: no lexicon can be read ({error}).", way_out=way_out) from error
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise LexiconError(f"{path}: expected a lexicon of format {_FORMAT}.", way_out=way_out)
        titles = data.get("titles")
        rows = data.get("factors")
        if not isinstance(titles, int) or not isinstance(rows, list):
            raise LexiconError(
                f"{path}: expected `titles` (a number) and `factors` (a list).", way_out=way_out
            )
        return cls([_factor(path, number, row, titles) for number, row in enumerate(rows, 1)], titles)


def rarity(seen: int, titles: int) -> float:
    """How rare a value is among ``titles`` titles, 0 to 1; see ``Factor``."""
    return math.log(titles / seen) / math.log(titles) if 0 < seen < titles else 0.0


def _factor(path: Path, number: int, row: Any, titles: int) -> Factor:
    match row:
        case [str(value), str(kind), int(seen), int() | float() as top] if kind in set(Kind):
            return Factor(value, Kind(kind), seen, rarity(seen, titles), float(top))
    raise LexiconError(
        f"{path}: factor {number} is {row!r}, expected [value, kind, seen, top].",
        way_out="Mine it again from the catalogue.",
    )
