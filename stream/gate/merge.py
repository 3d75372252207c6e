"""Puts one partition's topics into one order: a shopper's view, click and order as they happened.

The order is a function of the records on the topics, so a worker that is killed and one that is not
come to the same state: by the time a record was sent, then by event time, then by topic and
offset. Time of sending comes first because it grows along a topic whatever shoppers' clocks say; one
event from the future must not hold back what follows it.

Topics are read at their own pace, and after a standstill far apart. So an event waits until
everything that may come before it has been read: a topic known to hold more must have been read
beyond it, and every other topic must have been found empty a while after it was read. That is
asked of the broker and not of the clock: a worker that stood still waits as long as one that did
not. Along each topic the key never falls, so what is released of a topic is always the next of it,
and offsets stay a single number. Pure: the clock is handed in, in milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from stream.gate.gate import Arrival, MergeKey

__all__ = ["BEFORE_ALL", "Horizon", "Merge", "next_key"]

BEFORE_ALL: MergeKey = (-1, -1)

# A longer silence between two calls was a standstill of this worker, not patience with a topic.
_LONGEST_STEP_MS = 100.0
# A broker that answered nothing for longer is away; what it holds is waited for until it is back.
_SILENCE_MS = 500.0

_key = attrgetter("key")


def next_key(previous: MergeKey, sent_at: int, ts: int | None) -> MergeKey:
    """Key of the record after the one with key ``previous``; ``ts`` is None where it is no event."""
    if sent_at > previous[0]:
        return sent_at, ts or 0
    return previous[0], max(previous[1], ts or 0)


class Horizon(NamedTuple):
    """How far a partition's topics have been read, and when the broker said so (milliseconds).

    Attributes:
        behind: the topics known to hold events that were not read yet, or never asked.
        asked: when the broker last said of each of the other topics that it holds no more.
        answered: when the broker last answered for any of the topics.
    """

    behind: Collection[str]
    asked: float
    answered: float


class Merge:
    """The merge of one partition.

    Args:
        topics: the event topics, in the order that decides between equal keys.
        wait_ms: how long after an event was read the other topics must have been found empty.
        limit_ms: how long a topic that holds more and cannot be read is waited for while others can.
    """

    def __init__(self, topics: Sequence[str], wait_ms: float, limit_ms: float) -> None:
        self._frontier = dict.fromkeys(topics, BEFORE_ALL)
        self._pending: dict[str, list[Arrival]] = {topic: [] for topic in topics}
        self._wait_ms = wait_ms
        self._limit_ms = limit_ms
        self._reads: deque[tuple[float, MergeKey]] = deque()
        self._settled = BEFORE_ALL
        self._given_up: set[str] = set()
        self._patience_ms = 0.0
        self._last = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._pending.values()))

    def frontier(self, topic: str) -> MergeKey:
        """Key of the newest event read of ``topic``."""
        return self._frontier[topic]

    def next_offset(self, topic: str) -> int | None:
        """Offset of the next event of ``topic`` to release; None where none is held."""
        pending = self._pending[topic]
        return pending[0].offset if pending else None

    def add(self, topic: str, arrivals: Sequence[Arrival], now: float) -> None:
        """Take in what was read of ``topic``, in its order, at ``now``."""
        if not arrivals:
            return
        self._pending[topic].extend(arrivals)
        self._frontier[topic] = key = arrivals[-1].key
        self._reads.append((now, key))
        self._given_up.discard(topic)

    def ahead(self, behind: Iterable[str], held: int) -> set[str]:
        """Topics to read no further for now: they hold ``held`` events back for a topic behind them."""
        lagging = self._lagging(behind)
        if not lagging:
            return set()
        slowest = min(lagging)
        return {
            topic
            for topic, pending in self._pending.items()
            if len(pending) >= held and self._frontier[topic] > slowest
        }

    def release(self, horizon: Horizon, now: float) -> list[Arrival]:
        """What may be applied at the time ``now``, in order."""
        behind, asked, answered = horizon
        step, self._last = now - self._last, now
        if now - answered > _SILENCE_MS:
            step = 0.0
        if not len(self):
            self._patience_ms = 0.0
            return []
        while self._reads and self._reads[0][0] <= asked - self._wait_ms:
            self._settled = max(self._settled, self._reads.popleft()[1])
        lagging = self._lagging(behind)
        ready = self._take(self._settled, min(lagging) if lagging else None)
        if ready:
            self._patience_ms = 0.0
            return ready
        self._patience_ms += min(max(step, 0.0), _LONGEST_STEP_MS)
        if self._patience_ms <= self._limit_ms:
            return []
        self._patience_ms = 0.0
        self._given_up.update(behind)
        return self._take(max(self._frontier.values()), None)

    def _lagging(self, behind: Iterable[str]) -> list[MergeKey]:
        return [self._frontier[topic] for topic in behind if topic not in self._given_up]

    def _take(self, last: MergeKey, before: MergeKey | None) -> list[Arrival]:
        """What is pending up to and with ``last``, and before ``before``."""
        ready: list[Arrival] = []
        for topic, pending in self._pending.items():
            cut = bisect_right(pending, last, key=_key)
            if before is not None:  # the topic behind may hold more of the same key
                cut = min(cut, bisect_left(pending, before, key=_key))
            if cut:
                ready += pending[:cut]
                self._pending[topic] = pending[cut:]
        ready.sort(key=_key)  # stable: equal keys stay in the order of topics and offsets
        return ready
