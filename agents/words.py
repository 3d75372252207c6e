"""Words compared: when two phrases ask for the same thing."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["normal", "words"]

_SHORT = 200
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text: compatibility-normalised, without case, punctuation and plural ending.

    >>> words("BATTERIES, T-Light  Holders & glasses")
    ['battery', 't', 'light', 'holder', 'glass']
    """
    return list(_known(text) if len(text) <= _SHORT else _words(text))


def normal(text: str) -> str:
    """One form for every way of writing the same phrase; empty if the text has no word."""
    return " ".join(words(text))


def _words(text: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'s", "").replace("\u2019s", "")
    return tuple([_singular(word) for word in _WORD.findall(folded)])


# Titles and queries come up again and again.
_known = lru_cache(16_384)(_words)


def _singular(word: str) -> str:
    # The S-stemmer (Harman, 1991, "How effective is suffixing?"), with the ending of "dishes" and "boxes".
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    if word.endswith("s"):
        return word[:-1]
    return word
