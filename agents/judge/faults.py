"""How a good demand is spoilt, so that what is wrong with it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agents.judge.phrase import pieces
from agents.judge.terms import terms

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ATTRIBUTES", "copied", "leaked", "titles_with", "wrong_attribute"]

ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "colour": (
        "red", "blue", "pink", "green", "white", "black", "ivory", "purple", "yellow", "orange", "silver", "gold",
        "cream", "brown", "turquoise",
    ),
    "material": (
        "wooden", "metal", "glass", "ceramic", "paper", "felt", "wicker", "enamel", "zinc", "cotton", "porcelain",
        "acrylic", "leather", "linen", "wool",
    ),
    "size": ("mini", "small", "medium", "large", "jumbo", "giant"),
    "pattern": ("polkadot", "stripey", "floral", "retrospot", "paisley", "gingham", "spotty"),
    "occasion": ("christmas", "easter", "birthday", "wedding", "halloween"),
}  # fmt: skip
"""Kinds of attributes with their values, as shops of many sorts name them."""

_KIND: Final = {value: kind for kind, values in ATTRIBUTES.items() for value in values}
_LABELS: Final = ("usual", "bought", "viewed", "searched", "added")
_TRIES: Final = 12


def wrong_attribute(phrase: str, titles_with: Mapping[str, set[int]], chance: random.Random) -> str | None:
    """The phrase with another value of one of its attributes, or with one more, such that no title has all its words.

    Args:
        phrase: A demand that the catalogue answers.
        titles_with: By term the titles that have it.
        chance: Decides.
    """
    words = phrase.split()
    places = [at for at, word in enumerate(words) if word in _KIND]
    for _ in range(_TRIES):
        if places:
            at = chance.choice(places)
            value = chance.choice([one for one in ATTRIBUTES[_KIND[words[at]]] if one not in words])
            changed = [*words[:at], value, *words[at + 1 :]]
        else:
            kind = chance.choice(sorted(ATTRIBUTES))
            changed = [chance.choice(ATTRIBUTES[kind]), *words]
        asked = terms(" ".join(changed))
        with_all = set.intersection(*(titles_with.get(term, set()) for term in asked)) if asked else set()
        if not with_all and asked != terms(phrase):
            return " ".join(changed)
    return None


def copied(text: str, chance: random.Random) -> str:
    """A title or search as the shopper left it, or with one word fewer, or with its words turned round."""
    words = pieces(text)
    if len(words) > 4 and chance.random() < 0.5:
        words.pop(chance.randrange(len(words)))
    if chance.random() < 0.25:
        words.reverse()
    return " ".join(words)


def leaked(shown: Sequence[str], rules: str, chance: random.Random) -> str:
    """A query out of the prompt's examples, whole or a word shorter; a line's label with what followed; or of its rules."""
    kind = chance.random()
    if kind < 0.5 and shown:
        words = chance.choice(shown).split()
        if len(words) > 2:
            words.pop(chance.randrange(len(words)))
        return " ".join(words)
    if kind < 0.75 and shown:
        return f"{chance.choice(_LABELS)} {chance.choice(shown)}"
    words = rules.lower().replace(",", " ").replace(".", " ").replace(":", " ").split()
    size = chance.randint(3, 6)
    at = chance.randrange(max(1, len(words) - size))
    return " ".join(words[at : at + size])


def titles_with(titles: Iterable[str]) -> dict[str, set[int]]:
    """By term the numbers of the titles that have it."""
    found: dict[str, set[int]] = {}
    for at, title in enumerate(titles):
        for term in terms(title):
            found.setdefault(term, set()).add(at)
    return found
