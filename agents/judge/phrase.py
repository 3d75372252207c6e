"""A title in a shopper's words: shorter, in lower case, now and then with another word for the same thing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agents.judge.terms import terms

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

__all__ = ["pieces", "shortened"]

_SAME: Final = {
    "christmas": "xmas",
    "children": "kids",
    "childrens": "kids",
    "colour": "color",
    "grey": "gray",
    "jewellery": "jewelry",
    "large": "big",
    "small": "little",
    "wooden": "wood",
    "spotty": "dotted",
    "polkadot": "polka dot",
    "retrospot": "retro spot",
    "photo": "picture",
    "mini": "tiny",
    "jumbo": "extra large",
    "hanging": "to hang",
    "teatowel": "tea towel",
    "doormat": "door mat",
    "handbag": "hand bag",
    "necklace": "neck chain",
}
_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_OTHER_WORD: Final = 0.5
_TURNED: Final = 0.15


def pieces(title: str) -> list[str]:
    """The words of a title that say something, in its order and lower case, each once."""
    return [word for word in dict.fromkeys(_WORD.findall(title.lower())) if terms(word)]


def shortened(title: str, chance: random.Random, *, needed: Collection[str] = ()) -> str:
    """Two to four of a title's words.

    Args:
        title: The item's title.
        chance: Decides which words, whether they change places, and whether one is said otherwise.
        needed: Terms of which at least one stays as it is, where the title has it.
    """
    words = pieces(title)
    if len(words) > 2:
        size = chance.randint(2, min(4, len(words) - 1))
        must = [at for at, word in enumerate(words) if terms(word) & set(needed)]
        kept = {chance.choice(must)} if must else set()
        while len(kept) < size:
            kept.add(chance.randrange(len(words)))
        words = [words[at] for at in sorted(kept)]
        held = [words.index(word) for word in words if terms(word) & set(needed)][:1]
    else:
        held = [at for at, word in enumerate(words) if terms(word) & set(needed)][:1]
    for at, word in enumerate(words):
        if at not in held and word in _SAME and chance.random() < _OTHER_WORD:
            words[at] = _SAME[word]
    if chance.random() < _TURNED:
        words.reverse()
    return " ".join(words)
