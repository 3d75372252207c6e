"""A shop known by its orders: its events are the real orders merged with synthesised browsing."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from stream.datasets.baskets import Basket, Event, Tally, order_events
from stream.datasets.browsing import BrowsingRule, Shelves, browse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["OrderShop", "merge_baskets"]


class OrderShop(ABC):
    """The base of datasets that are made of orders.

    A subclass knows how to read its baskets and its catalogue; this class makes the events of
    them. Reading is lazy and repeatable: every call starts a new pass.
    """

    name: str

    def __init__(self, rule: BrowsingRule | None = None) -> None:
        self.rule = rule or BrowsingRule()

    @abstractmethod
    def catalog(self) -> Iterator[dict[str, Any]]:
        """Yield the items, best sold first, as JSON-ready rows."""

    @abstractmethod
    def baskets(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[Basket]:
        """Yield the baskets with a line in ``[since, until)``, in order of their first line's time.

        Args:
            since: UTC milliseconds; None for the beginning.
            until: UTC milliseconds, not included; None for the end.
            users: only baskets of these users.
        """

    @abstractmethod
    def tally(self) -> Tally:
        """Count the order lines of the source: read, kept, and left out by reason."""

    @cached_property
    def shelves(self) -> Shelves:
        """The catalogue as the browsing sees it."""
        return Shelves(self.catalog())

    def orders(self) -> Iterator[Event]:
        """Yield the real orders only, one event a line, in order of time."""
        return merge_baskets((basket.ts, list(order_events(basket))) for basket in self.baskets())

    def events(
        self,
        *,
        seed: int = 0,
        limit: int | None = None,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[Event]:
        """Yield real orders and synthesised browsing, in order of time, lazily.

        Memory is bounded by the baskets of one browsing window, whatever the length of the stream.

        Args:
            seed: of the browsing; the orders do not depend on it.
            limit: the most events to yield.
            since: events before this time (UTC milliseconds) are left out.
            until: events at or after this time are left out.
            users: only events of these users.
        """
        window = self.rule.window_s * 1000
        found = self.baskets(
            since=since,
            # An order just after the end has browsing before it.
            until=None if until is None else until + window,
            users=users,
        )
        shelves = self.shelves
        groups = (
            (basket.ts - window, [*browse(basket, seed, shelves, self.rule), *order_events(basket)])
            for basket in found
        )
        kept = (
            event
            for event in merge_baskets(groups)
            if (since is None or event["ts"] >= since) and (until is None or event["ts"] < until)
        )
        return islice(kept, limit)

    def raw_events(
        self,
        *,
        seed: int = 0,
        limit: int | None = None,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[bytes | Event]:
        """Yield the same as :meth:`events`: a shop's records are whole by construction."""
        return iter(self.events(seed=seed, limit=limit, since=since, until=until, users=users))


def merge_baskets(groups: Iterable[tuple[int, list[Event]]]) -> Iterator[Event]:
    """Merge the events of baskets into one stream in order of time.

    Args:
        groups: per basket, the earliest time any of its events can have, and its events in order of
            time. The earliest times must not fall from one group to the next.

    Yields:
        Every event once; events at the same time keep the sequence of their baskets. Held in
        memory: only events that a basket yet to come could still precede.
    """
    waiting: list[tuple[int, int, Event]] = []
    arrived = 0
    for earliest, events in groups:
        while waiting and waiting[0][0] < earliest:
            yield heapq.heappop(waiting)[2]
        for event in events:
            heapq.heappush(waiting, (event["ts"], arrived, event))
            arrived += 1
    while waiting:
        yield heapq.heappop(waiting)[2]
