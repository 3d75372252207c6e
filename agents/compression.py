"""A year of a shopper's acts in a few hundred tokens (long-cycle compression).

Each line is a tuple *period, category, amount, quantity, decision factors* and the number of acts::

    #250504_card_22_65_3_nezha:22|glow pack:7

In the week of Monday 4 May 2025 there were 22 acts in category "card", of which purchases made an amount of 65 in 3
units; 22 acts were on items that say "nezha", 7 on items that say "glow pack". (After the
behaviour compression in the published design of the 1688 near-line recommender.)

Periods grow with age until the lines fit: weeks ``#250505``, calendar months ``#2505``, quarters ``#25q2`` with ``#old`` for
what was before, at last ``#all`` for everything (``agents.periods``). Amounts, quantities and acts
of the lines always add up to those of the history: a period's smallest categories, where there is no room
for them, are added up as ``other``. What is left out are factors, the least telling first.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from agents.factors.kinds import Kind
from agents.history import Cell, week_of, weeks_of
from agents.periods import LEVELS, Level, period
from agents.profile import sanitise
from agents.token_count import estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agents.factors import Lexicon
    from agents.history import Purchase

    _Labelled = tuple[Cell, str]

__all__ = ["OTHER", "Compressed", "CompressionSettings", "Compressor", "Line"]

OTHER = "other"
"""The category of a line that adds up the smallest ones."""

_UNKNOWN = "-"
# "#", three "_" between four fields, and one before the factors; a line's end counts as one more.
_MARKS = 6
# A period, a category and three numbers are a token each at least.
_SHORTEST = _MARKS + 5
# ":" and "|" around a factor.
_AROUND = 2
# A value that another line shows already says less: each showing halves its worth.
_AGAIN = 0.5
# A line without any factor says little: its best one goes before others' second.
_FIRST = 3.0
# An act counts half as much for a line that is this much older.
_HALF_WEEKS = 52.0
# In which size or colour something was bought says less of what is wanted than what it was.
_TELLS = {Kind.SIZE: 0.3, Kind.COLOUR: 0.6}
_PIECES_REMEMBERED = 200_000


class CompressionSettings(BaseModel):
    """How much room a shopper's history gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int = Field(default=320, ge=64, description="Most tokens of a compressed history.")
    tokens_least: int = Field(
        default=96, ge=64, description="Tokens that even a short history may take; no more than `tokens`."
    )
    tokens_per_act: float = Field(
        default=1.2, gt=0, description="Tokens granted for each act, between `tokens_least` and `tokens`."
    )
    bare: float = Field(
        default=0.35,
        gt=0,
        le=1,
        description="Share of the tokens that periods, categories and numbers may take; factors get the rest.",
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One category in one period: ``#period_category_acts_amount_quantity_factors``.

    ``amount`` is in whole units of currency, rounded; ``cents`` is exact. ``factors`` runs from the
    commonest to the rarest value, each with the number of acts that it was found in.
    """

    period: str
    category: str
    acts: int
    cents: int
    quantity: int
    factors: tuple[tuple[str, int], ...] = ()

    @property
    def amount(self) -> int:
        """What was paid, in whole units of currency."""
        return round(self.cents / 100)

    def __str__(self) -> str:
        head = f"#{self.period}_{self.category}_{self.acts}_{self.amount}_{self.quantity}"
        shown = "|".join(f"{value}:{count}" for value, count in self.factors)
        return f"{head}_{shown}" if shown else head


@dataclass(frozen=True, slots=True)
class Compressed:
    """A history in few tokens, the oldest line first.

    ``tokens`` is the length of ``text`` by the compressor's counter. ``left_out`` is the number of
    values of factors that some act had and no line shows.
    """

    lines: tuple[Line, ...]
    tokens: int
    left_out: int = 0

    @property
    def text(self) -> str:
        """The lines, one a row."""
        return "\n".join(map(str, self.lines))

    def factors(self) -> dict[str, int]:
        """The values that the lines show, with the acts counted over all lines, the commonest first."""
        counts: Counter[str] = Counter()
        for line in self.lines:
            counts.update(dict(line.factors))
        return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


class _Draft:
    """A line being filled: what it adds up, the cells it comes from, and the values chosen so far."""

    __slots__ = ("acts", "cells", "cents", "chosen", "factors", "label", "period", "quantity")

    def __init__(self, period: str, label: str) -> None:
        self.period = period
        self.label = label
        self.cells: list[Cell] = []
        self.acts = self.cents = self.quantity = 0
        self.factors: dict[str, int] = {}
        self.chosen: list[str] = []

    def add(self, cell: Cell) -> None:
        """Add up another cell."""
        self.cells.append(cell)
        self.acts += cell.acts
        self.cents += cell.cents
        self.quantity += cell.quantity

    def join(self, other: _Draft) -> None:
        """Add up all that another line adds up."""
        self.cells += other.cells
        self.acts += other.acts
        self.cents += other.cents
        self.quantity += other.quantity

    @property
    def values(self) -> int:
        """How many values of factors there are at the least."""
        return max([len(cell.factors) for cell in self.cells])

    def read_factors(self) -> None:
        """Count the cells' factors; they wait until they are needed."""
        if self.factors:
            return
        counts: dict[str, int] = {}
        for cell in self.cells:
            for value, count in cell.factors.items():
                counts[value] = counts.get(value, 0) + count
        self.factors = counts


class Compressor:
    """Compresses histories of one shop. Keeps what it learnt of words; not for several threads at once.

    Args:
        lexicon: the shop's decision factors.
        settings: the room that a history gets.
        count: the length of a text in tokens of the model that will read it. Without one the length is
            estimated, on the high side (``agents.token_count``).
    """

    def __init__(
        self,
        lexicon: Lexicon,
        settings: CompressionSettings | None = None,
        *,
        count: Callable[[str], int] = estimate,
    ) -> None:
        self._lexicon = lexicon
        self._settings = settings or CompressionSettings()
        self._count = count
        self._pieces: dict[str, int] = {}
        self._labels: dict[str, str] = {}
        self._worth: dict[str, float] = {}

    def purchases(self, lines: Iterable[Purchase], moment: int) -> Compressed:
        """The history of order lines before ``moment`` (UTC milliseconds).

        Raises:
            HistoryError: a purchase is out of all bounds.
        """
        return self.cells(weeks_of(lines, self._lexicon, moment=moment), moment)

    def cells(self, cells: Sequence[Cell], moment: int) -> Compressed:
        """The history of cells (``agents.history``) as seen at ``moment`` (UTC milliseconds).

        The same cells in any order give the same lines.
        """
        if not cells:
            return Compressed((), 0)
        now = week_of(moment)
        room = self._room(sum(cell.acts for cell in cells))
        labelled = [(cell, self._label(cell.category)) for cell in cells]
        drafted: dict[Level, list[list[_Draft]]] = {}

        def drafts_of(level: Level) -> list[_Draft]:
            # Levels that tell time alike differ in how many categories they name only.
            time = replace(level, categories=None)
            if time not in drafted:
                drafted[time] = _drafts(labelled, now, time)
            return _named(drafted[time], level.categories)

        # Coarser levels need fewer tokens, so the finest that fits is found by halving.
        finest = bisect_left(
            LEVELS, x=True, hi=len(LEVELS) - 1, key=lambda level: self._fits(drafts_of(level), room)
        )
        for level in LEVELS[finest:]:
            drafts = drafts_of(level)
            for draft in drafts:
                draft.read_factors()
            if made := self._fill(drafts, room, now):
                return made
        return self._made(drafts)

    def _room(self, acts: int) -> int:
        settings = self._settings
        return int(min(settings.tokens, max(settings.tokens_least, acts * settings.tokens_per_act)))

    def _fits(self, drafts: list[_Draft], room: int) -> bool:
        """Whether bare lines keep to their share, or all there is to say fits."""
        bare = len(drafts) * _SHORTEST
        if bare < room:
            bare = sum(map(self._bare, drafts))
        if bare <= room * self._settings.bare:
            return True
        # The cell with most factors alone may be too much to say.
        if bare + sum([draft.values for draft in drafts]) * (_AROUND + 2) > room:
            return False
        for draft in drafts:
            draft.read_factors()
        return bare + self._all_factors(drafts) <= room

    def _all_factors(self, drafts: list[_Draft]) -> int:
        return sum(self._cost(value, count) for draft in drafts for value, count in draft.factors.items())

    def _fill(self, drafts: list[_Draft], room: int, now: int) -> Compressed | None:
        """The lines with the factors that say most for their tokens; None if not even bare lines fit."""
        order = self._pick(drafts, room - sum(map(self._bare, drafts)), now)
        made = self._made(drafts)
        # Pieces were counted one by one; as one text they may come to a few tokens more.
        while made.tokens > room and order:
            over = made.tokens - room
            while over > 0 and order:
                draft = order.pop()
                value = draft.chosen.pop()
                over -= self._cost(value, draft.factors[value])
            made = self._made(drafts)
        return made if made.tokens <= room else None

    def _pick(self, drafts: list[_Draft], left: int, now: int) -> list[_Draft]:
        """Choose factors while there is room; return the drafts in the order they were chosen for."""
        queue: list[tuple[float, int, str, int]] = []
        shown: Counter[str] = Counter()
        order: list[_Draft] = []
        for at, draft in enumerate(drafts):
            fresh = 2.0 ** (-max(0, now - max([cell.week for cell in draft.cells])) / _HALF_WEEKS)
            found = []
            for value, count in draft.factors.items():
                gain = self._gain(value) * math.log2(1 + count) * fresh
                if gain > 0 and self._label(value) != _UNKNOWN:
                    found.append((-gain / self._cost(value, count), at, value, 0))
            if found:
                first = min(range(len(found)), key=found.__getitem__)
                found[first] = (found[first][0] * _FIRST, *found[first][1:])
                queue += found
        heapq.heapify(queue)
        while queue and left > _AROUND + 1:
            density, at, value, then = heapq.heappop(queue)
            times = shown[value]
            if times > then:
                heapq.heappush(queue, (density * _AGAIN ** (times - then), at, value, times))
                continue
            draft = drafts[at]
            cost = self._cost(value, draft.factors[value])
            if cost > left:
                continue
            left -= cost
            shown[value] += 1
            draft.chosen.append(value)
            order.append(draft)
        return order

    def _made(self, drafts: list[_Draft]) -> Compressed:
        lines = []
        for draft in drafts:
            counts: Counter[str] = Counter()
            for value in draft.chosen:
                counts[self._label(value)] += draft.factors[value]
            factors = tuple(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
            lines.append(Line(draft.period, draft.label, draft.acts, draft.cents, draft.quantity, factors))
        had = {value for draft in drafts for value in draft.factors}
        left_out = len(had.difference(*(draft.chosen for draft in drafts)))
        return Compressed(tuple(lines), self._count("\n".join(map(str, lines))), left_out)

    def _bare(self, draft: _Draft) -> int:
        digits = _digits(draft.acts) + _digits(round(draft.cents / 100)) + _digits(draft.quantity)
        return self._piece(draft.period) + self._piece(draft.label) + digits + _MARKS

    def _cost(self, value: str, count: int) -> int:
        return self._piece(self._label(value)) + _AROUND + _digits(count)

    def _gain(self, value: str) -> float:
        worth = self._worth.get(value)
        if worth is None:
            factor = self._lexicon.get(value)
            # A size that the catalogue does not have says nothing of a shopper.
            worth = factor.rarity * _TELLS.get(factor.kind, 1.0) if factor else 0.0
            self._worth[value] = worth
        return worth

    def _piece(self, text: str) -> int:
        size = self._pieces.get(text)
        if size is None:
            if len(self._pieces) >= _PIECES_REMEMBERED:
                self._pieces.clear()
            size = self._pieces[text] = self._count(text)
        return size

    def _label(self, text: str) -> str:
        label = self._labels.get(text)
        if label is None:
            if len(self._labels) >= _PIECES_REMEMBERED:
                self._labels.clear()
            label = self._labels[text] = sanitise(text) or _UNKNOWN
        return label


def _digits(number: int) -> int:
    return len(str(number))


def _place(cell: Cell) -> tuple[int, str]:
    return cell.week, cell.category


def _drafts(labelled: Sequence[_Labelled], now: int, level: Level) -> list[list[_Draft]]:
    """Cells, by week, added up by period and category: the oldest period first, the largest category of each first."""
    names: dict[int, str] = {}
    groups: dict[str, dict[str, _Draft]] = {}
    for cell, label in labelled:
        name = names.get(cell.week)
        if name is None:
            name = names[cell.week] = period(cell.week, now, level)
            groups.setdefault(name, {})
        # A period is met first at its oldest week.
        found = groups[name]
        draft = found.get(label)
        if draft is None:
            draft = found[label] = _Draft(name, label)
        draft.add(cell)
    return [sorted(found.values(), key=lambda draft: (-draft.acts, draft.label)) for found in groups.values()]


def _named(periods: list[list[_Draft]], categories: int | None) -> list[_Draft]:
    """The drafts of all periods; of each the largest categories by name, and one that adds up the others."""
    made: list[_Draft] = []
    for drafts in periods:
        # One category alone is not worth less under its own name.
        if categories is None or len(drafts) <= categories + 1:
            made += drafts
            continue
        named = [draft for draft in drafts if draft.label != OTHER][:categories]
        rest = _Draft(drafts[0].period, OTHER)
        for draft in drafts:
            if draft not in named:
                rest.join(draft)
        made += [*named, rest]
    return made
