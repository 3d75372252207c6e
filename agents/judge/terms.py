"""The words of a demand that say what is wanted, and how two phrases overlap in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.words import words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["overlap", "share", "terms"]

_SAYS_NOTHING = frozenset(
    [
        "a",
        "an",
        "and",
        "assorted",
        "at",
        "by",
        "design",
        "for",
        "from",
        "in",
        "of",
        "on",
        "or",
        "pack",
        "pc",
        "set",
        "the",
        "to",
        "with",
    ]
)


def terms(text: str) -> frozenset[str]:
    """The words of a text but for articles, prepositions, numbers and single letters.

    >>> sorted(terms("Set of 3 cake tins, pantry design"))
    ['cake', 'pantry', 'tin']
    """
    return frozenset(
        word for word in words(text) if len(word) > 1 and not word.isdigit() and word not in _SAYS_NOTHING
    )


def overlap(asked: Collection[str], known: Collection[str]) -> float:
    """How near two sets of words are to being one: the shared ones, twice, by all of both (Dice 1945); 0 to 1."""
    both = len(set(asked) & set(known))
    return 2.0 * both / (len(asked) + len(known)) if both else 0.0


def share(asked: Collection[str], known: Collection[str], weight: Mapping[str, float]) -> float:
    """The weight of those asked words that are known, by the weight of all asked; 0 to 1, 0 for no words."""
    whole = sum(weight[word] for word in asked)
    return sum(weight[word] for word in asked if word in known) / whole if whole else 0.0
