"""The order in which a capture's records are applied.

Of a partition it is the gate's own (:mod:`stream.gate.merge`): by the time a record was sent, then event time, then topic
and offset. What partitions lead to is put together by time of sending, then topic, partition and offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.events import EventDecoder, Limits
from stream.gate.arrivals import arrivals
from stream.gate.merge import Horizon, Merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stream.gate.gate import Arrival
    from stream.replay.capture import Capture
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
                merge.add(topic, arrivals(topic, records, decoders[topic], merge, otherwise, users), 0.0)
        if ready := merge.release(Horizon(open_.keys(), _EVER, 0.0), 0.0):
            yield ready
