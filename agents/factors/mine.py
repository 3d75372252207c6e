"""A shop's lexicon of decision factors, mined from the titles of its catalogue.

Three sources, and no model: the words whose kind is known (``seeds.json``), sizes by their pattern, and
what the titles themselves repeat. A phrase of two or three words (up to four characters where a script has no
spaces) is taken where its words come together far more often than by chance: normalised pointwise mutual
information (Bouma 2009, "Normalized (pointwise) mutual information in collocation extraction") above
a threshold, in enough titles. A word or phrase that hardly occurs outside a longer one is left to the longer
one (the nesting rule of the C-value; Frantzi, Ananiadou and Mima 2000).

The kind of a mined value follows from where it occurs: a brand if the catalogue's brands say so; a
product if most of its titles stand in one category; a theme if it runs through several; a feature where
the catalogue has no categories. That is a rule of thumb, and kinds are used as such: to say what a value
may be, never to decide.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from agents.factors.kinds import Kind, seeds
from agents.factors.lexicon import LONGEST_PHRASE, Factor, Lexicon, rarity, sizes
from agents.factors.tokens import Token, key_of, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Described", "MiningSettings", "mine"]

# Three words say a phrase; four characters say a word where a script has no spaces.
_MOST_WORDS = 3
_SHORTEST = 3
# "red retrospot" is a colour and a theme: a phrase neither begins nor ends with these, nor is made of seeds only.
_BESIDE = frozenset({Kind.COLOUR, Kind.SIZE})
_LETTER = re.compile(r"[^\W\d_]")
_BREAKS = frozenset(",;:|()[]{}/")


class Described(NamedTuple):
    """One item as its catalogue describes it; what is not known is empty."""

    title: str
    category: str = ""
    brand: str = ""


class MiningSettings(BaseModel):
    """What counts as a factor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    titles: int = Field(default=3, ge=2, description="Fewest titles that say a word for it to be a factor.")
    phrase_titles: int = Field(default=2, ge=2, description="Fewest titles that say a phrase.")
    binding: float = Field(
        default=0.35, gt=0, le=1, description="Least normalised mutual information of a phrase's words."
    )
    nested: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Share of a value's titles inside one longer phrase above which the longer one stands for it.",
    )
    product: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="Share of a value's titles in one category that makes it a product.",
    )
    most: int = Field(default=20_000, ge=1, description="Most factors kept, those in most titles first.")


@dataclass(slots=True)
class _Counts:
    """In how many titles each phrase stands, and what is known of it besides."""

    items: list[Described]
    seen: Counter[str] = field(default_factory=Counter)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    brands: set[str] = field(default_factory=set)
    sizes: set[str] = field(default_factory=set)


def mine(items: Iterable[Described], settings: MiningSettings | None = None) -> Lexicon:
    """The lexicon of a catalogue. Titles that are the same but for case and plural count once.

    The same items in any order give the same lexicon. A catalogue of ten items gives a short one: values
    that ``settings.titles`` titles say, seeds that one says, and brands.
    """
    settings = settings or MiningSettings()
    counts = _count(_distinct(items))
    chosen = {key for key, seen in counts.seen.items() if _wanted(key, seen, counts, settings)}
    chosen -= _nested(chosen, counts, settings)
    factors = _factors(chosen, counts, settings)
    factors.sort(key=lambda factor: (-factor.seen, factor.value))
    return Lexicon(factors[: settings.most], len(counts.items))


def _distinct(items: Iterable[Described]) -> list[Described]:
    """One item of those whose titles are the same word by word, in an order of its own."""
    known: dict[tuple[str, str], Described] = {}
    for item in items:
        key = key_of(item.title)
        if key:
            place = (key, item.category)
            known[place] = min(item, known.get(place, item))
    return sorted(known.values())


def _count(items: list[Described]) -> _Counts:
    counts = _Counts(items)
    for item in items:
        said = _said(item)
        for key, (_, parts) in said.items():
            counts.seen[key] += 1
            # "t-light" is one word and "t light" are two with the same key: the fewer count.
            if key not in counts.parts or len(parts) < len(counts.parts[key]):
                counts.parts[key] = parts
        counts.sizes.update(key_of(item.title[start:end]) for start, end in sizes(item.title))
        if brand := key_of(item.brand):
            counts.brands.add(brand)
    return counts


def _said(item: Described) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What an item may be chosen for: by its key the way it is written and its words."""
    said = {}
    for start, end, parts in _phrases(item.title, tokens(item.title)):
        said[" ".join(parts)] = (_plain(item.title[start:end]), parts)
    for start, end in sizes(item.title):
        written = item.title[start:end]
        said[key_of(written)] = (_plain(written), (key_of(written),))
    if brand := key_of(item.brand):
        said.setdefault(brand, (_plain(item.brand), (brand,)))
    return said


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _phrases(title: str, words: list[Token]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Every run of words that may be a factor: where it stands and the keys of its words."""
    empty = seeds().empty
    for at, first in enumerate(words):
        if first.key in empty or not _LETTER.search(first.key):
            continue
        for end in range(at + 1, min(at + LONGEST_PHRASE, len(words)) + 1):
            run = words[at:end]
            last = run[-1]
            if len(run) > _MOST_WORDS and any(word.spaced for word in run):
                break
            if any(mark in _BREAKS for mark in title[first.start : last.end]):
                break
            if last.key not in empty and _LETTER.search(last.key):
                yield first.start, last.end, tuple(word.key for word in run)


def _wanted(key: str, seen: int, counts: _Counts, settings: MiningSettings) -> bool:
    if key in counts.brands or key in seeds().kinds:
        return True
    if key in counts.sizes:
        return seen >= settings.titles
    parts = counts.parts[key]
    if len(parts) == 1:
        # A single character of a script without spaces is a syllable more often than a word.
        return seen >= settings.titles and len(key) >= _SHORTEST
    known = [seeds().kinds.get(part) for part in parts]
    if all(known) or known[0] in _BESIDE or known[-1] in _BESIDE:
        return False
    return seen >= settings.phrase_titles and _binding(parts, seen, counts) >= settings.binding


def _binding(parts: tuple[str, ...], seen: int, counts: _Counts) -> float:
    """Normalised pointwise mutual information of the loosest place to cut the phrase, -1 to 1."""
    total = len(counts.items)
    if seen >= total:
        return 1.0
    loosest = 1.0
    for cut in range(1, len(parts)):
        # A part that begins or ends with an empty word is not counted by itself; it says nothing.
        left = counts.seen[" ".join(parts[:cut])] or total
        right = counts.seen[" ".join(parts[cut:])] or total
        mutual = math.log(seen * total / (left * right))
        loosest = min(loosest, mutual / -math.log(seen / total))
    return loosest


def _nested(chosen: set[str], counts: _Counts, settings: MiningSettings) -> set[str]:
    """Mined values that hardly occur outside a longer chosen phrase."""
    inside: set[str] = set()
    for key in chosen:
        parts = counts.parts[key]
        for size in range(1, len(parts)):
            for at in range(len(parts) - size + 1):
                part = " ".join(parts[at : at + size])
                if part in chosen and counts.seen[key] >= settings.nested * counts.seen[part]:
                    inside.add(part)
    return inside - counts.brands - seeds().kinds.keys()


def _factors(chosen: set[str], counts: _Counts, settings: MiningSettings) -> list[Factor]:
    written: dict[str, Counter[str]] = {key: Counter() for key in chosen}
    categories: dict[str, Counter[str]] = {key: Counter() for key in chosen}
    for item in counts.items:
        for key, (text, _) in _said(item).items():
            if key in chosen:
                written[key][text] += 1
                if item.category:
                    categories[key][item.category] += 1
    made = []
    for key in chosen:
        seen = counts.seen[key]
        value = min(written[key].items(), key=lambda entry: (-entry[1], entry[0]))[0]
        top = max(categories[key].values(), default=0) / seen
        kind = _kind(key, top, counts, settings)
        made.append(Factor(value, kind, seen, rarity(seen, len(counts.items)), top))
    return made


def _kind(key: str, top: float, counts: _Counts, settings: MiningSettings) -> Kind:
    if key in counts.brands:
        return Kind.BRAND
    if key in counts.sizes:
        return Kind.SIZE
    known = seeds().kinds.get(key)
    if known is not None:
        return known
    if not top:
        return Kind.FEATURE
    return Kind.PRODUCT if top >= settings.product else Kind.THEME
