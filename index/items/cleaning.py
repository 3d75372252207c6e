"""What text of a catalogue may look like, and how it is made so.

The rule, in order:

1. Text longer than its cap, as it stands in the file, is refused before anything else is done to it.
2. Half of a surrogate pair (which no UTF-8 file can hold, but a JSON escape can) is refused.
3. Line ends, tabs and every other kind of white space become one space; the ends are trimmed.
4. Other control characters, and the invisible marks that reorder or hide text (bidirectional
   overrides and isolates, zero-width space, byte order mark), are removed. The zero-width joiners stay:
   emoji, Persian and Hindi need them.
5. The rest is brought to Unicode's composed form (NFC), so equal titles are equal bytes.

An item's id is never altered, because events name it; one that would need cleaning is refused.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["clean_text", "strict_id"]

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def clean_text(value: object, cap: int) -> str:
    """Clean one text by the rule of this module.

    Args:
        value: What the file holds.
        cap: The most characters it may have.

    Raises:
        ValueError: If it is no text, longer than ``cap``, or holds half a surrogate pair.
    """
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {_kind(value)}")  # noqa: TRY004 - pydantic collects ValueError only
    if len(value) > cap:
        raise ValueError(f"more than {cap} characters")
    if _SURROGATE.search(value):
        raise ValueError("half a surrogate pair, which is no character")
    return unicodedata.normalize("NFC", " ".join(_INVISIBLE.sub("", value).split()))


def strict_id(value: object, cap: int) -> str:
    """Accept an id as it is: a text, or a whole number written as one.

    Raises:
        ValueError: If it is neither, empty, longer than ``cap``, or would need cleaning.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"expected text or a whole number, found {_kind(value)}")  # noqa: TRY004 - as above
    if not value:
        raise ValueError("empty")
    if len(value) > cap:
        raise ValueError(f"more than {cap} characters")
    if _INVISIBLE.search(value) or _SURROGATE.search(value) or " ".join(value.split()) != value:
        raise ValueError("control characters, or white space other than single spaces inside")
    return value


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
