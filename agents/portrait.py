"""Who a shopper is, in facts that code computes: categories, kind of buyer, price band, cadence, intent.

A portrait is made anew when the ledger has moved (``ledger_mark``), not at every trigger. A language model may
word its last line (``agents.portrait_wording``); the facts are never its.

The kind of buyer follows the first rule that holds (``PortraitSettings`` has the numbers):

- *unknown*: fewer than ``least_lines`` order lines.
- *event*: at least ``event_share`` of the acts are on items for one occasion, or all purchases lie within
  ``event_days`` and make many units of few lines.
- *shop*: buys to sell again. The middle line is of at least ``shop_quantity`` units, on several days.
- *drop-shipper*: sells first and buys then. Small orders (middle order of at most two lines, middle line of one or two
  units) at least every ``drop_days`` days on average, over many categories, and seldom the same title twice. Not told
  from weekly cells, which have no single lines.
- *regular*: buys for itself, on at least ``regular_days`` days.
- *personal*: buys for itself, now and then.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

from agents.factors.kinds import Kind
from agents.history import DAY_MS, week_of, weeks_of
from agents.price_bands import Band, PriceBands
from agents.profile import sanitise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agents.factors import Lexicon
    from agents.history import Cell, Purchase
    from agents.shopper import LedgerLine

__all__ = [
    "CODE",
    "Buyer",
    "Portrait",
    "PortraitSettings",
    "ledger_mark",
    "portrait_of",
    "portrait_of_cells",
    "refreshed",
]

CODE: Final = "code"
"""Who worded a portrait that no language model has worded."""

_MOST_CATEGORIES = 3
_MOST_INTENTS = 3


class Buyer(StrEnum):
    """What kind of buyer a shopper is."""

    SHOP = "shop"
    """Buys in quantity to sell again."""
    DROP_SHIPPER = "drop-shipper"
    """Buys single pieces often, after having sold them."""
    EVENT = "event"
    """Buys for one occasion."""
    REGULAR = "regular"
    """Buys for itself, again and again."""
    PERSONAL = "personal"
    """Buys for itself, now and then."""
    UNKNOWN = "unknown"
    """Has bought too little to say."""


class PortraitSettings(BaseModel):
    """The numbers in the rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least_lines: int = Field(default=3, ge=1, description="Order lines below which a buyer is unknown.")
    event_share: float = Field(
        default=0.6, gt=0, le=1, description="Share of acts for one occasion that makes a buyer for an event."
    )
    event_days: int = Field(default=14, ge=1, description="Days within which a buyer for an event buys all.")
    event_quantity: float = Field(
        default=12, gt=1, description="Units of the middle line of a buyer for an event."
    )
    event_lines: int = Field(default=12, ge=1, description="Most order lines of a buyer for an event.")
    shop_quantity: float = Field(default=4, gt=1, description="Units of the middle line of a shop.")
    drop_days: float = Field(default=7, gt=0, description="Most days between purchases of a drop-shipper.")
    drop_categories: int = Field(default=6, ge=1, description="Fewest categories of a drop-shipper.")
    drop_again: float = Field(
        default=0.3, ge=0, le=1, description="Most of a drop-shipper's order lines that repeat a title."
    )
    regular_days: int = Field(default=12, ge=2, description="Days with a purchase that make a buyer regular.")


@dataclass(frozen=True, slots=True)
class Portrait:
    """Facts of a shopper.

    Attributes:
        mark: what the ledger was when it was made, see ``ledger_mark``.
        buyer: the kind of buyer.
        categories: the main ones with their share of the acts, the largest first.
        band: the price band.
        cadence_days: middle number of days between days with a purchase; None with fewer than two.
        days: days (weeks, where only the ledger is known) with a purchase.
        lines: acts that the facts rest on.
        intent: what the shopper is mostly after, as main factors by category; words of the catalogue.
        wording: the core intent in a sentence, by code or by a language model.
        worded_by: ``code``, or the model's name.
    """

    mark: str
    buyer: Buyer
    categories: tuple[tuple[str, float], ...]
    band: Band
    cadence_days: float | None
    days: int
    lines: int
    intent: tuple[str, ...]
    wording: str
    worded_by: str = CODE

    def told(self) -> str:
        """The facts and, where a language model has worded them, its words; the code's wording would only repeat them."""
        return self.facts() if self.worded_by == CODE else f"{self.facts()}; {self.wording}"

    def facts(self) -> str:
        """The facts in one line, as a model reads them."""
        parts = [f"{self.buyer} buyer"]
        if self.categories:
            parts.append(", ".join(f"{sanitise(name)} {share:.0%}" for name, share in self.categories))
        if self.band is not Band.UNKNOWN:
            parts.append(f"{self.band} prices")
        if self.cadence_days is not None:
            parts.append(f"every {round(self.cadence_days)} days")
        if self.intent:
            parts.append(f"after {', '.join(map(sanitise, self.intent))}")
        return "; ".join(parts)


def ledger_mark(ledger: Sequence[LedgerLine]) -> str:
    """A short hash of a ledger: the same lines, in whatever order, give the same mark."""
    return _mark(f"{line.week}\x1f{line.category}\x1f{line.amount:.2f}\x1f{line.quantity}" for line in ledger)


def refreshed(known: Portrait | None, mark: str, make: Callable[[], Portrait]) -> Portrait:
    """The known portrait while the ledger's mark is still its own, else the one that ``make`` makes."""
    if known is not None and known.mark == mark:
        return known
    return replace(make(), mark=mark)


def portrait_of(
    lines: Sequence[Purchase],
    lexicon: Lexicon,
    moment: int,
    *,
    bands: PriceBands | None = None,
    settings: PortraitSettings | None = None,
) -> Portrait:
    """The portrait from order lines before ``moment`` (UTC milliseconds).

    Raises:
        HistoryError: a purchase is out of all bounds.
    """
    settings = settings or PortraitSettings()
    before = [line for line in lines if line.ts < moment]
    cells = weeks_of(before, lexicon)
    days = sorted({line.ts // DAY_MS for line in before})
    sizes = Counter(line.ts // DAY_MS for line in before)
    prices = [(line.category, line.amount / line.quantity) for line in before if line.quantity]
    seen = _Seen(
        lines=len(before),
        quantity=median([line.quantity for line in before]) if before else 0,
        order=median(sizes.values()) if sizes else 0,
        days=days,
        by_occasion=_occasion(cells, lexicon),
        again=1 - len({line.title for line in before}) / len(before) if before else 1.0,
    )
    mark = _mark_of_cells(cells)
    return _portrait(mark, cells, seen, (bands or PriceBands(())).band(prices), lexicon, settings)


def portrait_of_cells(
    cells: Sequence[Cell],
    lexicon: Lexicon,
    moment: int,
    *,
    bands: PriceBands | None = None,
    settings: PortraitSettings | None = None,
) -> Portrait:
    """The portrait from weekly cells, where single order lines are not known.

    A week then stands for a day with a purchase, and a cell's mean for its lines' quantities and prices;
    only cells with purchases count.
    """
    settings = settings or PortraitSettings()
    bought = [cell for cell in cells if cell.quantity > 0 and cell.week <= week_of(moment)]
    weeks = sorted({cell.week for cell in bought})
    by_week = Counter[int]()
    for cell in bought:
        by_week[cell.week] += max(1, cell.acts)
    prices = [(cell.category, cell.cents / 100 / cell.quantity) for cell in bought]
    seen = _Seen(
        lines=sum(max(1, cell.acts) for cell in bought),
        quantity=median([cell.quantity / max(1, cell.acts) for cell in bought]) if bought else 0,
        order=median(by_week.values()) if by_week else 0,
        days=[7 * week for week in weeks],
        by_occasion=_occasion(bought, lexicon),
    )
    return _portrait(
        _mark_of_cells(bought), bought, seen, (bands or PriceBands(())).band(prices), lexicon, settings
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the rules for the kind of buyer look at.

    ``days`` are counted since 1970; ``again`` is the share of lines that repeat a title, 1 where titles are not known.
    """

    lines: int
    quantity: float
    order: float
    days: list[int]
    by_occasion: float
    again: float = 1.0


def _portrait(
    mark: str, cells: Sequence[Cell], seen: _Seen, band: Band, lexicon: Lexicon, settings: PortraitSettings
) -> Portrait:
    acts: Counter[str] = Counter()
    for cell in cells:
        acts[cell.category] += max(1, cell.acts)
    total = sum(acts.values())
    ranked = sorted((name for name in acts if name), key=lambda name: (-acts[name], name))
    categories = tuple((name, acts[name] / total) for name in ranked[:_MOST_CATEGORIES])
    gaps = [later - day for day, later in zip(seen.days, seen.days[1:], strict=False)]
    cadence = float(median(gaps)) if gaps else None
    buyer = _buyer(seen, len(acts), settings)
    intent = _intent(cells, lexicon)
    wording = " ".join(filter(None, (_VERB[buyer], ", ".join(intent or ranked[:1]))))
    return Portrait(mark, buyer, categories, band, cadence, len(seen.days), seen.lines, intent, wording)


_VERB = {
    Buyer.SHOP: "restocks",
    Buyer.DROP_SHIPPER: "orders for customers",
    Buyer.EVENT: "buys for one occasion",
    Buyer.REGULAR: "keeps buying",
    Buyer.PERSONAL: "buys",
    Buyer.UNKNOWN: "looks at",
}


def _buyer(seen: _Seen, categories: int, settings: PortraitSettings) -> Buyer:
    if seen.lines < settings.least_lines:
        return Buyer.UNKNOWN
    span = seen.days[-1] - seen.days[0]
    at_once = span < settings.event_days and seen.lines <= settings.event_lines
    if seen.by_occasion >= settings.event_share or (at_once and seen.quantity >= settings.event_quantity):
        return Buyer.EVENT
    if seen.quantity >= settings.shop_quantity and len(seen.days) > 1:
        return Buyer.SHOP
    often = len(seen.days) > 3 and span / (len(seen.days) - 1) <= settings.drop_days
    singly = seen.order <= 2 and seen.quantity <= 2 and seen.again <= settings.drop_again
    if often and singly and categories >= settings.drop_categories:
        return Buyer.DROP_SHIPPER
    return Buyer.REGULAR if len(seen.days) >= settings.regular_days else Buyer.PERSONAL


def _occasion(cells: Sequence[Cell], lexicon: Lexicon) -> float:
    """The share of acts that are for the commonest occasion."""
    counts: Counter[str] = Counter()
    for cell in cells:
        for value, count in cell.factors.items():
            factor = lexicon.get(value)
            if factor is not None and factor.kind is Kind.OCCASION:
                counts[value] += count
    total = sum(max(1, cell.acts) for cell in cells)
    return max(counts.values(), default=0) / total if total else 0.0


def _intent(cells: Sequence[Cell], lexicon: Lexicon) -> tuple[str, ...]:
    """The values that say most of what is bought: often here, rare in the catalogue."""
    counts: Counter[str] = Counter()
    for cell in cells:
        counts.update(cell.factors)
    worth: dict[str, float] = {}
    for value, count in counts.items():
        factor = lexicon.get(value)
        if factor is not None and count > 1 and factor.kind not in (Kind.SIZE, Kind.COLOUR):
            worth[factor.value] = factor.rarity * count
    return tuple(sorted(worth, key=lambda value: (-worth[value], value))[:_MOST_INTENTS])


def _mark_of_cells(cells: Sequence[Cell]) -> str:
    return _mark(f"{cell.week}\x1f{cell.category}\x1f{cell.cents}\x1f{cell.quantity}" for cell in cells)


def _mark(rows: Iterable[str]) -> str:
    joined = "\x1e".join(sorted(rows))
    return hashlib.blake2b(joined.encode(errors="surrogatepass"), digest_size=8).hexdigest()
