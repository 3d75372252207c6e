"""Puts one partition's topics into one order: a shopper's view, click and order as they happened.

Topics are read at their own pace, and after a standstill far apart. Events wait until every topic
of the partition has been read up to their time, or has nothing more to read; a topic that stays
behind is waited for only so long. Along each topic the key never falls, so what is released
of a topic is always the next of it, and offsets stay a single number. Pure: the clock is handed in.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stream.gate.gate import Arrival

__all__ = ["Merge"]

_BEFORE_ALL = -1


class Merge:
    """The merge of one partition.

    Args:
        topics: the event topics, in the order that decides between equal times.
        wait_s: how long an event waits for earlier ones when no topic is known to be behind.
        limit_s: how long it waits at the most for a topic that is behind.
    """

    def __init__(self, topics: Sequence[str], wait_s: float, limit_s: float) -> None:
        self._rank = {topic: rank for rank, topic in enumerate(topics)}
        self._frontier = dict.fromkeys(topics, _BEFORE_ALL)
        self._wait_s = wait_s
        self._limit_s = limit_s
        self._pending: list[Arrival] = []
        self._oldest: float | None = None  # since when something has been waiting

    def __len__(self) -> int:
        return len(self._pending)

    def frontier(self, topic: str) -> int:
        """Key of the newest event read of ``topic``."""
        return self._frontier[topic]

    def add(self, topic: str, arrivals: Iterable[Arrival], now: float) -> None:
        """Take in what was read of ``topic``, in its order, at monotonic time ``now``."""
        before = len(self._pending)
        self._pending.extend(arrivals)
        if len(self._pending) > before:
            self._frontier[topic] = self._pending[-1].key
            if self._oldest is None:
                self._oldest = now

    def release(self, behind: Iterable[str], now: float) -> list[Arrival]:
        """What may be applied now, in order.

        ``behind`` are the topics known to hold events that were not read yet.
        """
        if self._oldest is None:
            return []
        waited = now - self._oldest
        lagging = [self._frontier[topic] for topic in behind]
        if lagging and waited < self._limit_s:
            bound = min(lagging)
        elif not lagging and waited < self._wait_s:
            return []
        else:
            bound = None
        rank = self._rank
        self._pending.sort(key=lambda arrival: (arrival.key, rank[arrival.topic], arrival.offset))
        if bound is None:
            ready, self._pending = self._pending, []
        else:
            cut = bisect_right(self._pending, bound, key=lambda arrival: arrival.key)
            ready, self._pending = self._pending[:cut], self._pending[cut:]
        if ready:
            self._oldest = now if self._pending else None
        return ready
