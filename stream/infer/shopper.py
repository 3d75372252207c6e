"""From a trigger's snapshot to what the agents know of a shopper. Pure: the catalogue is handed in."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agents.shopper import Act, LedgerLine, Shopper
from stream.gate.state.ledger import DAY_MS

if TYPE_CHECKING:
    from agents.demand import Demand
    from stream.gate.state.recent import Recent
    from stream.triggers import Trigger

__all__ = ["Labels", "Titles", "Told", "bought_items", "categories_by_weight", "shopper_of", "taken_items"]

# How much an act says of what a shopper wants next; an impression is what we showed, not a wish.
_WEIGHTS = {
    "order": 5.0,
    "inquiry": 4.0,
    "cart": 3.0,
    "favorite": 3.0,
    "search": 2.0,
    "click": 1.5,
    "view": 1.0,
    "impression": 0.0,
}
_HALF_LIFE_DAYS = 7.0
"""Age at which an act says half of what it said: a week ago a shopper had other plans."""
_LABELS = 100_000
"""So many items are remembered; of the shops that have more, most events are about few."""
_FIRST_MONDAY = date(1969, 12, 29)  # of week 0 in stream.gate.state.activity.week_of


class Titles(Protocol):
    """What is asked of the catalogue here."""

    def row(self, item_id: str) -> int | None:
        """Row of an item; None if the catalogue does not have it."""

    def short_title(self, row: int) -> str:
        """The item's title, shortened for prompts."""

    def category(self, row: int) -> str:
        """The item's category."""


class Told(NamedTuple):
    """What a catalogue says of an item: its row, its title shortened for prompts, and its category."""

    row: int
    title: str
    category: str


class Labels(dict[str, Told | None]):
    """What a catalogue says of items by their ids, each looked up once; None for an item that it does not have.

    Args:
        titles: the catalogue, in one state.
    """

    def __init__(self, titles: Titles) -> None:
        super().__init__()
        self._titles = titles

    def __missing__(self, item: str) -> Told | None:
        titles = self._titles
        row = titles.row(item) if item else None
        told = Told(row, titles.short_title(row), titles.category(row)) if row is not None else None
        if len(self) < _LABELS:
            self[item] = told
        return told


def shopper_of(trigger: Trigger, titles: Titles | Labels, cached: tuple[Demand, ...] = ()) -> Shopper:
    """The shopper as the trigger shows them, item ids replaced by titles.

    ``titles`` is the catalogue, or for many triggers under one state of it, its labels.
    """
    labels = titles if isinstance(titles, Labels) else Labels(titles)
    acts = [act for recent in trigger.recent if (act := _act(recent, labels)) is not None]
    ledger = tuple(
        LedgerLine(
            week=_monday(entry.week),
            category=entry.category,
            amount=entry.cents / 100,
            quantity=entry.quantity,
            lines=entry.lines,
        )
        for entry in trigger.ledger
    )
    return Shopper(
        user_id=trigger.user,
        moment=trigger.ts,
        recent=tuple(acts),
        ledger=ledger,
        categories=categories_by_weight(trigger, labels),
        cached=cached,
    )


def categories_by_weight(trigger: Trigger, titles: Titles | Labels) -> tuple[str, ...]:
    """The shopper's categories, the weightiest first; recent acts weigh more than the ledger."""
    labels = titles if isinstance(titles, Labels) else Labels(titles)
    weights: defaultdict[str, float] = defaultdict(float)
    count = len(trigger.recent)
    for place, recent in enumerate(trigger.recent):
        told = labels[recent.item_id]
        if told is not None and told.category:
            # A later act counts up to twice: what a shopper does now tells more than what came before.
            weights[told.category] += _WEIGHTS.get(recent.type, 1.0) * (1 + place / count)
    for entry in trigger.ledger:
        if entry.category:
            weights[entry.category] += 0.5 * entry.lines
    ranked = sorted(weights.items(), key=lambda entry: -entry[1])
    return tuple(category for category, weight in ranked if weight > 0)


def bought_items(trigger: Trigger, days: int) -> frozenset[str]:
    """Items the shopper bought within ``days`` before the trigger, as far as the snapshot reaches."""
    since = trigger.ts - days * DAY_MS
    return frozenset(r.item_id for r in trigger.recent if r.type == "order" and r.item_id and r.ts >= since)


def taken_items(trigger: Trigger) -> dict[str, float]:
    """By item what the shopper's acts with it say of what they want: by what they did and how long ago; 1 for the most."""
    weights: defaultdict[str, float] = defaultdict(float)
    for recent in trigger.recent:
        if recent.item_id:
            age = max(trigger.ts - recent.ts, 0) / DAY_MS
            weights[recent.item_id] += _WEIGHTS.get(recent.type, 1.0) * 0.5 ** (age / _HALF_LIFE_DAYS)
    largest = max(weights.values(), default=0.0)
    return {
        item: weight / largest
        for item, weight in sorted(weights.items(), key=lambda entry: -entry[1])
        if weight > 0
    }


@lru_cache(1_024)
def _monday(week: int) -> str:
    return (_FIRST_MONDAY + timedelta(weeks=week)).strftime("%y%m%d")


def _act(recent: Recent, labels: Labels) -> Act | None:
    """The act with words in place of ids; None where there are no words to say it in."""
    told = labels[recent.item_id]
    text = recent.query or (told.title if told is not None else "")
    if not text:
        return None
    return Act(
        event_id=recent.event_id,
        type=recent.type,
        ts=recent.ts,
        text=text,
        category=told.category if told is not None else "",
        item_id=recent.item_id,
        quantity=recent.quantity,
        amount=recent.cents / 100,
        scene=recent.scene,
    )
