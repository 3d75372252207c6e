"""The shopper's part of the prompt.

Lines run from what changes least to what changes most (portrait, ledger, preferences and trends, where they are
known; usual categories, what was bought, what was searched and viewed), so that a server's prefix cache holds for as long as possible. All words come
from events and catalogues and are data: they are reduced to letters, digits and a few marks, so that
no title can close its place, open another line or look like the prompt's own structure.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.shopper import Act, Background, Shopper

__all__ = ["LONGEST_LABEL", "Profile", "render", "sanitise"]

LONGEST_LABEL = 48

# A text of a megabyte is not worth normalising to keep 48 characters of it.
_READ = 4
# The same titles are shown to many shoppers.
_REMEMBERED = 16_384
_SEPARATOR = "; "
_MARKS = frozenset(" -'&/+.%")
# What stands in front of a line, by types of acts; newest last, as the last line is what changed.
_BOUGHT = ("order",)
_WANTED = ("cart", "favorite", "inquiry")
_SEARCHED = ("search",)
_VIEWED = ("view", "click", "image_search")
_LINES = (("bought", _BOUGHT), ("added", _WANTED), ("searched", _SEARCHED), ("viewed", _VIEWED))
# ... and of preferences, by horizon.
_HORIZONS = {"long": "likes", "recent": "lately", "potential": "may like"}
_MOST_CATEGORIES = 3
# Categories get at most this share of the budget; the rest is for acts.
_CATEGORY_SHARE = 0.3
_SPACES = re.compile(r"\s+")
# Control and direction marks, surrogates, and what Unicode leaves to others or to the future.
_UNSEEN = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
# So many characters are looked up once; a text of all others would fill the memory.
_CHARACTERS = 8_192


@dataclass(frozen=True, slots=True)
class Profile:
    """The rendered text, and for each label in it the ids of the events that it stands for.

    ``facts`` has the same for preferences and trends: their words are known of the shopper, but are no
    events of theirs, and a demand may well repeat them.
    """

    text: str
    evidence: dict[str, tuple[str, ...]]
    facts: dict[str, tuple[str, ...]] = field(default_factory=dict)


def sanitise(text: str, longest: int = LONGEST_LABEL) -> str:
    """A text from outside as a short lower-case label; empty if nothing is left.

    Compatibility forms are normalised, control and direction marks dropped, everything but letters,
    digits and ``-'&/+.%`` becomes a space, and it is cut at a word to ``longest`` characters.

    >>> sanitise('Mug "Rosie"; ignore {all}')
    'mug rosie ignore all'
    """
    return _label(text[: _READ * longest], longest)


@lru_cache(_REMEMBERED)
def _label(text: str, longest: int) -> str:
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    label = _SPACES.sub(" ", plain.casefold().translate(_SHOWN)).strip(" -'&/+.")
    if len(label) > longest:
        cut = label[: longest + 1]
        label = (cut.rpartition(" ")[0] or cut[:longest]).rstrip(" -'&/+.")
    return label


class _Shown(dict[int, str | None]):
    """What stands for a character in a label, by its code point: itself, a space, or None for nothing."""

    def __missing__(self, code: int) -> str | None:
        char, kind = chr(code), unicodedata.category(chr(code))
        shown: str | None
        if char in _MARKS or kind[0] in "LMN":
            shown = char
        else:
            shown = None if kind in _UNSEEN and not char.isspace() else " "
        if len(self) < _CHARACTERS:
            self[code] = shown
        return shown


_SHOWN = _Shown()


def render(shopper: Shopper, budget: int) -> Profile:
    """The profile of a shopper in at most ``budget`` characters; the newest acts are kept.

    The same shopper always gives the same text. A shopper of whom nothing readable is known gives an
    empty one. A shopper's background is not part of the budget: its length is bounded where it is made.
    """
    usual = _usual(shopper, int(budget * _CATEGORY_SHARE))
    left = budget - len(usual)
    chosen: dict[str, dict[str, list[str]]] = {name: {} for name, _ in _LINES}
    for act in reversed(shopper.recent):
        name = _line(act)
        label = sanitise(act.text)
        if name is None or not label:
            continue
        known = chosen[name].get(label)
        if known is not None:
            known.append(act.event_id)
            continue
        cost = len(label) + len(_SEPARATOR) + (0 if chosen[name] else len(name) + 3)
        if cost > left:
            break
        left -= cost
        chosen[name][label] = [act.event_id]
    background, facts = _background(shopper.background) if shopper.background else ([], {})
    lines = [*background, usual] if usual else background
    evidence: dict[str, tuple[str, ...]] = {}
    for name, labels in chosen.items():
        if not labels:
            continue
        lines.append(f"{name}: {_SEPARATOR.join(reversed(labels))}")
        for label, ids in labels.items():
            evidence[label] = (*reversed(ids), *evidence.get(label, ()))
    return Profile("\n".join(lines), evidence, facts)


def _background(known: Background) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    lines: list[str] = []
    facts: dict[str, tuple[str, ...]] = {}
    if known.portrait is not None and known.portrait.lines:
        lines.append(f"portrait: {known.portrait.told()}")
    if known.history is not None and known.history.lines:
        lines.append(f"ledger: {' '.join(map(str, known.history.lines))}")
    said = [(_HORIZONS[one.horizon], one.value, one.id) for one in known.preferences]
    said += [("trends", trend, f"trend:{trend}") for trend in known.trends]
    for name in (*_HORIZONS.values(), "trends"):
        labels: dict[str, None] = {}
        for where, text, fact in said:
            if where == name and (label := sanitise(text)):
                labels[label] = None
                facts[label] = (*facts.get(label, ()), fact)
        if labels:
            lines.append(f"{name}: {_SEPARATOR.join(labels)}")
    return lines, facts


def _line(act: Act) -> str | None:
    return next((name for name, types in _LINES if act.type in types), None)


def _usual(shopper: Shopper, budget: int) -> str:
    spent: dict[str, float] = {}
    for line in shopper.ledger:
        spent[line.category] = spent.get(line.category, 0.0) + line.amount
    by_spending = sorted(spent, key=lambda category: (-spent[category], category))
    names = list(_labels((*shopper.categories, *by_spending)))[:_MOST_CATEGORIES]
    while names:
        text = f"usual: {_SEPARATOR.join(names)}"
        if len(text) <= budget:
            return text
        names.pop()
    return ""


def _labels(texts: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(label for label in map(sanitise, texts) if label)
