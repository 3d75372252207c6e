"""The trigger: a shopper is worth a thought, and here is all that the thought needs.

A trigger carries a snapshot of the shopper's activity, so inference needs no state and a trigger
read twice gives the same prompt. Its id is a function of the shopper, the rule and how often the
rule has fired for the shopper, so a trigger published again after a crash is the same trigger.
"""

from __future__ import annotations

import hashlib

import msgspec

from stream.gate.state.ledger import LedgerEntry
from stream.gate.state.recent import Recent

__all__ = ["Trigger", "TriggerHead", "decode_trigger", "encode_trigger", "trigger_id"]


class Trigger(msgspec.Struct, gc=False):
    """A record of the topic ``nearline.triggers``.

    Attributes:
        id: the same for the same firing, however often it is published.
        rule: id of the rule that fired; ``rules`` is the version of the rule set.
        user: whom it is about.
        seq: the shopper's triggers up to this one, over all rules; the version of the slate.
        event_id: the event that fired the rule.
        ts: its event time, milliseconds.
        sent_at: when that event was sent, by its Kafka record's timestamp, milliseconds.
        made_at: when the rule fired, wall clock, milliseconds.
        recent: the shopper's recent events, oldest first.
        ledger: what the shopper bought by week and category.
    """

    id: str
    rule: str
    rules: str
    user: str
    seq: int
    event_id: str
    ts: int
    sent_at: int
    made_at: int
    recent: list[Recent]
    ledger: list[LedgerEntry]


class TriggerHead(msgspec.Struct, gc=False):
    """A trigger without its snapshot, for what only counts or logs triggers."""

    id: str
    rule: str
    user: str
    seq: int
    ts: int
    made_at: int


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Trigger).decode


def trigger_id(user: str, rule: str, ordinal: int) -> str:
    """Id of the ``ordinal``-th firing of ``rule`` for ``user``."""
    return hashlib.blake2b(f"{user}\0{rule}\0{ordinal}".encode(), digest_size=10).hexdigest()


def encode_trigger(head: dict[str, object], recent: bytes, ledger: bytes) -> bytes:
    """JSON of a trigger whose snapshot is encoded already (see ``Activity.recent_json``)."""
    return b"".join((_encode(head)[:-1], b',"recent":', recent, b',"ledger":', ledger, b"}"))


def decode_trigger(value: bytes) -> Trigger:
    """The trigger in a Kafka record's value.

    Raises:
        msgspec.DecodeError: the bytes are not a trigger.
    """
    return _decode(value)
