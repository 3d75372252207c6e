"""What a decision factor says of an item, and the words that are known to say it.

``seeds.json`` has the words whose kind is known beforehand, a few hundred everyday ones. A shop's own
words are mined from its titles (``agents.factors.mine``) and get a kind by where they occur.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from agents.factors.tokens import key_of

__all__ = ["Kind", "Seeds", "seeds"]


class Kind(StrEnum):
    """What a factor says of an item."""

    PRODUCT = "product"
    """What the item is: a phrase that nearly always stands in one category."""
    MATERIAL = "material"
    """What it is made of."""
    COLOUR = "colour"
    """Its colour."""
    SIZE = "size"
    """How large it is or how many are in it."""
    STYLE = "style"
    """The manner it is made in."""
    THEME = "theme"
    """A motif or line that runs through several categories."""
    OCCASION = "occasion"
    """The day or season it is for."""
    AUDIENCE = "audience"
    """Whom it is for."""
    DIET = "diet"
    """What food leaves out or adds."""
    FORM = "form"
    """How it is kept, prepared, flavoured or scented."""
    BRAND = "brand"
    """Who makes it, as the catalogue says."""
    FEATURE = "feature"
    """Anything else that titles say often."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """The words known beforehand, by ``agents.factors.tokens.key_of``, and the words that mean nothing alone."""

    kinds: dict[str, Kind]
    empty: frozenset[str]


@cache
def seeds() -> Seeds:
    """The contents of ``seeds.json``."""
    data = json.loads(files("agents.factors").joinpath("seeds.json").read_text(encoding="utf-8"))
    kinds: dict[str, Kind] = {}
    for kind, words in data["kinds"].items():
        for word in words:
            # The first list that has a word decides: "gold" is a material before it is a colour.
            kinds.setdefault(key_of(word), Kind(kind))
    return Seeds(kinds, frozenset(key_of(word) for word in data["empty"]))
