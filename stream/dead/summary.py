"""Counts dead records by reason and topic, and keeps the newest."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.dead.search import Dead

__all__ = ["Summary"]


class Summary:
    """What :meth:`add` was given.

    Args:
        most: how many of the newest are kept.

    Attributes:
        counts: how many, by reason and the topic they came from; ``unreadable`` and no topic for what is no record.
    """

    def __init__(self, most: int) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._most = most
        self._newest: list[tuple[tuple[int, int, int], Dead]] = []

    def add(self, dead: Dead) -> None:
        """Take in one more."""
        record = dead.record
        self.counts[(record.reason, record.topic) if record else ("unreadable", "")] += 1
        entry = ((record.at if record else 0, dead.partition, dead.offset), dead)
        if len(self._newest) < self._most:
            heapq.heappush(self._newest, entry)
        elif self._most:
            heapq.heappushpop(self._newest, entry)

    @property
    def newest(self) -> list[Dead]:
        """The newest, by time of death; between equal times by place."""
        return [dead for _, dead in sorted(self._newest, key=lambda entry: entry[0], reverse=True)]
