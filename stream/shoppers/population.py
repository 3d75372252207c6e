"""Many simulated shoppers, merged in order of time, and the truth of what they wanted."""

from __future__ import annotations

import heapq
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from stream.shoppers.shopper import Shopper, ShopperRule
from stream.shoppers.wants import Wants

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from stream.shoppers.shopper import Deed, Event

__all__ = ["Intent", "Population"]

_DAY_MS = 86_400_000
_WIDTH = 6


@dataclass(slots=True)
class Intent:
    """What a shopper wanted.

    Attributes:
        user: The shopper.
        number: The intent's number among the shopper's own.
        new: Whether it is none of the shopper's habits.
        category: Where what answers it stands.
        words: How it is said.
        items: Ids of all items that answer it.
        events: Ids of the events that served it so far, in their order.
    """

    user: str
    number: int
    new: bool
    category: str
    words: str
    items: tuple[str, ...]
    events: list[str] = field(default_factory=list)

    def as_row(self) -> dict[str, Any]:
        """The intent, JSON-ready."""
        return asdict(self)


class Population:
    """Simulated shoppers of a catalogue.

    Memory is a session of each shopper at most; the intents are kept where asked for.

    Args:
        catalog: As `Wants` takes it.
        shoppers: How many, from ``sim-000000`` on.
        days: How long.
        start: When they begin, UTC milliseconds.
        seed: The same seed, catalogue and rule give the same events.
        rule: How they behave.
    """

    name = "simulated shoppers"

    def __init__(
        self,
        catalog: Iterable[Mapping[str, Any]],
        *,
        shoppers: int,
        days: float,
        start: int,
        seed: int = 0,
        rule: ShopperRule | None = None,
    ) -> None:
        self.wants = Wants(catalog)
        self._shoppers = shoppers
        self._start = start
        self._end = start + int(days * _DAY_MS)
        self._seed = seed
        self._rule = rule or ShopperRule()

    def events(
        self,
        *,
        limit: int | None = None,
        users: Collection[str] | None = None,
        intents: dict[tuple[str, int], Intent] | None = None,
    ) -> Iterator[Event]:
        """Yield the events in order of time, lazily; every call begins anew.

        Args:
            limit: The most to yield.
            users: Only these shoppers; theirs are the same with or without the others.
            intents: Filled with the intents, by shopper and number, while events are drawn.
        """
        return islice((event for event, _ in self._merged(users, intents)), limit)

    def served(self) -> Iterator[tuple[Event, Intent | None]]:
        """Yield the events with what they were done for, as far as it is known by then; None for noise.

        An intent is the same object every time, and grows.
        """
        return self._merged(None, {})

    def _merged(
        self, users: Collection[str] | None, intents: dict[tuple[str, int], Intent] | None
    ) -> Iterator[tuple[Event, Intent | None]]:
        # By time, then by shopper, so that equal times have an order. An entry is a session under way, or None
        # for one to come.
        waiting: list[tuple[int, str, Shopper, Iterator[Deed] | None, Deed | None]] = []
        for number in range(self._shoppers):
            name = f"sim-{number:0{_WIDTH}d}"
            if users is None or name in users:
                shopper = Shopper(
                    name, self.wants, self._rule, seed=self._seed, start=self._start, end=self._end
                )
                if not shopper.over:
                    waiting.append((shopper.next_at, name, shopper, None, None))
        heapq.heapify(waiting)
        while waiting:
            _, name, shopper, session, deed = waiting[0]
            if deed is not None:
                yield deed.event, None if intents is None else _note(intents, name, deed)
            session = session or shopper.session()
            following = next(session, None)
            if following is not None:
                heapq.heapreplace(waiting, (following.event["ts"], name, shopper, session, following))
            elif shopper.over:
                heapq.heappop(waiting)
            else:
                heapq.heapreplace(waiting, (shopper.next_at, name, shopper, None, None))


def _note(intents: dict[tuple[str, int], Intent], name: str, deed: Deed) -> Intent | None:
    if deed.intent is None or deed.want is None:
        return None
    intent = intents.get((name, deed.intent))
    if intent is None:
        want = deed.want
        intent = Intent(name, deed.intent, deed.new, want.category, want.words, want.items)
        intents[name, deed.intent] = intent
    intent.events.append(deed.event["event_id"])
    return intent
