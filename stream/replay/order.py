"""The order in which a capture's records are applied.

Of a partition it is the gate's own (:mod:`stream.gate.merge`): by the time a record was sent, then event time, then topic
and offset. What partitions lead to is put together by time of sending, then topic, partition and offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.events import EARLIEST_TS, DefectiveEventError, EventDecoder, Limits
from stream.gate.gate import Arrival
from stream.gate.merge import Horizon, Merge, next_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stream.events import Event
    from stream.replay.capture import Capture, Record
    from stream.replay.manifest import Part
    from stream.settings import GateSettings

__all__ = ["arrivals_of"]

_EVER = float("inf")


def arrivals_of(
    capture: Capture, parts: Sequence[Part], gate: GateSettings, users: frozenset[str] | None = None
) -> Iterator[list[Arrival]]:
    """Yield the events of one partition's topics in the gate's order, a batch at a time.

    Args:
        capture: where they lie.
        parts: of one partition, in the order of the topics.
        gate: bounds of events, as they are live.
        users: only events of these shoppers; what is no event has none and is left out with them.
    """
    limits = Limits(max_event_bytes=gate.max_event_bytes, future_ms=int(gate.future_s * 1000))
    doors = {topic.topic: topic for topic in capture.manifest.event_topics}
    decoders = {
        part.topic: EventDecoder(limits, fields=doors[part.topic].fields, event_type=doors[part.topic].type)
        for part in parts
    }
    keys = frozenset(user.encode() for user in users) if users is not None else None
    merge = Merge([part.topic for part in parts], 0.0, 0.0)
    open_ = {part.topic: capture.read(part, keys) for part in parts}
    # Of a record without a time of sending, the recording's end decides what is the future; no clock of the replay does.
    otherwise = capture.manifest.asked.until
    while open_ or len(merge):
        if open_:
            # The topic furthest behind: what the others have read of a later time waits for it.
            topic = min(open_, key=merge.frontier)
            records = next(open_[topic], None)
            if records is None:
                del open_[topic]
            else:
                merge.add(topic, _decoded(topic, records, decoders[topic], merge, users, otherwise), 0.0)
        if ready := merge.release(Horizon(open_.keys(), _EVER, 0.0), 0.0):
            yield ready


def _decoded(
    topic: str,
    records: Sequence[Record],
    decoder: EventDecoder,
    merge: Merge,
    users: frozenset[str] | None,
    otherwise: int,
) -> list[Arrival]:
    decode = decoder.decode
    key = merge.frontier(topic)
    arrivals = []
    for offset, timestamp, _, value in records:
        event: Event | DefectiveEventError
        try:
            event = decode(value, timestamp if timestamp > EARLIEST_TS else otherwise)
        except DefectiveEventError as error:
            event, ts = error, None
        else:
            ts = event.ts
        if users is not None and (event.user_id is None or event.user_id not in users):
            continue
        key = next_key(key, timestamp, ts)
        arrivals.append(Arrival(key, topic, offset, event, value, timestamp))
    return arrivals
