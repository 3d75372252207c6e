"""Titles: the short form people and prompts read, and the text the encoder reads. Both are pure.

A short title is made so:

- White space is single, and trailing punctuation goes.
- A title written in capitals throughout is set in title case; a number's unit becomes lower case
  (``22 LB`` to ``22 lb``), and acronyms and words with digits in them stay as they are.
- A word repeated right after itself is kept once.
- At most ``words`` words are kept. A cut never parts a number from its unit, nor leaves a dangling
  connective (``with``, ``and``, ``/``) or an open bracket at the end.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["TITLE_RULE", "embedding_text", "short_title"]

TITLE_RULE: Final = 1
"""Version of both rules; a catalogue built by another version counts as out of date."""

DEFAULT_WORDS: Final = 10

_UNITS: Final = re.compile(
    r"oz|fl|lbs?|g|kg|mg|ml|cl|l|lt|ltr|gal|qt|pt|ct|pk|pcs?|in|inch|ft|cm|mm|m|w|kw|v|mah|gb|mb|tb|[gmk]?hz",
    re.IGNORECASE,
)
_ACRONYMS: Final = re.compile(
    r"BBQ|CD|CPU|DDR|DVD|GPS|HDD?|HDMI|LAN|LCD|LED|PC|PVC|RAM|RFID|SS?D|TV|UK|UPS|USA|USB|VGA|WLAN|X{0,3}L"
)
_DANGLING: Final = re.compile(r"an?|and|for|in|of|on|or|the|to|with|w/|[-x&+/,|]", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d[\d.,/x]*", re.IGNORECASE)
_JOINTS: Final = re.compile(r"([/-])")
_PIECE: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


def short_title(title: str, words: int = DEFAULT_WORDS) -> str:
    """The short form of a cleaned title (see the module's rule); never empty for a title that is not.

    >>> short_title("WHITE HANGING HEART T-LIGHT HOLDER")
    'White Hanging Heart T-Light Holder'
    >>> short_title("ICE CUBED 22 LB", words=3)
    'Ice Cubed'
    """
    parts = title.split()
    if _shouting(title):
        parts = [_calm(part, parts[at - 1] if at else "") for at, part in enumerate(parts)]
    parts = [part for at, part in enumerate(parts) if not at or part.casefold() != parts[at - 1].casefold()]
    kept = parts[:words]
    if len(parts) > words and len(kept) > 1 and _unit(parts[words]) and _NUMBER.fullmatch(kept[-1]):
        kept.pop()
    while len(kept) > 1 and (_DANGLING.fullmatch(kept[-1]) or (len(parts) > words and _opens(kept[-1]))):
        kept.pop()
    return " ".join(kept).rstrip(" ,;:-/|") or title


def embedding_text(title: str, category: str | None, brand: str | None) -> str:
    """What the encoder reads of an item: the whole title, then brand and category where it lacks them.

    Whole, because a model number or a size at the end of a title is what a query may ask for.

    >>> embedding_text("Oat drink 1 l", "Milk alternatives", "Oatly")
    'Oat drink 1 l, Oatly, Milk alternatives'
    """
    folded = title.casefold()
    return ", ".join(
        [title, *(extra for extra in (brand, category) if extra and extra.casefold() not in folded)]
    )


def _shouting(title: str) -> bool:
    letters = [char for char in title if char.isalpha()]
    return len(letters) > 3 and not any(char.islower() for char in letters)


def _calm(word: str, before: str) -> str:
    if _unit(word) and _NUMBER.fullmatch(before):
        return word.lower()
    return "".join(map(_calm_piece, _JOINTS.split(word)))


def _calm_piece(piece: str) -> str:
    if any(char.isdigit() for char in piece):
        return piece
    return _PIECE.sub(
        lambda found: found[0] if _ACRONYMS.fullmatch(found[0]) else found[0].capitalize(), piece
    )


def _unit(word: str) -> bool:
    return _UNITS.fullmatch(word.rstrip(".,;)")) is not None


def _opens(word: str) -> bool:
    return word.count("(") > word.count(")") or word.count("[") > word.count("]")
