"""A shopper's history as weeks: what was bought of which category, and what it was chosen for.

A cell is one category in one week. Cells come from order lines, or from what a trigger shows of a shopper
(the weekly ledger and the recent acts); cells of two spans of time can be joined, so that a history
grows week by week without being read anew. Counts and amounts are added, never estimated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from agents.errors import HistoryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.factors import Lexicon
    from agents.shopper import LedgerLine, Shopper

__all__ = [
    "DAY_MS",
    "Cell",
    "Purchase",
    "join",
    "monday_of",
    "week_of",
    "weeks_of",
    "weeks_of_shopper",
]

DAY_MS = 86_400_000
_MONDAY = 3  # 1970-01-01 was a Thursday, three days after its week's Monday
_FIRST_MONDAY = date(1969, 12, 29)
_LAST_MS = 31_556_952_000_000  # a thousand years
_MOST = 1e12
# What we showed is no act of the shopper.
_NOT_AN_ACT = "impression"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One order line: ``quantity`` units for ``amount`` in total, at ``ts`` (UTC milliseconds)."""

    ts: int
    title: str
    category: str
    quantity: int
    amount: float
    item_id: str = ""
    brand: str = ""


@dataclass(slots=True)
class Cell:
    """One category in one week.

    Attributes:
        week: Mondays since 1970, see ``week_of``.
        category: as the catalogue writes it; empty where it is not known, as for a search.
        acts: order lines, and where a shopper's acts are known the views, searches and so on too.
        cents: what was paid, in hundredths.
        quantity: units bought.
        factors: by value, how many acts it was found in.
    """

    week: int
    category: str
    acts: int = 0
    cents: int = 0
    quantity: int = 0
    factors: dict[str, int] = field(default_factory=dict)

    def add(self, other: Cell) -> None:
        """Count another cell's contents as this one's."""
        self.acts += other.acts
        self.cents += other.cents
        self.quantity += other.quantity
        for value, count in other.factors.items():
            self.factors[value] = self.factors.get(value, 0) + count


def week_of(ts: int) -> int:
    """The week of ``ts`` (UTC milliseconds), counted in Mondays since 1970."""
    return (ts // DAY_MS + _MONDAY) // 7


def monday_of(week: int) -> date:
    """The first day of a week."""
    return _FIRST_MONDAY + timedelta(weeks=week)


def weeks_of(purchases: Iterable[Purchase], lexicon: Lexicon, *, moment: int | None = None) -> list[Cell]:
    """The cells of order lines, by week and category. Lines at or after ``moment`` are not read.

    Raises:
        HistoryError: a time, amount or quantity is out of all bounds, or no number.
    """
    cells: dict[tuple[int, str], Cell] = {}
    values = lexicon.values
    for line in purchases:
        ts, amount, quantity = line.ts, line.amount, line.quantity
        if moment is not None and ts >= moment:
            continue
        if not (-_MOST < amount < _MOST and 0 <= quantity < _MOST and 0 <= ts < _LAST_MS):
            raise HistoryError(
                f"the purchase of {line.item_id or line.title[:40]!r} at {ts} has amount {amount} "
                f"and quantity {quantity}.",
                way_out=f"Expected are a time from 1970 to 2970 in milliseconds, an amount below {_MOST:.0e} "
                "and a quantity from 0 to below that.",
            )
        place = ((ts // DAY_MS + _MONDAY) // 7, line.category)
        cell = cells.get(place)
        if cell is None:
            cell = cells[place] = Cell(*place)
        cell.acts += 1
        cell.cents += round(amount * 100)
        cell.quantity += quantity
        counts = cell.factors
        for value in values(line.title, line.brand):
            counts[value] = counts.get(value, 0) + 1
    return _in_order(cells)


def weeks_of_shopper(shopper: Shopper, lexicon: Lexicon) -> list[Cell]:
    """The cells of what a trigger shows of a shopper.

    Amounts and quantities are the ledger's. An order among the recent acts gives its factors; where
    the ledger does not know its week and category, its amount too. Other acts are counted and give their
    factors; a search has no category.

    Raises:
        HistoryError: a ledger line's week is no date ``yymmdd``.
    """
    cells: dict[tuple[int, str], Cell] = {}
    for line in shopper.ledger:
        place = (_week(line), line.category)
        cell = cells.setdefault(place, Cell(*place))
        cell.acts += line.lines
        cell.cents += round(line.amount * 100)
        cell.quantity += line.quantity
    counted = {place: cell.acts for place, cell in cells.items()}
    orders: dict[tuple[int, str], int] = {}
    for act in shopper.recent:
        if act.type == _NOT_AN_ACT or act.ts > shopper.moment:
            continue
        place = (week_of(act.ts), act.category)
        cell = cells.setdefault(place, Cell(*place))
        for value in lexicon.values(act.text):
            cell.factors[value] = cell.factors.get(value, 0) + 1
        if act.type != "order":
            cell.acts += 1
            continue
        # The ledger's own lines are these orders, and older ones that are forgotten as acts.
        orders[place] = orders.get(place, 0) + 1
        if orders[place] > counted.get(place, 0):
            cell.acts += 1
        if place not in counted:
            cell.cents += round(act.amount * 100)
            cell.quantity += act.quantity
    return _in_order(cells)


def join(*parts: Iterable[Cell]) -> list[Cell]:
    """The cells of several spans of time as one history, by week and category; the parts stay as they are."""
    cells: dict[tuple[int, str], Cell] = {}
    for part in parts:
        for cell in part:
            place = (cell.week, cell.category)
            cells.setdefault(place, Cell(*place)).add(cell)
    return _in_order(cells)


def _in_order(cells: dict[tuple[int, str], Cell]) -> list[Cell]:
    return [cells[place] for place in sorted(cells)]


def _week(line: LedgerLine) -> int:
    try:
        monday = datetime.strptime(line.week, "%y%m%d").date()  # noqa: DTZ007  # a calendar day has no zone
    except ValueError as error:
        raise HistoryError(
            f"a ledger line of {line.category!r} has the week {line.week!r}.",
            way_out="Expected is the date of a Monday as yymmdd, for example 250505.",
        ) from error
    return (monday - _FIRST_MONDAY).days // 7
