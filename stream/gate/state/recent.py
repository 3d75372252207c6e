"""A shopper's newest events, as the bytes that checkpoints and triggers carry.

An event is encoded once, when it is applied, to one line of JSON; checkpoints and triggers take the lines as they are,
in one run of bytes, oldest first. Whether an event is among them is asked of a run of hashes, eight bytes each. So a
shopper is a few objects in place of a hundred: a worker holds more of them, and each is quicker to search and to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

if TYPE_CHECKING:
    from stream.events import Event

__all__ = ["Recent", "RecentEvents", "fingerprint"]


class Recent(msgspec.Struct, array_like=True, gc=False):
    """One recent event as checkpoints and triggers carry it: an array in this order; what is missing is empty.

    The item's category is not in it: whoever reads it has the catalogue.
    """

    event_id: str
    type: str
    ts: int
    item_id: str = ""
    scene: str = ""
    query: str = ""
    quantity: int = 0
    cents: int = 0


class _Beginning(msgspec.Struct, array_like=True, gc=False):
    """The part of a line that says which and when."""

    event_id: str
    type: str
    ts: int


_encode = msgspec.json.encode
_decode_beginning = msgspec.json.Decoder(_Beginning).decode
_decode_all = msgspec.json.Decoder(list[Recent]).decode
_HASH = 8


def fingerprint(event_id: str) -> bytes:
    """Eight bytes by which to look for an id; they mean nothing outside this process."""
    return hash(event_id).to_bytes(_HASH, "little", signed=True)


class RecentEvents:
    """The newest ``capacity`` events of one shopper, ascending in event time; equal times in order of arrival.

    Lines are joined, and the oldest cut off, when they are asked for: once a checkpoint and not once an event.

    Attributes:
        seen: the fingerprint of each, in their order.
    """

    __slots__ = ("_added", "_joined", "_lines", "seen")

    def __init__(self) -> None:
        self._lines = b""  # each line as b"\n[...]", a comma between them; so many are joined:
        self._joined = 0
        self._added: list[bytes] = []
        self.seen = b""

    def __len__(self) -> int:
        return len(self.seen) // _HASH

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecentEvents) and self.lines() == other.lines()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def has(self, event_id: str) -> bool:
        """Whether an event whose fingerprint was seen is truly among them."""
        return b"\n[%b," % _encode(event_id) in self.lines()

    def add(self, event: Event, cents: int, print_: bytes, capacity: int, *, newest: bool) -> None:
        """Put an event among them; ``newest`` says that none is newer."""
        scene, query, quantity = event.scene, event.query, event.quantity
        fields: tuple[str | int, ...]
        if cents or quantity:
            fields = (
                event.event_id, event.type, event.ts, event.item_id or "", scene or "", query or "", quantity or 0, cents,
            )  # fmt: skip
        elif query:
            fields = (event.event_id, event.type, event.ts, event.item_id or "", scene or "", query)
        elif scene:
            fields = (event.event_id, event.type, event.ts, event.item_id or "", scene)
        else:
            fields = (event.event_id, event.type, event.ts, event.item_id or "")
        if newest:
            self._added.append(_encode(fields))
        else:
            print_ = self._insert(_encode(fields), event.ts, print_)
        seen = self.seen + print_
        self.seen = seen if len(seen) <= capacity * _HASH else seen[_HASH:]

    def oldest_ts(self) -> int:
        """Event time of the oldest, in milliseconds. There must be one."""
        lines = self.lines()
        end = lines.find(b",\n")
        return _decode_beginning(lines if end < 0 else lines[:end]).ts

    def lines(self) -> bytes:
        """The events as what stands between the brackets of a JSON array of :class:`Recent`, oldest first."""
        lines, added = self._lines, self._added
        kept = len(self.seen) // _HASH
        if added:
            if len(added) >= kept:
                lines = b"\n" + b",\n".join(added[-kept:])
                self._joined = kept
            else:
                lines = b",\n".join((lines, *added)) if lines else b"\n" + b",\n".join(added)
                self._joined += len(added)
            self._added = []
        if self._joined > kept:
            start = 0
            for _ in range(self._joined - kept):
                start = lines.find(b"\n", start + 1)
            lines = lines[start:]
            self._joined = kept
        self._lines = lines
        return lines

    def decode(self) -> list[Recent]:
        """The events, oldest first."""
        return _decode_all(b"[%b]" % self.lines())

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The events of a JSON array with :meth:`lines`. Raises ``msgspec.DecodeError`` for anything else."""
        found = _decode_all(data)
        if data.count(b"\n[") != len(found):
            raise msgspec.DecodeError("the recent events are not one a line")
        events = cls()
        events._lines = data[1:-1]
        events._joined = len(found)
        events.seen = b"".join([fingerprint(recent.event_id) for recent in found])
        return events

    def _insert(self, line: bytes, ts: int, print_: bytes) -> bytes:
        """Put a line that came out of order at its place, after all that are not newer; give the last fingerprint.

        The fingerprints keep the order of the lines: the last one moves out, to be added anew at the end.
        """
        lines, number = self.lines(), len(self)
        place = len(lines)
        while number:
            start = lines.rfind(b"\n", 0, place)
            if _decode_beginning(lines[start:place]).ts <= ts:
                break
            place = max(start - 1, 0)  # before the comma
            number -= 1
        before, after = lines[:place], lines[place:].lstrip(b",")
        self._lines = b",".join([part for part in (before, b"\n" + line, after) if part])
        self._joined += 1
        seen = self.seen
        cut = number * _HASH
        seen = seen[:cut] + print_ + seen[cut:]
        self.seen = seen[:-_HASH]
        return seen[-_HASH:]
