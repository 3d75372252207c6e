"""Records of an event topic as the gate applies them: decoded, each with its place in the partition's order.

The same for what is read live, simulated and replayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stream.events import EARLIEST_TS, DefectiveEventError
from stream.gate.gate import Arrival
from stream.gate.merge import next_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.events import Event, EventDecoder
    from stream.gate.merge import Merge

__all__ = ["arrivals"]


class _Record(Protocol):
    """What is asked of a record; a client's own, or one of a capture."""

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int | None: ...

    @property
    def value(self) -> bytes | None: ...


def arrivals(
    topic: str,
    records: Iterable[_Record],
    decoder: EventDecoder,
    merge: Merge,
    otherwise: int,
    users: frozenset[str] | None = None,
) -> list[Arrival]:
    """Decode the next records of one topic.

    Args:
        topic: whose records they are.
        records: in the order of their offsets.
        decoder: of this topic.
        merge: what they are added to next; says how far the topic is.
        otherwise: where the future begins for a record that does not say when it was sent, in milliseconds.
        users: only events of these shoppers; what is no event has none and is left out with them.
    """
    decode = decoder.decode
    key = merge.frontier(topic)
    found = []
    for record in records:
        value, sent_at = record.value, record.timestamp or -1
        event: Event | DefectiveEventError
        try:
            # Whether a time is in the future is judged by when the record was sent, so that
            # a second reading judges alike; by the reader's clock where the record does not say.
            event = decode(value, sent_at if sent_at > EARLIEST_TS else otherwise)
        except DefectiveEventError as error:
            event, ts = error, None
        else:
            ts = event.ts
        if users is not None and (event.user_id is None or event.user_id not in users):
            continue
        key = next_key(key, sent_at, ts)
        found.append(Arrival(key, topic, record.offset, event, value, sent_at))
    return found
