"""Figures and texts as people read them. All of it is used by the templates."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

__all__ = [
    "FILTERS",
    "NOTHING",
    "ago",
    "amount",
    "finalize",
    "lines",
    "millis",
    "plain",
    "rate",
    "span",
    "when",
]

# Joiners belong to how some scripts and emoji are spelled; alone they show nothing and turn nothing.
_JOINERS = frozenset("\u200c\u200d")
_LONGEST = 2_000
NOTHING = "\N{EN DASH}"
"""What stands where there is no figure."""


def plain(text: str) -> str:
    r"""``text`` with every character that hides or turns text round written as an escape.

    >>> plain("a\u202eb\x00")
    'a\\u202eb\\x00'
    """
    if text.isprintable():
        return text
    return "".join(char if _shows(char) else _escaped(char) for char in text)


def finalize(value: Any) -> Any:
    """What Jinja prints for ``value``: nothing for None, plain text for text, markup as it is."""
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return plain(value if len(value) <= _LONGEST else value[:_LONGEST] + "…")
    return value


def exact(text: str) -> Markup:
    """``text`` escaped and otherwise as it is: for values that a form sends back."""
    return escape(text)


def lines(text: str) -> Markup:
    """A text of many lines; everything but line ends and tabs is plain."""
    kept = "\n".join("\t".join(plain(part) for part in line.split("\t")) for line in text.splitlines())
    return escape(kept)


def when(ms: float | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Milliseconds since 1970 as UTC; empty for none."""
    if not ms:
        return ""
    try:
        return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime(form)
    except (OverflowError, ValueError, OSError):
        return str(ms)


def ago(ms: float | None, now: float) -> str:
    """How long ``ms`` is before ``now``, both in milliseconds."""
    if not ms:
        return "never"
    seconds = (now - ms) / 1000
    if seconds < 1:
        return "just now" if seconds > -5 else f"in {span(-seconds)}"
    return f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    left = round(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])


def amount(value: float | None) -> str:
    """A count with its thousands; large ones in short: 1,234 and 12.3 M."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if abs(value) >= 10_000_000:
        return f"{value / 1e6:,.1f} M"
    return f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Something a second."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value >= 99.5:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    return f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"


def millis(value: float | None) -> str:
    """Milliseconds in the unit that suits them."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    if value >= 1_000:
        return f"{value / 1000:.2f} s"
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def percent(share: float | None, digits: int = 0) -> str:
    """A share of one in per cent."""
    if share is None or not math.isfinite(share):
        return NOTHING
    return f"{share:.{digits}%}" if share else "0%"


def _shows(char: str) -> bool:
    return char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


FILTERS = {
    "ago": ago,
    "amount": amount,
    "exact": exact,
    "lines": lines,
    "millis": millis,
    "percent": percent,
    "rate": rate,
    "span": span,
    "when": when,
}
