"""The browsing that precedes a real order, synthesised by a seeded rule.

The shops whose orders are public recorded no views, clicks or searches. What this module adds is
**invented** and every event of it says so with ``synthetic: true``. It is derived from the order it
leads up to, so it is good for driving and measuring a pipeline; a recommendation judged on it
would only be judged on this rule.

The rule, for each basket of real orders. The lines are visited in a shuffled order; a line that
would pass the cap of ``max_events`` ends the browsing. For each line, independently:

1. ``search_share``: a ``search`` for the item's type (one time in five, for its category), scene
   ``search``. A text already searched for in this basket is not searched for again.
2. With ``similar_views`` as the mean: zero, one or two ``view`` events of similar items, meaning
   items of the same category drawn by popularity; each is preceded by a ``click`` with
   ``click_share``. The click's scene is ``search`` after a search, otherwise ``category``; a view's
   scene is ``detail``.
3. ``recommended_share``: an ``impression`` of one similar item in scene ``recommendation``, followed
   half the time by a ``click`` and a ``view`` of it in that scene.
4. ``view_share``: a ``view`` of the item itself, preceded by a ``click`` with ``click_share``.
5. ``favorite_share``: a ``favorite`` of it; ``cart_share``: a ``cart`` of it, with the quantity ordered.

The gaps between the events are exponential with a mean of ``pause_s``, pressed together where they
would start more than ``window_s`` before the basket's first order. Every synthetic event is at least a
millisecond before that order, in the order's session, by the order's user.

How much this makes with the default figures and seed 0, over the whole of each dataset:

===================  =======  ===============  =================  ==================  =======
dataset              baskets  ordered lines    synthetic events   a basket            a line
===================  =======  ===============  =================  ==================  =======
completejourney      136,045  1,320,567        4,787,558          35 (median 21)      3.6
online-retail         13,081  265,427          822,579            63 (median 60)      3.1
===================  =======  ===============  =================  ==================  =======

Randomness is keyed by (seed, basket) alone, so a basket gets the same browsing whatever else is
generated, in whatever sequence. Orders are read, never changed.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stream.datasets.baskets import Basket, Event, Line

__all__ = ["BrowsingRule", "Shelves", "browse"]


class BrowsingRule(BaseModel):
    """The figures of the rule; the module's text says what each one does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    search_share: float = Field(default=0.35, ge=0, le=1, description="Lines that begin with a search.")
    similar_views: float = Field(default=0.8, ge=0, le=2, description="Mean views of similar items per line.")
    click_share: float = Field(default=0.5, ge=0, le=1, description="Views that a click leads to.")
    recommended_share: float = Field(
        default=0.25, ge=0, le=1, description="Lines with an impression in a slot of ours."
    )
    view_share: float = Field(
        default=0.85, ge=0, le=1, description="Lines whose item is viewed before it is ordered."
    )
    favorite_share: float = Field(
        default=0.05, ge=0, le=1, description="Lines whose item is marked as a favourite."
    )
    cart_share: float = Field(default=0.7, ge=0, le=1, description="Lines whose item is put in the cart.")
    max_events: int = Field(default=120, ge=0, le=10_000, description="Most synthetic events for one basket.")
    pause_s: float = Field(default=20.0, gt=0, description="Mean seconds between two events.")
    window_s: int = Field(
        default=1800, ge=60, description="Seconds before the order within which all of its browsing falls."
    )


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The items of one category with their running popularity, for drawing by weight."""

    items: list[str]
    weights: list[int]


class Shelves:
    """Which items stand together: the category, type and neighbours of every item of a catalogue."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        members: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._texts: dict[str, tuple[str, str]] = {}
        for row in rows:
            item, category = str(row["item_id"]), str(row["category"])
            members[category].append((item, int(row["popularity"]) + 1))
            kind = str(row["attributes"].get("type") or category)
            self._texts[item] = (category, kind.lower())
        self._shelves = {
            category: _Shelf([item for item, _ in pairs], list(accumulate(weight for _, weight in pairs)))
            for category, pairs in members.items()
        }

    def query(self, item_id: str, rng: random.Random) -> str | None:
        """Draw a search text for the item: its type, one time in five its category; None if unknown."""
        texts = self._texts.get(item_id)
        if texts is None:
            return None
        category, kind = texts
        return category.lower() if rng.random() < 0.2 else kind

    def similar(self, item_id: str, rng: random.Random) -> str | None:
        """Draw another item of the same category by popularity; None where there is none."""
        texts = self._texts.get(item_id)
        if texts is None:
            return None
        shelf = self._shelves[texts[0]]
        if len(shelf.items) < 2:
            return None
        # A dominant item could be drawn again and again: after four draws its neighbour is taken.
        for _ in range(4):
            drawn = rng.choices(shelf.items, cum_weights=shelf.weights)[0]
            if drawn != item_id:
                return drawn
        return shelf.items[shelf.items.index(item_id) - 1]


def browse(basket: Basket, seed: int, shelves: Shelves, rule: BrowsingRule) -> list[Event]:
    """Synthesise the browsing before one basket, in order of time.

    Args:
        basket: the real order; it is not altered.
        seed: with the basket's id, the only source of randomness.
        shelves: the catalogue that similar items and search texts come from.
        rule: how much of what.

    Returns:
        At most ``rule.max_events`` events, all within ``rule.window_s`` before the basket's first
        order and strictly before it, each with an ``event_id`` of its own.
    """
    # Seeding by text hashes it with SHA-512: the same on every machine and in every process.
    rng = random.Random(f"{seed}/{basket.basket_id}")
    lines = list(basket.lines)
    rng.shuffle(lines)
    steps: list[Event] = []
    searched: set[str] = set()
    for line in lines:
        found = _line_steps(line, shelves, rule, rng, searched)
        if len(steps) + len(found) > rule.max_events:
            break
        steps += found
    times = _times(len(steps), basket.ts, rule, rng)
    for number, (step, ts) in enumerate(zip(steps, times, strict=True)):
        step["event_id"] = f"{basket.basket_id}-b{seed}-{number}"
        step["user_id"] = basket.user_id
        step["ts"] = ts
        step["session_id"] = basket.basket_id
        step["synthetic"] = True
    return steps


def _line_steps(
    line: Line, shelves: Shelves, rule: BrowsingRule, rng: random.Random, searched: set[str]
) -> list[Event]:
    """What a user does about one line, in sequence and without times."""
    item = line.item_id
    steps: list[Event] = []
    came_by = "category"
    if rng.random() < rule.search_share:
        query = shelves.query(item, rng)
        if query is not None and query not in searched:
            searched.add(query)
            steps.append({"type": "search", "query": query, "scene": "search"})
            came_by = "search"

    def look_at(shown: str) -> None:
        if rng.random() < rule.click_share:
            steps.append({"type": "click", "item_id": shown, "scene": came_by})
        steps.append({"type": "view", "item_id": shown, "scene": "detail"})

    for _ in range(2):
        if rng.random() < rule.similar_views / 2:
            other = shelves.similar(item, rng)
            if other is not None:
                look_at(other)
    if rng.random() < rule.recommended_share:
        other = shelves.similar(item, rng)
        if other is not None:
            kinds = ("impression", "click", "view") if rng.random() < 0.5 else ("impression",)
            steps += [{"type": kind, "item_id": other, "scene": "recommendation"} for kind in kinds]
    if rng.random() < rule.view_share:
        look_at(item)
    if rng.random() < rule.favorite_share:
        steps.append({"type": "favorite", "item_id": item, "scene": "detail"})
    if rng.random() < rule.cart_share:
        steps.append({"type": "cart", "item_id": item, "scene": "detail", "quantity": line.quantity})
    return steps


def _times(count: int, order_ts: int, rule: BrowsingRule, rng: random.Random) -> list[int]:
    """Times for ``count`` events, rising, from ``order_ts - window`` up to just before ``order_ts``."""
    gaps = [rng.expovariate(1 / (rule.pause_s * 1000)) for _ in range(count)]
    before = list(accumulate(reversed(gaps)))
    longest = rule.window_s * 1000
    # One millisecond is kept free at the near end, so that rounding cannot reach the order itself.
    press = min(1.0, (longest - 1) / before[-1]) if before else 1.0
    return [order_ts - min(longest, 1 + int(gap * press)) for gap in reversed(before)]
