"""From a trigger's snapshot to what the agents know of a shopper. Pure: the catalogue is handed in."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol

from agents.shopper import Act, LedgerLine, Shopper
from stream.gate.state.ledger import DAY_MS

if TYPE_CHECKING:
    from agents.demand import Demand
    from stream.gate.state.recent import Recent
    from stream.triggers import Trigger

__all__ = ["Titles", "bought_items", "categories_by_weight", "shopper_of", "taken_items"]

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
_FIRST_MONDAY = date(1969, 12, 29)  # of week 0 in stream.gate.state.activity.week_of


class Titles(Protocol):
    """What is asked of the catalogue here."""

    def row(self, item_id: str) -> int | None:
        """Row of an item; None if the catalogue does not have it."""

    def short_title(self, row: int) -> str:
        """The item's title, shortened for prompts."""

    def category(self, row: int) -> str:
        """The item's category."""


def shopper_of(trigger: Trigger, titles: Titles, cached: tuple[Demand, ...] = ()) -> Shopper:
    """The shopper as the trigger shows them, item ids replaced by titles."""
    acts = [act for recent in trigger.recent if (act := _act(recent, titles)) is not None]
    ledger = tuple(
        LedgerLine(
            week=(_FIRST_MONDAY + timedelta(weeks=entry.week)).strftime("%y%m%d"),
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
        categories=categories_by_weight(trigger, titles),
        cached=cached,
    )


def categories_by_weight(trigger: Trigger, titles: Titles) -> tuple[str, ...]:
    """The shopper's categories, the weightiest first; recent acts weigh more than the ledger."""
    weights: defaultdict[str, float] = defaultdict(float)
    for place, recent in enumerate(trigger.recent):
        category = _category(recent, titles)
        if category:
            # A later act counts up to twice: what a shopper does now tells more than what came before.
            weights[category] += _WEIGHTS.get(recent.type, 1.0) * (1 + place / len(trigger.recent))
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


def _category(recent: Recent, titles: Titles) -> str:
    row = titles.row(recent.item_id) if recent.item_id else None
    return titles.category(row) if row is not None else ""


def _act(recent: Recent, titles: Titles) -> Act | None:
    """The act with words in place of ids; None where there are no words to say it in."""
    text = recent.query
    if not text and recent.item_id:
        row = titles.row(recent.item_id)
        text = titles.short_title(row) if row is not None else ""
    if not text:
        return None
    return Act(
        event_id=recent.event_id,
        type=recent.type,
        ts=recent.ts,
        text=text,
        category=_category(recent, titles),
        item_id=recent.item_id,
        quantity=recent.quantity,
        amount=recent.cents / 100,
        scene=recent.scene,
    )
