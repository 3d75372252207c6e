"""The text that a student reads and writes, and the pieces of it that are one token each.

What it reads is what `agents.profile.render` prints, between the student's prompt and the opening of the answer; what
it writes is the JSON of `agents.structured.queries`::

    shop

    bought: red retrospot cake stand; jumbo bag pink polkadot
    viewed: party bunting
    next: {"queries":["spotty bunting","paper chain kit vintage christmas"]}

Every byte between two phrases is one token, so that a form costs a small model nothing to learn and a phrase cannot
fall apart at its quotes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agents.profile import sanitise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BETWEEN",
    "CLOSE",
    "END",
    "FIXED",
    "JOIN",
    "LINES",
    "NEW_LINE",
    "NEXT",
    "OPEN",
    "PAD",
    "PROMPT",
    "START",
    "answer",
    "labels",
    "phrases",
    "question",
]

PROMPT: Final = "u2q-student-1"
"""The prompt that students are trained for (`agents.prompts`)."""

PAD: Final = "<pad>"
END: Final = "<end>"
START: Final = "shop\n\n"
LINES: Final = ("usual: ", "bought: ", "added: ", "searched: ", "viewed: ")
NEW_LINE: Final = "\n"
JOIN: Final = "; "
NEXT: Final = "\nnext: "
OPEN: Final = '{"queries":["'
BETWEEN: Final = '","'
CLOSE: Final = '"]}'

FIXED: Final = (PAD, END, START, *LINES, NEW_LINE, JOIN, NEXT, OPEN, BETWEEN, CLOSE)
"""Everything that is one token whatever the catalogue; PAD and END are no text."""

_LINE: Final = re.compile(r"^(?:usual|bought|added|searched|viewed): ")


def phrases(titles: Iterable[str]) -> dict[str, None]:
    """The phrases of titles, each once, in the order of the titles; titles without a readable letter have none."""
    return dict.fromkeys(phrase for title in titles if (phrase := sanitise(title)))


def question(profile: str) -> str:
    """Everything before the first phrase of the answer."""
    return f"{START}{profile}{NEXT}{OPEN}"


def answer(written: Sequence[str]) -> str:
    """The answer with these phrases."""
    return f"{OPEN}{BETWEEN.join(written)}{CLOSE}"


def labels(profile: str) -> frozenset[str]:
    """The phrases that a profile holds, whatever their line but the usual categories."""
    found = []
    for line in profile.split(NEW_LINE):
        head = _LINE.match(line)
        if head and head[0] != LINES[0]:
            found += line[head.end() :].split(JOIN)
    return frozenset(found)
