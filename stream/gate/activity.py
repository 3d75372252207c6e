"""What the gate remembers of one shopper, and how that is written down.

The ring of recent events holds each event as the bytes it will have in checkpoints and triggers, so
neither encodes it again; its keys are the set in which duplicates are found. Everything here is
a function of the events applied, not of the moment they were read: the ring keeps the newest by
event time, the ledger adds whole cents, and so a crash and a second reading give the same bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from stream.errors import CheckpointError

if TYPE_CHECKING:
    from stream.events import Event

__all__ = [
    "DAY_MS",
    "STATE_VERSION",
    "WEEK_MS",
    "Activity",
    "LedgerEntry",
    "Recent",
    "decode_recent",
    "week_of",
]

STATE_VERSION = 1

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
_MONDAY = 3  # 1970-01-01 was a Thursday: three days later than its week's Monday


class Recent(msgspec.Struct, array_like=True, gc=False, omit_defaults=True):
    """One recent event as checkpoints and triggers carry it: an array in this order."""

    event_id: str
    type: str
    ts: int
    item_id: str = ""
    query: str = ""
    category: str = ""
    quantity: int = 0
    cents: int = 0
    scene: str = ""


class LedgerEntry(msgspec.Struct, array_like=True, gc=False):
    """What a shopper bought of one category in one week. ``week`` counts Mondays since 1970."""

    week: int
    category: str
    cents: int
    quantity: int
    lines: int


class _State(msgspec.Struct, array_like=True):
    """A shopper's state in Redis: an array in this order."""

    version: int
    seq: int
    last_ts: int
    last_fired: int
    fired: dict[str, Annotated[list[int], msgspec.Meta(min_length=2, max_length=2)]]
    counts: dict[str, list[int]]
    ledger: list[LedgerEntry]
    ring: list[msgspec.Raw]
    built: int = 0


_encode = msgspec.json.encode
_decode_state = msgspec.json.Decoder(_State).decode
decode_recent = msgspec.json.Decoder(Recent).decode


def week_of(ts: int) -> int:
    """The week of ``ts`` (milliseconds), counted in Mondays since 1970."""
    return (ts // DAY_MS + _MONDAY) // 7


class Activity:
    """One shopper's state in the memory of the worker that owns the partition.

    Attributes:
        seq: triggers so far, over all rules; the version of the shopper's next slate.
        last_ts: newest event time seen, in milliseconds.
        last_fired: event time of the last trigger of any rule.
        fired: rule id to [triggers so far, event time of the last].
        counts: key of a condition to the event times that count for it, ascending.
        ledger: (week, category) to [cents, quantity, lines].
        ring: event id to (event time, encoded :class:`Recent`), ascending in event time.
        built: generation of the partition's rules that the counts belong to (``stream.gate.in_force``).
        touched: number of the checkpoint in whose second the shopper was last active.
    """

    __slots__ = ("built", "counts", "fired", "last_fired", "last_ts", "ledger", "ring", "seq", "touched")

    def __init__(self) -> None:
        self.seq = 0
        self.last_ts = 0
        self.last_fired = 0
        self.fired: dict[str, list[int]] = {}
        self.counts: dict[str, list[int]] = {}
        self.ledger: dict[tuple[int, str], list[int]] = {}
        self.ring: dict[str, tuple[int, bytes]] = {}
        self.built = 0
        self.touched = 0

    def remember(self, event: Event, category: str, cents: int, capacity: int) -> None:
        """Put ``event`` into the ring, which keeps the newest ``capacity`` events."""
        ts = event.ts
        fragment = _encode(
            Recent(
                event.event_id,
                event.type,
                ts,
                event.item_id or "",
                event.query or "",
                category,
                event.quantity or 0,
                cents,
                event.scene or "",
            )
        )
        ring = self.ring
        ring[event.event_id] = (ts, fragment)
        if ts < self.last_ts:  # arrived out of order: the sort is stable, so ties keep their order
            self.ring = ring = dict(sorted(ring.items(), key=lambda entry: entry[1][0]))
        else:
            self.last_ts = ts
        if len(ring) > capacity:
            del ring[next(iter(ring))]

    def too_old_to_know(self, ts: int, capacity: int) -> bool:
        """Whether the ring no longer reaches back to ``ts``, so that a duplicate could not be told."""
        ring = self.ring
        return len(ring) >= capacity and ts < ring[next(iter(ring))][0]

    def enter(self, ts: int, category: str, cents: int, quantity: int) -> None:
        """Add a purchase to the weekly ledger."""
        key = (week_of(ts), category)
        entry = self.ledger.get(key)
        if entry is None:
            self.ledger[key] = [cents, quantity, 1]
        else:
            entry[0] += cents
            entry[1] += quantity
            entry[2] += 1

    def trim(self, ledger_weeks: int, windows: dict[str, int]) -> None:
        """Forget ledger weeks and counted times that can no longer matter.

        ``windows`` gives the window of each condition in force, by the part of its key before "|".
        When and how often this is called changes nothing but the memory taken; called before
        :meth:`encode` it makes the bytes a function of the events alone.
        """
        if self.ledger:
            oldest = week_of(self.last_ts) - ledger_weeks
            if min(self.ledger)[0] < oldest:
                self.ledger = {key: entry for key, entry in self.ledger.items() if key[0] >= oldest}
        counts = self.counts
        for key in list(counts):
            times = counts[key]
            oldest = self.last_ts - windows.get(key.partition("|")[0], -1)
            if not times or times[-1] < oldest:
                del counts[key]
            elif times[0] < oldest:
                del times[: bisect_left(times, oldest)]

    def ring_json(self) -> bytes:
        """The ring as a JSON array of :class:`Recent`, oldest first."""
        return b"[" + b",".join([fragment for _, fragment in self.ring.values()]) + b"]"

    def ledger_json(self) -> bytes:
        """The ledger as a JSON array of :class:`LedgerEntry`, oldest first."""
        if not self.ledger:
            return b"[]"
        return _encode([[week, category, *entry] for (week, category), entry in sorted(self.ledger.items())])

    def encode(self) -> bytes:
        """The state as Redis keeps it. Equal activity gives equal bytes."""
        head = _encode([STATE_VERSION, self.seq, self.last_ts, self.last_fired])
        fired = _encode(self.fired, order="sorted") if self.fired else b"{}"
        counts = _encode(self.counts, order="sorted") if self.counts else b"{}"
        tail = b",%d]" % self.built if self.built else b"]"
        return b",".join((head[:-1], fired, counts, self.ledger_json(), self.ring_json())) + tail

    @classmethod
    def decode(cls, data: bytes, user: str) -> Activity:
        """The activity that :meth:`encode` wrote.

        Raises:
            CheckpointError: the bytes are not a state of this version.
        """
        try:
            version = msgspec.json.decode(data, type=list[Any])[0]
            if version != STATE_VERSION:
                raise CheckpointError(
                    f"The state of user {user!r} is of version {version}, this worker reads {STATE_VERSION}.",
                    way_out="Run the version of Nearline that wrote it.",
                )
            state = _decode_state(data)
            ring = {}
            for raw in state.ring:
                recent = decode_recent(raw)
                ring[recent.event_id] = (recent.ts, bytes(raw))
        except (msgspec.DecodeError, IndexError, RecursionError) as error:
            raise CheckpointError(
                f"The state of user {user!r} in Redis is damaged: {error}.",
                way_out="Restore Redis from its backup, or delete that key to start this shopper afresh.",
            ) from error
        activity = cls()
        activity.seq = state.seq
        activity.last_ts = state.last_ts
        activity.last_fired = state.last_fired
        activity.fired = state.fired
        activity.counts = state.counts
        activity.ledger = {(e.week, e.category): [e.cents, e.quantity, e.lines] for e in state.ledger}
        activity.ring = ring
        activity.built = state.built
        return activity
