"""Words compared: when two phrases ask for the same thing."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normal", "words"]

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text: compatibility-normalised, without case, punctuation and plural ending.

    >>> words("BATTERIES, T-Light  Holders & glasses")
    ['battery', 't', 'light', 'holder', 'glass']
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'s", "").replace("\u2019s", "")
    return [_singular(word) for word in _WORD.findall(folded)]


def normal(text: str) -> str:
    """One form for every way of writing the same phrase; empty if the text has no word."""
    return " ".join(words(text))


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
