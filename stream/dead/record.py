"""The dead record: what could not be used, where it came from and why."""

from __future__ import annotations

import base64
from typing import NamedTuple

import msgspec

__all__ = ["MAX_PAYLOAD_BYTES", "DeadRecord", "Origin", "dead_record"]

MAX_PAYLOAD_BYTES = 65_536  # a dead record must itself fit on the topic, whatever killed the event


class Origin(NamedTuple):
    """Where a record lies on the broker."""

    topic: str
    partition: int
    offset: int


class DeadRecord(msgspec.Struct, omit_defaults=True):
    """A record of the topic ``nearline.dead``.

    ``value`` is the original as text; where it is not UTF-8 it is base64 in ``value_base64``.
    ``size`` is the original's length in bytes; a longer one than the limit is cut and says so.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    at: int
    size: int
    value: str | None = None
    value_base64: str | None = None
    cut: bool = False

    def original(self) -> bytes:
        """The original bytes, as far as they were kept. Raises ``ValueError`` if they cannot be read."""
        if self.value_base64 is not None:
            return base64.b64decode(self.value_base64, validate=True)
        return (self.value or "").encode()


def dead_record(value: bytes | None, origin: Origin, reason: str, detail: str, now: int) -> bytes:
    """JSON of the dead record for ``value``; ``now`` is the wall clock in milliseconds."""
    payload = (value or b"")[:MAX_PAYLOAD_BYTES]
    text: str | None = None
    encoded: str | None = None
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        encoded = base64.b64encode(payload).decode("ascii")
    return msgspec.json.encode(
        DeadRecord(
            reason=reason,
            detail=detail[:500],
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            at=now,
            size=len(value or b""),
            value=text,
            value_base64=encoded,
            cut=len(value or b"") > MAX_PAYLOAD_BYTES,
        )
    )
