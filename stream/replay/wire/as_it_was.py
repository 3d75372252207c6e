"""The catalogue as it was when a trigger fired: changes of the catalog topic, each taken up in its place in the order."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from stream.catalog.record import BadChangeError, decode_changes
from stream.recorded import RecordedTopics
from stream.replay.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from index.living import Change
    from stream.replay.in_place import Thinking
    from stream.settings import KafkaSettings

__all__ = ["AsItWas", "Dated", "read_changes"]


class Dated(NamedTuple):
    """Changes that one record held, and the time of sending, milliseconds, at which they take effect."""

    at: int
    changes: Sequence[Change]


async def read_changes(kafka: KafkaSettings, counts: Sequence[int]) -> list[Dated]:
    """What the replay's catalog topic holds, in the order in which it takes effect.

    Args:
        kafka: broker and topics of the replay.
        counts: how many records each partition has.

    Raises:
        WireError: the broker shows fewer.
        BrokerUnavailableError: no broker answers.
    """
    if not any(counts):
        return []
    found: dict[int, list[Dated]] = {}
    read_counts: dict[int, int] = {}
    async with RecordedTopics(kafka, [kafka.catalog_topic]) as topics:
        parts = [tp for group in (await topics.partitions()).values() for tp in group]
        async for read, _ in topics.read(await topics.starts(parts, None)):
            for tp, records in read.items():
                dated = found.setdefault(tp.partition, [])
                at = dated[-1].at if dated else -1
                for record in records:
                    # Along a topic the order is that of its offsets, whatever its times say.
                    at = max(at, record.timestamp)
                    try:
                        dated.append(Dated(at, decode_changes(record.value)))
                    except BadChangeError:
                        dated.append(Dated(at, ()))
                read_counts[tp.partition] = read_counts.get(tp.partition, 0) + len(records)
    for number, count in enumerate(counts):
        if read_counts.get(number, 0) < count:
            raise WireError(
                f"{kafka.catalog_topic}-{number} shows {read_counts.get(number, 0)} of its {count} records.",
                way_out="Replay again; look into the broker's log if it stays so.",
            )
    rows = sorted(
        (one.at, number, place) for number, dated in found.items() for place, one in enumerate(dated)
    )
    return [found[number][place] for _, number, place in rows]


class AsItWas:
    """Catalogue and ladder of one partition, moved along with its triggers.

    Args:
        make: gives both as the catalogue was built.
        changes: of the catalog topic, in order.
    """

    def __init__(self, make: Callable[[], Awaitable[Thinking]], changes: Sequence[Dated]) -> None:
        self._make = make
        self._changes = changes
        self._thinking: Thinking | None = None
        self._taken = 0

    def same(self, one: int, other: int) -> bool:
        """Whether the catalogue is the same at two times of sending."""
        return self._until(one) == self._until(other)

    async def at(self, moment: int) -> Thinking:
        """Ladder and recall as they were at a time of sending; going back begins anew from the build."""
        wanted = self._until(moment)
        if self._thinking is None or wanted < self._taken:
            self._thinking, self._taken = await self._make(), 0
        living = self._thinking.living
        for one in self._changes[self._taken : wanted]:
            if one.changes:
                living.apply(one.changes)
                living.settle()
        self._taken = wanted
        return self._thinking

    def _until(self, moment: int) -> int:
        """How many changes have taken effect."""
        return bisect_right(self._changes, moment, key=attrgetter("at"))
