"""Chooses the dead records that are to be sent again, tells how many there are, and sends them.

Choosing and sending read the topic twice: between them somebody is asked, and places fit in memory where originals
may not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stream.dead.redrive import refusal
from stream.dead.search import Filters, dead_at, find_dead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from stream.dead.redrive import Redrive, Redriven
    from stream.dead.search import Dead
    from stream.settings import KafkaSettings

__all__ = ["Chosen", "choose", "send_chosen"]

_ASKED_AT_ONCE = 500


@dataclass(slots=True)
class Chosen:
    """Which dead records are to be sent again.

    Attributes:
        filters: what was asked for.
        places: of the records to send, ``PARTITION:OFFSET``.
        kinds: how many of them there are, by reason and topic.
        before: how many were sent by an earlier run, and so are left.
        refused: how many cannot be sent, by the reason.
        more: whether there are more than the limit, which were not looked at.
    """

    filters: Filters
    places: set[str] = field(default_factory=set)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    before: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    more: bool = False

    def gone(self, result: Redriven) -> int:
        """How many were no longer on the topic when they were to be sent."""
        return len(self.places) - result.sent - result.before - result.busy - result.refused.total()


async def choose(
    kafka: KafkaSettings,
    work: Redrive,
    filters: Filters,
    places: frozenset[str] | None = None,
    limit: int | None = None,
    told: Callable[[Chosen], None] | None = None,
) -> Chosen:
    """Find what ``work`` would send: what meets ``filters``, of ``places`` only where given, ``limit`` at most.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    chosen = Chosen(filters)
    waiting: list[Dead] = []

    async def ask() -> None:
        """Keep of those waiting what no earlier run has sent."""
        for dead, before in zip(waiting, await work.left_out(waiting), strict=True):
            if before:
                chosen.before += 1
            elif limit is not None and len(chosen.places) == limit:
                chosen.more = True
            else:
                chosen.places.add(dead.place)
                if dead.record is not None:
                    chosen.kinds[dead.record.reason, dead.record.topic] += 1
        waiting.clear()
        if told is not None:
            told(chosen)

    async for dead in _meant(kafka, filters, places):
        if (why := refusal(dead, kafka)) is not None:
            chosen.refused[why] += 1
            continue
        waiting.append(dead)
        if len(waiting) == _ASKED_AT_ONCE:
            await ask()
            if chosen.more:
                return chosen
    await ask()
    return chosen


async def send_chosen(
    kafka: KafkaSettings, work: Redrive, chosen: Chosen, told: Callable[[Redriven], None] | None = None
) -> Redriven:
    """Send what was chosen, as far as it is still there.

    Raises:
        StreamError: the broker did not take a record; what was sent before it is remembered.
    """

    async def wanted() -> AsyncIterator[Dead]:
        few = frozenset(chosen.places) if len(chosen.places) <= _ASKED_AT_ONCE else None
        async for dead in _meant(kafka, chosen.filters, few):
            if dead.place in chosen.places:
                yield dead

    return await work.send(wanted(), told)


async def _meant(
    kafka: KafkaSettings, filters: Filters, places: frozenset[str] | None
) -> AsyncIterator[Dead]:
    if places is None:
        async for dead in find_dead(kafka, filters):
            yield dead
        return
    async for dead in dead_at(kafka, places):
        if filters.match(dead):
            yield dead
