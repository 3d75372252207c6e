"""A title as words, in any script, each with its place in the title.

Scripts that put spaces between words give words; those that put none (Chinese, Japanese, Thai and
their neighbours) give single characters, and mining finds out which of them belong together.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from agents.words import normal

__all__ = ["LONGEST_TITLE", "Token", "key_of", "occurs", "tokens"]

# No title says more than this; a text of a megabyte is not read to its end.
LONGEST_TITLE = 256

# Thai and Lao, Myanmar, Khmer, kana, Han with its extensions.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_PART = rf"[^\W_{_UNSPACED}]+"
_TOKEN = re.compile(rf"[{_UNSPACED}]|{_PART}(?:[-'\u2019.]{_PART})*")
_ONE_UNSPACED = re.compile(rf"[{_UNSPACED}]")


class Token(NamedTuple):
    """One word of a title: ``title[start:end]``.

    ``key`` is the form by which words are compared (``agents.words.normal``: without case and plural);
    ``spaced`` says whether its script puts spaces between words.
    """

    key: str
    start: int
    end: int
    spaced: bool


@lru_cache(maxsize=65_536)
def _key(word: str) -> str:
    return normal(word)


def tokens(title: str) -> list[Token]:
    """The words of a title, in order; what has neither letter nor digit is none.

    >>> [token.key for token in tokens("Set of 3 T-Light Holders, 木制")]
    ['set', 'of', '3', 't light', 'holder', '木', '制']
    """
    found = []
    for match in _TOKEN.finditer(title[:LONGEST_TITLE]):
        word = match[0]
        key = _key(word)
        if key:
            spaced = len(word) > 1 or not _ONE_UNSPACED.match(word)
            found.append(Token(key, match.start(), match.end(), spaced))
    return found


def key_of(phrase: str) -> str:
    """The form by which phrases are compared; empty if there is no word in it.

    >>> key_of("Cake-Tins"), key_of("圣诞")
    ('cake tin', '圣 诞')
    """
    return " ".join(token.key for token in tokens(phrase))


def occurs(value: str, source: str) -> bool:
    """Whether the words of ``value`` stand in ``source``, side by side and in that order.

    Case, punctuation and plural endings do not matter. A value without a word occurs nowhere.

    >>> occurs("cake tin", "Set of 3 CAKE TINS pantry design"), occurs("tin cake", "cake tins")
    (True, False)
    """
    wanted = [token.key for token in tokens(value)]
    said = [token.key for token in tokens(source)]
    size = len(wanted)
    return bool(wanted) and any(said[at : at + size] == wanted for at in range(len(said) - size + 1))
