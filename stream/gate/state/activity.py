"""What the gate remembers of one shopper, and how that is written down.

Everything here is a function of the events applied, not of the moment they were read or written down: recent events
are the newest by event time, the ledger adds whole cents, what is forgotten is forgotten when an event is applied, down
to the order of keys. So a crash and a second reading give the same bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Annotated

import cramjam
import msgspec

from stream.errors import CheckpointError
from stream.gate.state.ledger import Ledger, week_of
from stream.gate.state.recent import RecentEvents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.events import Event

__all__ = ["STATE_VERSION", "Activity"]

STATE_VERSION = 2

_MINUTE_MS = 60_000
# A state longer than this is compressed: first by LZ4, which costs 3 microseconds, and where that does not bring it
# below, as with random ids, by Zstandard, which costs 12.
_PLAIN_BYTES = 1_024
_LZ4, _ZSTD = b"L", b"Z"  # a state that is not compressed begins with "["
_ZSTD_LEVEL = 1


class _State(msgspec.Struct, array_like=True):
    """A shopper's state in Redis: an array in this order."""

    version: int
    seq: int
    last_ts: int
    last_fired: int
    built: int
    minute_ends: int
    in_minute: int
    fired: dict[str, Annotated[list[int], msgspec.Meta(min_length=2, max_length=2)]]
    counts: dict[str, list[int]]
    ledger: msgspec.Raw
    recent: msgspec.Raw


_encode = msgspec.json.encode
_decode_state = msgspec.json.Decoder(_State).decode


class Activity:
    """One shopper's state in the memory of the worker that owns the partition.

    Attributes:
        seq: triggers so far, over all rules; the version of the shopper's next slate.
        last_ts: newest event time seen, in milliseconds.
        last_fired: event time of the last trigger of any rule.
        fired: rule id to [triggers so far, event time of the last].
        counts: key of a condition to the event times that count for it, ascending.
        ledger: what was bought; None if nothing was.
        recent: the newest events.
        built: generation of the partition's rules that the counts belong to (``stream.gate.rules.in_force``).
        minute_ends: event time at which the newest minute ends, and ``in_minute`` its events so far.
        size: bytes of the state, not compressed, when it was last written or read.
    """

    __slots__ = (
        "built", "counts", "fired", "in_minute", "last_fired", "last_ts", "ledger", "minute_ends", "recent",
        "seq", "size",
    )  # fmt: skip

    def __init__(self) -> None:
        self.seq = 0
        self.last_ts = 0
        self.last_fired = 0
        self.fired: dict[str, list[int]] = {}
        self.counts: dict[str, list[int]] = {}
        self.ledger: Ledger | None = None
        self.recent = RecentEvents()
        self.built = 0
        self.minute_ends = 0
        self.in_minute = 0
        self.size = 0

    def remember(self, event: Event, cents: int, print_: bytes, capacity: int) -> None:
        """Put ``event`` among the recent ones, of which the newest ``capacity`` are kept.

        ``print_`` is its id's :func:`stream.gate.state.recent.fingerprint`.
        """
        newest = event.ts >= self.last_ts
        if newest:
            self.last_ts = event.ts
        self.recent.add(event, cents, print_, capacity, newest=newest)

    def too_old_to_know(self, ts: int, capacity: int) -> bool:
        """Whether recent events no longer reach back to ``ts``, so that a duplicate could not be told."""
        return len(self.recent) >= capacity and ts < self.recent.oldest_ts()

    def beyond(self, ts: int, limit: int) -> bool:
        """Count one event in; say whether it is beyond ``limit`` events in the newest minute of event time.

        An event of an earlier minute is not, so that the order of arrival leaves no trace.
        """
        ends = self.minute_ends
        if ts >= ends:
            self.minute_ends = ts - ts % _MINUTE_MS + _MINUTE_MS
            self.in_minute = 1
            return False
        if ts < ends - _MINUTE_MS:
            return False
        self.in_minute += 1
        return self.in_minute > limit

    def enter(self, ts: int, category: str, cents: int, quantity: int, weeks: int) -> None:
        """Add a purchase to the weekly ledger, which keeps ``weeks`` weeks back from the newest event."""
        if self.ledger is None:
            self.ledger = Ledger()
        self.ledger.enter(ts, category, cents, quantity)
        self.ledger.forget_before(week_of(self.last_ts) - weeks)

    def sweep(self, windows: Mapping[str, int]) -> None:
        """Forget counted times that have left their window, or whose condition is no longer in force.

        ``windows`` gives the window of each condition in force, by the part of its key before "|".
        """
        kept = {}
        for key, times in self.counts.items():
            oldest = self.last_ts - windows.get(key.partition("|")[0], -1)
            if times and times[-1] >= oldest:
                kept[key] = times[bisect_left(times, oldest) :]
        self.counts = kept

    def ledger_json(self, weeks: int) -> bytes:
        """The ledger as a JSON array of :class:`~stream.gate.state.ledger.LedgerEntry`, oldest first, ``weeks`` back."""
        if self.ledger is None:
            return b"[]"
        self.ledger.forget_before(week_of(self.last_ts) - weeks)
        return self.ledger.json()

    def encode(self) -> bytes:
        """The state as Redis keeps it. Equal activity gives equal bytes."""
        head = _encode(
            (
                STATE_VERSION,
                self.seq,
                self.last_ts,
                self.last_fired,
                self.built,
                self.minute_ends,
                self.in_minute,
                self.fired,
                self.counts,
            )
        )
        ledger = self.ledger
        bought = b"[]" if ledger is None else ledger.json()
        data = b"".join((head[:-1], b",", bought, b",[", self.recent.lines(), b"]]"))
        self.size = len(data)
        return data if len(data) <= _PLAIN_BYTES else _compressed(data)

    @classmethod
    def decode(cls, data: bytes, user: str) -> Activity:
        """The activity that :meth:`encode` wrote.

        Raises:
            CheckpointError: the bytes are not a state of this version.
        """
        try:
            text = _plain(data)
            version = msgspec.json.decode(text, type=list[msgspec.Raw])[0]
            if bytes(version) != b"%d" % STATE_VERSION:
                raise CheckpointError(
                    f"The state of user {user!r} is of version {bytes(version)[:20].decode(errors='replace')}, "
                    f"this worker reads {STATE_VERSION}.",
                    way_out="Run the version of Nearline that wrote it.",
                )
            state = _decode_state(text)
            recent = RecentEvents.of(bytes(state.recent))
            ledger = bytes(state.ledger)
            activity = cls()
            activity.ledger = Ledger(ledger) if ledger != b"[]" else None
        except (msgspec.DecodeError, cramjam.DecompressionError, IndexError, RecursionError) as error:
            raise CheckpointError(
                f"The state of user {user!r} in Redis is damaged: {error}.",
                way_out="Restore Redis from its backup, or delete that key to start this shopper afresh.",
            ) from error
        activity.seq = state.seq
        activity.last_ts = state.last_ts
        activity.last_fired = state.last_fired
        activity.built = state.built
        activity.minute_ends = state.minute_ends
        activity.in_minute = state.in_minute
        activity.fired = state.fired
        activity.counts = state.counts
        activity.recent = recent
        activity.size = len(text)
        return activity


def _compressed(data: bytes) -> bytes:
    packed = _LZ4 + bytes(cramjam.lz4.compress_block(data))
    return packed if len(packed) <= _PLAIN_BYTES else _ZSTD + bytes(cramjam.zstd.compress(data, _ZSTD_LEVEL))


def _plain(data: bytes) -> bytes:
    kind = data[:1]
    if kind == _LZ4:
        return bytes(cramjam.lz4.decompress_block(data[1:]))
    if kind == _ZSTD:
        return bytes(cramjam.zstd.decompress(data[1:]))
    return data
