"""Finds dead records on their topic. What is not a dead record is found too, and called unreadable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.dead.record import DeadRecord
from stream.recorded import RecordedTopics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from stream.settings import KafkaSettings

__all__ = ["Dead", "Filters", "dead_at", "find_dead", "is_place", "one_dead", "user_of"]

_PLACE = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)
_decode = msgspec.json.Decoder(DeadRecord).decode


class Dead(NamedTuple):
    """A record of the dead topic: where it lies there, what it says, and its bytes.

    ``record`` is None where the bytes are no dead record. ``user`` is the original's, if it can be read.
    """

    partition: int
    offset: int
    record: DeadRecord | None
    value: bytes
    user: str | None

    @property
    def place(self) -> str:
        """``PARTITION:OFFSET``."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which dead records are meant; all that is given must hold.

    Attributes:
        reasons: reasons (:class:`stream.events.Defect`).
        topics: topics the originals came from.
        since, until: when they died, milliseconds; ``until`` is not included.
        users: shoppers, where the original says one.
    """

    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None
    users: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether everything is meant."""
        return self == Filters()

    def match(self, dead: Dead) -> bool:
        """Whether ``dead`` is meant. What is unreadable is meant only if nothing is filtered."""
        record = dead.record
        if record is None:
            return self.empty
        return (
            (not self.reasons or record.reason in self.reasons)
            and (not self.topics or record.topic in self.topics)
            and (self.since is None or record.at >= self.since)
            and (self.until is None or record.at < self.until)
            and (not self.users or dead.user in self.users)
        )


def user_of(record: DeadRecord, kafka: KafkaSettings) -> str | None:
    """The shopper that the original names, under the topic's own name for that field; None if none."""
    field = "user_id"
    for topic in kafka.event_topics:
        if kafka.prefix + topic.topic == record.topic:
            field = topic.fields.get("user_id", field)
    if record.topic == kafka.triggers_topic:
        field = "user"
    try:
        original = msgspec.json.decode(record.original())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    user = original.get(field) if isinstance(original, dict) else None
    return user if isinstance(user, str) and user else None


async def find_dead(kafka: KafkaSettings, filters: Filters) -> AsyncIterator[Dead]:
    """Yield what is on the dead topic now and meets ``filters``, in order along each partition.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    async with RecordedTopics(kafka, [kafka.dead_topic]) as topics:
        parts = [tp for found in (await topics.partitions()).values() for tp in found]
        if not parts:
            return
        # A record is sent after the moment it gives as its death, so no earlier one is missed.
        starts = await topics.starts(parts, filters.since)
        async for read, _ in topics.read(starts):
            for tp, records in read.items():
                for found in records:
                    dead = _dead(tp.partition, found.offset, found.value or b"", kafka)
                    if filters.match(dead):
                        yield dead


def is_place(text: str) -> bool:
    """Whether ``text`` names a place on the dead topic, ``PARTITION:OFFSET``."""
    return _PLACE.fullmatch(text) is not None


async def one_dead(kafka: KafkaSettings, place: str) -> Dead | None:
    """The record at one place of the dead topic; None if there is none (any more)."""
    async for dead in dead_at(kafka, [place]):
        return dead
    return None


async def dead_at(kafka: KafkaSettings, places: Collection[str]) -> AsyncIterator[Dead]:
    """Yield the records at these places (``PARTITION:OFFSET``), as far as they are there.

    Raises:
        ValueError: a place is none.
        BrokerUnavailableError: the broker does not answer.
    """
    wanted: dict[int, set[int]] = {}
    for place in places:
        number, _, offset = place.partition(":")
        wanted.setdefault(int(number), set()).add(int(offset))
    async with RecordedTopics(kafka, [kafka.dead_topic]) as topics:
        parts = [
            tp for number, found in (await topics.partitions()).items() if number in wanted for tp in found
        ]
        if not parts:
            return
        first = await topics.starts(parts, None)
        begin = {
            tp: min(there)
            for tp in parts
            if (there := [offset for offset in wanted[tp.partition] if offset >= first[tp]])
        }
        left = set(begin)
        if not left:
            return
        async for read, _ in topics.read(begin):
            for tp, records in read.items():
                last = max(wanted[tp.partition])
                for found in records:
                    if found.offset in wanted[tp.partition]:
                        yield _dead(tp.partition, found.offset, found.value or b"", kafka)
                    if found.offset >= last:
                        left.discard(tp)
            if not left:
                return


def _dead(partition: int, offset: int, value: bytes, kafka: KafkaSettings) -> Dead:
    try:
        record: DeadRecord | None = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = None
    user = user_of(record, kafka) if record is not None else None
    return Dead(partition, offset, record, value, user)
