"""Words compared: when two phrases ask for the same thing."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

__all__ = ["bag", "normal", "words", "written"]

_SHORT = 200
_WORD = re.compile(r"[^\W_]+")


class _Read(NamedTuple):
    """A text as it is compared: its words, the same joined, and the same sorted."""

    words: tuple[str, ...]
    normal: str
    bag: tuple[str, ...]


def words(text: str) -> list[str]:
    """The words of a text: compatibility-normalised, without case, punctuation and plural ending.

    >>> words("BATTERIES, T-Light  Holders & glasses")
    ['battery', 't', 'light', 'holder', 'glass']
    """
    return list((_known if len(text) <= _SHORT else _read)(text).words)


def normal(text: str) -> str:
    """One form for every way of writing the same phrase; empty if the text has no word."""
    return (_known if len(text) <= _SHORT else _read)(text).normal


def bag(text: str) -> tuple[str, ...]:
    """The words of a text in the order of the alphabet: the same for two phrases that differ in the order of words alone."""
    return (_known if len(text) <= _SHORT else _read)(text).bag


def written(text: str) -> dict[str, str]:
    """The words of a text, each with how it is written there: without case and punctuation, with its ending.

    >>> written("Paper Lanterns")
    {'paper': 'paper', 'lantern': 'lanterns'}
    """
    return {_singular(word): word for word in _written(text)}


def _written(text: str) -> list[str]:
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _WORD.findall(plain.casefold().replace("'s", "").replace("\u2019s", ""))


def _read(text: str) -> _Read:
    found = tuple([_singular(word) for word in _written(text)])
    return _Read(found, " ".join(found), tuple(sorted(found)))


# Titles and queries come up again and again, and their words in others.
_known = lru_cache(16_384)(_read)


@lru_cache(16_384)
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
