"""One simulated shopper: what they do, session by session, and what they did it for."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.shoppers.wants import Want, Wants

__all__ = ["Deed", "Shopper", "ShopperRule"]

_WEEK_MS = 7 * 86_400_000
_FEWEST_SESSIONS = 0.1

Event: TypeAlias = dict[str, Any]


class ShopperRule(BaseModel):
    """How simulated shoppers behave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions_per_week: float = Field(
        default=2.0, gt=0, le=1_000, description="Mean number of visits; shoppers differ by a gamma law."
    )
    habits: int = Field(default=4, ge=1, le=50, description="Wants that a shopper comes back to.")
    new_share: float = Field(default=0.35, ge=0, le=1, description="Sessions that begin a new intent.")
    drift: float = Field(
        default=0.1, ge=0, le=1, description="Chance a week that a habit is given up for another."
    )
    events: float = Field(default=8.0, ge=2, le=500, description="Mean events of a session, orders aside.")
    search_share: float = Field(default=0.3, ge=0, le=1, description="Steps that are a search.")
    click_share: float = Field(default=0.5, ge=0, le=1, description="Views that a click leads to.")
    noise: float = Field(
        default=0.15, ge=0, le=1, description="Steps that have nothing to do with what the session is for."
    )
    typos: float = Field(default=0.05, ge=0, le=1, description="Searches with two letters swapped.")
    cart_share: float = Field(
        default=0.5, ge=0, le=1, description="Sessions that end with something in the cart."
    )
    order_share: float = Field(default=0.6, ge=0, le=1, description="Carts that are ordered.")
    pause_s: float = Field(default=25.0, gt=0, description="Mean seconds between two events.")


class Deed(NamedTuple):
    """An event, and the number of the shopper's intent that it serves; None for noise.

    ``new`` says that the intent is none of the shopper's habits.
    """

    event: Event
    intent: int | None
    want: Want | None
    new: bool


class Shopper:
    """Draws a shopper's sessions, in order of time.

    Args:
        name: The user id; with the seed the only source of randomness.
        wants: What can be wanted.
        rule: How shoppers behave.
        seed: Of the whole simulation.
        start: Time of the beginning, UTC milliseconds.
        end: No session begins at or after it.
    """

    def __init__(
        self, name: str, wants: Wants, rule: ShopperRule, *, seed: int, start: int, end: int
    ) -> None:
        self.name = name
        self._wants = wants
        self._rule = rule
        self._end = end
        rng = self._rng = random.Random(f"{seed}/{name}")
        self._rate = max(_FEWEST_SESSIONS, rng.gammavariate(2.0, rule.sessions_per_week / 2.0)) / _WEEK_MS
        homes = [wants.category(rng) for _ in range(2)]  # habits lie in two categories, new intents anywhere
        self._habits = [wants.draw(rng, rng.choice(homes)) for _ in range(rule.habits)]
        self._habit_intents = list(range(rule.habits))
        self._intents = rule.habits
        self._events = 0
        self._session = 0
        self._moved = self.next_at = start
        self.next_at = self._later(start)

    def _later(self, ts: int) -> int:
        return ts + 1 + int(self._rng.expovariate(self._rate))

    @property
    def over(self) -> bool:
        """Whether no session is left."""
        return self.next_at >= self._end

    def session(self) -> Iterator[Deed]:
        """The next session's events; afterwards ``next_at`` is when the one after it begins."""
        rng, rule = self._rng, self._rule
        began = self.next_at
        self._drift(began)
        new = rng.random() < rule.new_share
        if new:
            want = self._wants.draw(rng, self._wants.category(rng))
            intent = self._intents
            self._intents += 1
        else:
            place = rng.randrange(len(self._habits))
            want, intent = self._habits[place], self._habit_intents[place]
        self._session += 1
        ts = began
        looked: list[str] = []
        deeds: list[Deed] = []
        for step, for_it in self._steps(want, looked):
            event = self._event(step, ts)
            deeds.append(Deed(event, intent if for_it else None, want if for_it else None, new))
            ts += 1 + int(rng.expovariate(1 / (1000 * rule.pause_s)))
        # The next visit begins after this one has ended, so a shopper's events never cross.
        self.next_at = self._later(ts)
        yield from deeds

    def _drift(self, now: int) -> None:
        """Give habits up for others, by the weeks that have gone by."""
        rng = self._rng
        weeks = (now - self._moved) / _WEEK_MS
        self._moved = now
        for place in range(len(self._habits)):
            if rng.random() < 1 - (1 - self._rule.drift) ** weeks:
                self._habits[place] = self._wants.draw(rng, self._wants.category(rng))
                self._habit_intents[place] = self._intents
                self._intents += 1

    def _steps(self, want: Want, looked: list[str]) -> Iterator[tuple[Event, bool]]:
        """What is done in a session, each with whether it serves the want."""
        rng, rule = self._rng, self._rule
        scene = "category"
        for number in range(2 + int(rng.expovariate(1 / max(rule.events - 2, 1e-9)))):
            if number and rng.random() < rule.noise:
                yield {"type": "view", "item_id": self._wants.popular(rng), "scene": "home"}, False
                continue
            if rng.random() < rule.search_share:
                scene = "search"
                yield {"type": "search", "query": self._said(want), "scene": scene}, True
                continue
            item = want.draw(rng)
            if rng.random() < rule.click_share:
                yield {"type": "click", "item_id": item, "scene": scene}, True
            looked.append(item)
            yield {"type": "view", "item_id": item, "scene": "detail"}, True
        if looked and rng.random() < rule.cart_share:
            item, quantity = rng.choice(looked), 1 + int(rng.expovariate(1.0))
            yield {"type": "cart", "item_id": item, "scene": "detail", "quantity": quantity}, True
            if rng.random() < rule.order_share:
                yield {"type": "order", "item_id": item, "quantity": quantity}, True

    def _said(self, want: Want) -> str:
        """The want in a shopper's words: with the category at times, misspelt at others."""
        rng = self._rng
        words = want.words
        if len(words) > 3 and rng.random() < self._rule.typos:
            at = rng.randrange(len(words) - 1)
            words = words[:at] + words[at + 1] + words[at] + words[at + 2 :]
        return f"{words} {want.category.casefold()}" if want.category and rng.random() < 0.2 else words

    def _event(self, step: Event, ts: int) -> Event:
        self._events += 1
        step["event_id"] = f"{self.name}-{self._events}"
        step["user_id"] = self.name
        step["ts"] = ts
        step["session_id"] = f"{self.name}-s{self._session}"
        step["synthetic"] = True
        return step
