"""What a record on an event topic says, or why it says nothing: the first half of the plain model.

Like :mod:`tests.chaos.model` it is written from the documents and imports nothing of the product.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

__all__ = ["Dead", "Event", "Limits", "judge"]

TYPES = {"view", "click", "search", "favorite", "cart", "order", "inquiry", "image_search", "impression"}
EARLIEST = 946_684_800_000  # 2000-01-01
WORD = str, type(None)


@dataclass(frozen=True)
class Limits:
    """The gate's limits, as the run configured them."""

    lateness_ms: int
    recent_events: int
    ledger_weeks: int
    max_event_bytes: int
    future_ms: int


@dataclass(frozen=True)
class Dead:
    """A record that is no event, and why."""

    reason: str


@dataclass(frozen=True)
class Event:
    """A record that is an event."""

    event_id: str
    user: str
    type: str
    ts: int
    item: str
    query: str
    quantity: int
    cents: int
    scene: str
    session: str

    def recent(self) -> list[Any]:
        """As snapshots carry it."""
        return [
            self.event_id,
            self.type,
            self.ts,
            self.item,
            self.scene,
            self.query,
            self.quantity,
            self.cents,
        ]


def judge(value: bytes | None, sent_at: int, topic_type: str | None, limits: Limits) -> Event | Dead:
    """What a record says, or why it says nothing."""
    if not value:
        return Dead("empty")
    if len(value) > limits.max_event_bytes:
        return Dead("too_large")
    try:
        data = json.loads(value.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Dead("malformed")
    if not isinstance(data, dict):
        return Dead("wrong_type")
    if topic_type is not None:
        data.setdefault("type", topic_type)
    whole = [isinstance(data.get(name), str) for name in ("event_id", "user_id", "type")]
    whole.append(_number(data.get("ts"), int))
    whole += [isinstance(data.get(name), WORD) for name in ("item_id", "query", "scene", "session_id")]
    whole.append(data.get("quantity") is None or _number(data["quantity"], int))
    whole.append(data.get("amount") is None or _number(data["amount"], (int, float)))
    whole.append(data.get("synthetic") is None or isinstance(data["synthetic"], bool))
    if not all(whole):
        return Dead("wrong_type")
    kind = data["type"]
    if kind not in TYPES:
        return Dead("unknown_type")
    if not (_good_id(data["event_id"]) and _good_id(data["user_id"])):
        return Dead("bad_id")
    if not EARLIEST <= data["ts"] <= sent_at + limits.future_ms:
        return Dead("bad_time")
    quantity, amount = data.get("quantity"), data.get("amount")
    if (quantity is not None and not 1 <= quantity <= 1_000_000) or (
        amount is not None and not 0 <= amount <= 1e9
    ):
        return Dead("bad_amount")
    query = _folded(data.get("query") or "")
    item = data.get("item_id") or ""
    if kind == "search" and not query:
        return Dead("missing_field")
    if kind not in {"search", "image_search"}:
        if not item:
            return Dead("missing_field")
        if not _good_id(item):
            return Dead("bad_id")
    elif item and not _good_id(item):
        item = ""
    return Event(
        data["event_id"],
        data["user_id"],
        kind,
        data["ts"],
        item,
        query,
        quantity or 0,
        round(amount * 100) if amount else 0,
        _usable(data.get("scene")),
        _usable(data.get("session_id")),
    )


def _refuse(name: str) -> None:
    raise ValueError(name)


def _number(value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _good_id(text: str) -> bool:
    return 0 < len(text) <= 128 and text.isprintable() and not text.isspace()


def _usable(text: str | None) -> str:
    return text if text and len(text) <= 128 and text.isprintable() else ""


def _folded(text: str) -> str:
    """Without control and direction marks, white space folded, at most 200 characters."""
    kept = "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} or c in "\u200e\u200f\ufeff" else c for c in text
    )
    kept = re.sub("[\u202a-\u202e\u2066-\u2069]", " ", kept)
    return " ".join(kept.split())[:200].rstrip()
