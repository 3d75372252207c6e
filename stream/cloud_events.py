"""Events in CloudEvents envelopes (version 1.0, structured JSON): opened where an event is not one by itself.

The envelope's ``data`` is the event. What it does not say itself the envelope does: ``id`` is the event's id,
``time`` its time, ``subject`` the shopper, and the last part of ``type`` (``com.example.view``) its type. In binary mode
the record's value is the data; it is read as any event, and must be a whole one: headers are not recorded with it.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime  # msgspec resolves the annotation at run time
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENVELOPE_MARK", "EnvelopeError", "event_inside"]

ENVELOPE_MARK = b'"specversion"'
"""What is asked of a record that is no event: only with it is an envelope looked for."""


class EnvelopeError(Exception):
    """The record is an envelope, and what is in it is no event; the message says why."""


class _Envelope(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    time: datetime | None = None
    subject: str | None = None
    data: dict[str, Any] | None = None
    data_base64: str | None = None


_decode = msgspec.json.Decoder(_Envelope).decode


def event_inside(value: bytes, names: Mapping[str, str], *, typed: bool) -> bytes:
    """The event in the envelope ``value``, as JSON.

    Args:
        value: a record's value.
        names: the topic's names for our fields.
        typed: whether the topic has a type for events that do not say theirs.

    Raises:
        EnvelopeError: it is no envelope that we can read.
    """
    try:
        envelope = _decode(value)
        if envelope.specversion != "1.0":
            raise EnvelopeError(f"specversion {envelope.specversion[:20]!r}, expected '1.0'")
        event = envelope.data
        if event is None and envelope.data_base64 is not None:
            event = msgspec.json.decode(
                base64.b64decode(envelope.data_base64, validate=True), type=dict[str, Any]
            )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error) as error:
        raise EnvelopeError(str(error)) from None
    if event is None:
        raise EnvelopeError("it has no data")
    said: dict[str, Any] = {"event_id": envelope.id}
    if envelope.time is not None:
        said["ts"] = int(envelope.time.timestamp() * 1000)
    if envelope.subject is not None:
        said["user_id"] = envelope.subject
    if not typed:
        said["type"] = envelope.type.rpartition(".")[2]
    for field, content in said.items():
        event.setdefault(names.get(field, field), content)
    return msgspec.json.encode(event)
