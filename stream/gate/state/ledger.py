"""What a shopper bought, by week and category, in whole cents.

Most shoppers in memory buy nothing between two checkpoints, so a ledger is bytes, opened when it is written into and
closed when it is written down: opened it takes seven times the memory.
"""

from __future__ import annotations

import msgspec

__all__ = ["DAY_MS", "WEEK_MS", "Ledger", "LedgerEntry", "week_of"]

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
_MONDAY = 3  # 1970-01-01 was a Thursday: three days later than its week's Monday


class LedgerEntry(msgspec.Struct, array_like=True, gc=False):
    """What a shopper bought of one category in one week. ``week`` counts Mondays since 1970."""

    week: int
    category: str
    cents: int
    quantity: int
    lines: int


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(list[LedgerEntry]).decode


def week_of(ts: int) -> int:
    """The week of ``ts`` (milliseconds), counted in Mondays since 1970."""
    return (ts // DAY_MS + _MONDAY) // 7


class Ledger:
    """The ledger of one shopper, from its JSON or empty.

    Attributes:
        first_week: oldest week in it; 0 where it is empty.
    """

    __slots__ = ("_entries", "_json", "first_week")

    def __init__(self, data: bytes | None = None) -> None:
        """Take a ledger as :meth:`json` gave it. Raises ``msgspec.DecodeError`` for anything else."""
        self._entries: dict[tuple[int, str], list[int]] | None = None if data else {}
        self._json = data
        entries = _decode(data) if data else ()
        self.first_week = entries[0].week if entries else 0

    def enter(self, ts: int, category: str, cents: int, quantity: int) -> None:
        """Add a purchase at the event time ``ts``."""
        week = week_of(ts)
        entries = self._opened()
        entry = entries.get((week, category))
        if entry is None:
            entries[week, category] = [cents, quantity, 1]
            self.first_week = min(self.first_week or week, week)
        else:
            entry[0] += cents
            entry[1] += quantity
            entry[2] += 1
        self._json = None

    def forget_before(self, week: int) -> None:
        """Forget the weeks before ``week``."""
        if self.first_week >= week:
            return
        kept = {key: entry for key, entry in self._opened().items() if key[0] >= week}
        self._entries, self._json = kept, None
        self.first_week = min(kept)[0] if kept else 0

    def entries(self) -> list[LedgerEntry]:
        """The entries by week and category."""
        return _decode(self.json())

    def json(self) -> bytes:
        """The ledger as a JSON array of :class:`LedgerEntry`, by week and category."""
        data = self._json
        if data is None:
            rows = sorted(self._opened().items())
            self._json = data = _encode([(*key, *entry) for key, entry in rows])
            self._entries = None  # most of a shopper's memory otherwise, until the next purchase
        return data

    def _opened(self) -> dict[tuple[int, str], list[int]]:
        if self._entries is None:
            self._entries = {
                (e.week, e.category): [e.cents, e.quantity, e.lines] for e in _decode(self._json or b"[]")
            }
        return self._entries
