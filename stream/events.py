"""What a shopper did: the event, its decoding from Kafka bytes, and what can be wrong with it.

Decoding happens once per event on the hot path, so the edge is typed by msgspec (a pydantic model
costs a quarter of the gate's rate). Every defect has a reason from :class:`Defect`; an event with
a defect goes to the dead-letter topic with that reason, and nothing is dropped in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, cast, get_args

import msgspec

from stream.cloud_events import ENVELOPE_MARK, EnvelopeError, event_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "EARLIEST_TS",
    "EVENT_TYPES",
    "Defect",
    "DefectiveEventError",
    "Event",
    "EventDecoder",
    "EventType",
    "Limits",
    "clean_text",
    "event_struct",
]


EARLIEST_TS = 946_684_800_000  # 2000-01-01: older clocks are broken clocks


class EventType(StrEnum):
    """What a shopper did."""

    VIEW = "view"  # opened an item's detail page
    CLICK = "click"  # clicked an item in a list
    SEARCH = "search"  # typed a query
    FAVORITE = "favorite"  # saved an item
    CART = "cart"  # put an item into the cart
    ORDER = "order"  # bought an item (one event per order line)
    INQUIRY = "inquiry"  # asked a seller about an item
    IMAGE_SEARCH = "image_search"  # searched by picture
    IMPRESSION = "impression"  # was shown an item


EVENT_TYPES: frozenset[str] = frozenset(kind.value for kind in EventType)

_NEEDS_ITEM = EVENT_TYPES - {"search", "image_search"}


class Defect(StrEnum):
    """Why an event is dead. The part before the colon of a dead event's reason."""

    EMPTY = "empty"  # the record has no value
    TOO_LARGE = "too_large"  # the record is longer than `max_event_bytes`
    MALFORMED = "malformed"  # not JSON, not UTF-8, or nested too deeply
    WRONG_TYPE = "wrong_type"  # a field is missing or holds a value of another type
    UNKNOWN_TYPE = "unknown_type"  # `type` is none of the event types
    BAD_ID = "bad_id"  # an id is blank, too long, or has control characters
    BAD_TIME = "bad_time"  # `ts` is absurd or in the future
    BAD_AMOUNT = "bad_amount"  # `quantity` or `amount` is negative or absurd
    MISSING_FIELD = "missing_field"  # this type of event needs a field that is not there
    GATE_ERROR = "gate_error"  # the gate failed on this event; its words follow


class DefectiveEventError(Exception):
    """Raised inside the decoder; becomes a dead event, never leaves the gate."""

    user_id = None  # it belongs to no shopper

    def __init__(self, defect: Defect, detail: str) -> None:
        super().__init__(f"{defect}: {detail}")
        self.defect = defect
        self.detail = detail


class Event(Protocol):
    """One thing a shopper did. ``ts`` is event time, UTC, in milliseconds."""

    event_id: str
    user_id: str
    type: str
    ts: int
    item_id: str | None
    query: str | None
    quantity: int | None
    amount: float | None
    scene: str | None
    session_id: str | None
    synthetic: bool | None


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds beyond which an event's values are absurd."""

    max_event_bytes: int = 65_536
    max_id_chars: int = 128
    max_query_chars: int = 200
    earliest_ts: int = EARLIEST_TS
    future_ms: int = 600_000  # ten minutes of clock skew are forgiven
    max_quantity: int = 1_000_000
    max_amount: float = 1e9


_FIELDS: list[tuple[str, object] | tuple[str, object, object]] = [
    ("event_id", str),
    ("user_id", str),
    ("type", str),
    ("ts", int),
    ("item_id", str | None, None),
    ("query", str | None, None),
    ("quantity", int | None, None),
    ("amount", float | None, None),
    ("scene", str | None, None),
    ("session_id", str | None, None),
    ("synthetic", bool | None, None),
]

# C0, DEL and C1 controls, line and paragraph separators, and the marks that reorder text on screen.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")


def clean_text(text: str, limit: int) -> str:
    """``text`` with control and bidirectional marks as spaces, white space folded, at most ``limit`` characters."""
    if not text.isprintable():
        text = _CONTROLS.sub(" ", text)
    return " ".join(text.split())[:limit].rstrip()


def _within(name: str, kind: Any, limits: Limits) -> Any:
    """The type of a field with the bounds that a sound value keeps."""
    meta = msgspec.Meta
    bounds: dict[str, Any] = {
        "event_id": meta(min_length=1, max_length=limits.max_id_chars),
        "user_id": meta(min_length=1, max_length=limits.max_id_chars),
        "item_id": meta(min_length=1, max_length=limits.max_id_chars),
        "scene": meta(max_length=limits.max_id_chars),
        "session_id": meta(max_length=limits.max_id_chars),
        "ts": meta(ge=limits.earliest_ts),
        "quantity": meta(gt=0, le=limits.max_quantity),
        "amount": meta(ge=0, le=limits.max_amount),
    }
    if name == "type":
        return Literal[tuple(sorted(EVENT_TYPES))]
    if name not in bounds:
        return kind
    plain, *none = get_args(kind) or (kind,)
    return Annotated[plain, bounds[name]] | None if none else Annotated[plain, bounds[name]]


def event_struct(limits: Limits | None = None) -> type:
    """The type that sound events are decoded to, of a topic without names or a type of its own."""
    limits = limits or Limits()
    spec = [(name, _within(name, kind, limits), *default) for name, kind, *default in _FIELDS]
    return msgspec.defstruct("Event", spec, kw_only=True)


def _decoder(spec: list[tuple[Any, ...]], fields: Mapping[str, str] | None) -> Callable[[bytes], Event]:
    """Decodes one kind of event; ``fields`` are the names that the topic uses for ours."""
    struct = msgspec.defstruct(
        "Event",
        spec,
        rename=dict(fields) if fields else None,
        kw_only=True,
        gc=False,  # events form no cycles; untracked structs keep the collector out of the hot path
    )
    return cast("Callable[[bytes], Event]", msgspec.json.Decoder(struct).decode)


class EventDecoder:
    """Decodes the records of one topic.

    ``fields`` maps our field names to the topic's (``{"user_id": "uid"}``), so that a topic that
    exists already can be consumed as it is. ``event_type`` is the type of all its events where
    they do not say it themselves. An event may come in a CloudEvents envelope (:mod:`stream.cloud_events`).
    """

    __slots__ = ("_decode", "_decode_sound", "_limits", "_names", "_typed", "cloud_events", "fields_dropped")

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        event_type: str | None = None,
    ) -> None:
        spec: list[tuple[Any, ...]] = [
            ("type", str, event_type) if event_type and field[0] == "type" else field for field in _FIELDS
        ]
        self._limits = limits = limits or Limits()
        self._names = dict(fields or {})
        self._typed = bool(event_type)
        self._decode = _decoder(spec, fields)
        bounded = [(name, _within(name, kind, limits), *default) for name, kind, *default in spec]
        self._decode_sound = _decoder(bounded, fields)
        self.fields_dropped = 0
        self.cloud_events = 0

    def decode(self, value: bytes | None, now: int) -> Event:
        """The event in ``value``, valid in every field; ``now``, in milliseconds, is where the future begins.

        Raises:
            DefectiveEventError: with the defect and what was wrong.
        """
        event = self._sound(value, now) if value else None
        return event if event is not None else self._examine(value, now)

    def _sound(self, value: bytes, now: int) -> Event | None:
        """The event, if the quick way can tell that nothing is wrong with it and nothing to be cleaned.

        Nearly every event is sound, and its types, lengths and bounds are told by msgspec while it reads.
        """
        limits = self._limits
        if len(value) > limits.max_event_bytes:
            return None
        try:
            event = self._decode_sound(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        event_id, user, item = event.event_id, event.user_id, event.item_id
        scene, session = event.scene, event.session_id
        if event.ts > now + limits.future_ms or not (event_id.isprintable() and user.isprintable()):
            return None
        if event_id.isspace() or user.isspace():
            return None
        if item is None:
            if event.type in _NEEDS_ITEM:
                return None
        elif not item.isprintable() or item.isspace():
            return None
        if (scene and not scene.isprintable()) or (session and not session.isprintable()):
            return None
        if event.query is not None:
            event.query = clean_text(event.query, limits.max_query_chars) or None
        return event if event.query or event.type != "search" else None

    def _unwrap(self, value: bytes, now: int) -> Event:
        """The event in a CloudEvents envelope."""
        try:
            inside = event_inside(value, self._names, typed=self._typed)
        except EnvelopeError as error:
            detail = f"a CloudEvents envelope: {error}"
            raise DefectiveEventError(Defect.WRONG_TYPE, detail) from None
        event = self._sound(inside, now) or self._examine(inside, now, wrapped=True)
        self.cloud_events += 1
        return event

    def _examine(self, value: bytes | None, now: int, *, wrapped: bool = False) -> Event:
        """What :meth:`decode` does, step by step: for what is unusual, or has something wrong with it."""
        limits = self._limits
        if not value:
            raise DefectiveEventError(Defect.EMPTY, "the record has no value")
        if len(value) > limits.max_event_bytes:
            raise DefectiveEventError(
                Defect.TOO_LARGE, f"{len(value)} bytes, at most {limits.max_event_bytes} are read"
            )
        try:
            event = self._decode(value)
        except msgspec.ValidationError as error:
            if not wrapped and ENVELOPE_MARK in value:
                return self._unwrap(value, now)
            raise DefectiveEventError(Defect.WRONG_TYPE, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DefectiveEventError(Defect.MALFORMED, str(error)) from None
        kind = event.type
        if kind not in EVENT_TYPES:
            raise DefectiveEventError(Defect.UNKNOWN_TYPE, f"{kind[:40]!r}")
        self._check_ids(event)
        if not limits.earliest_ts <= event.ts <= now + limits.future_ms:
            raise DefectiveEventError(
                Defect.BAD_TIME, f"ts {event.ts}, expected milliseconds since 1970, not in the future"
            )
        if kind == "order" or event.quantity is not None or event.amount is not None:
            self._check_amounts(event)
        if event.query is not None:
            event.query = clean_text(event.query, limits.max_query_chars) or None
        if kind == "search":
            if not event.query:
                raise DefectiveEventError(Defect.MISSING_FIELD, "a search needs `query`")
        elif kind in _NEEDS_ITEM and not event.item_id:
            raise DefectiveEventError(Defect.MISSING_FIELD, f"an event of type {kind} needs `item_id`")
        self._drop_unusable(event)
        return event

    def _check_ids(self, event: Event) -> None:
        limit = self._limits.max_id_chars
        for name, value in (("event_id", event.event_id), ("user_id", event.user_id)):
            if not 0 < len(value) <= limit or not value.isprintable() or value.isspace():
                raise DefectiveEventError(
                    Defect.BAD_ID, f"{name} is blank, longer than {limit} characters or not printable"
                )

    def _check_amounts(self, event: Event) -> None:
        limits = self._limits
        quantity, amount = event.quantity, event.amount
        if quantity is not None and not 0 < quantity <= limits.max_quantity:
            raise DefectiveEventError(
                Defect.BAD_AMOUNT, f"quantity {quantity}, expected 1 to {limits.max_quantity}"
            )
        if amount is not None and not 0 <= amount <= limits.max_amount:
            raise DefectiveEventError(
                Defect.BAD_AMOUNT, f"amount {amount}, expected 0 to {limits.max_amount:g}"
            )

    def _drop_unusable(self, event: Event) -> None:
        """Drop optional ids and scenes that no state should carry; the event itself is good."""
        limit = self._limits.max_id_chars
        item = event.item_id
        if item and (len(item) > limit or not item.isprintable() or item.isspace()):
            if event.type in _NEEDS_ITEM:
                raise DefectiveEventError(
                    Defect.BAD_ID, f"item_id is blank, longer than {limit} characters or not printable"
                )
            event.item_id = None
            self.fields_dropped += 1
        if event.scene and (len(event.scene) > limit or not event.scene.isprintable()):
            event.scene = None
            self.fields_dropped += 1
        if event.session_id and (len(event.session_id) > limit or not event.session_id.isprintable()):
            event.session_id = None
            self.fields_dropped += 1
