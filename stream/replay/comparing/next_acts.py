"""What shoppers really did after a trigger, and what of it a run's slates would have had."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stream.replay.run import rows_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, TypeAlias

    from stream.replay.comparing.columns import Book, Columns

    Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
    Chosen: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

__all__ = ["Acts", "Shown", "acts_after", "by_kind", "hits_of"]


class Acts(NamedTuple):
    """Clicks and orders: who (a number), when (ms), of which kind (a place in ``kinds``), and of which item (a number)."""

    users: Numbers
    ts: Numbers
    kind: Numbers
    items: Numbers
    kinds: list[str]

    def counted(self) -> dict[str, int]:
        """How many there are, by kind."""
        counts = np.bincount(self.kind, minlength=len(self.kinds))
        return {kind: int(count) for kind, count in sorted(zip(self.kinds, counts, strict=True)) if count}


class Shown:
    """Which slate of a run a shopper would have seen at a moment: the newest that was made for them before it."""

    def __init__(self, columns: Columns) -> None:
        rows = np.flatnonzero(columns.served)
        order = np.lexsort((rows, columns.ts[rows], columns.users[rows]))
        self._rows = rows[order]
        self._users, self._ts = columns.users[self._rows].astype(np.int64), columns.ts[self._rows]
        self._first = int(self._ts.min()) if len(rows) else 0
        self._last = int(self._ts.max()) if len(rows) else 0
        self._bits = (self._last - self._first + 2).bit_length()
        self._keys = self._key(self._users, self._ts)

    def before(self, users: Numbers, ts: Numbers, *, within: int | None = None, at: bool = False) -> Numbers:
        """Row of the slate that each of these shoppers would have seen at these times; -1 for none.

        Args:
            users: as numbers.
            ts: milliseconds.
            within: how old a slate may be.
            at: whether one that was made in that millisecond counts.
        """
        if not len(self._rows) or not len(users):
            return np.full(len(users), -1, np.int64)
        found = np.searchsorted(self._keys, self._key(users, ts), side="right" if at else "left") - 1
        good = (found >= 0) & (self._users[found] == users)
        if within is not None:
            good &= ts - self._ts[found] <= within
        return np.where(good, self._rows[found], -1)

    def _key(self, users: Numbers, ts: Numbers) -> Numbers:
        """Shopper and time as one number, ordered by both; times outside the slates' are just outside."""
        return (users << self._bits) | (np.clip(ts, self._first - 1, self._last + 1) - self._first + 1)


def acts_after(folder: Path, book: Book, shown: tuple[Shown, Shown], horizon: int) -> Acts:
    """What shoppers did within ``horizon`` milliseconds after a trigger of theirs in either run.

    Raises:
        RunError: the table is missing or damaged.
    """
    kinds: dict[str, int] = {}
    values = array("q")
    for user, at, kind, item in rows_of(folder, "acts", ("user", "ts", "type", "item")):
        values.extend((book.users(user), at, kinds.setdefault(kind, len(kinds)), book.items(item)))
    table = np.array(values, np.int64).reshape(-1, 4)
    users, ts = table[:, 0], table[:, 1]
    counts = np.zeros(len(table), np.bool_)
    for one in shown:
        counts |= one.before(users, ts, within=horizon) >= 0
    table = table[counts]
    return Acts(table[:, 0], table[:, 1], table[:, 2], table[:, 3], list(kinds))


def hits_of(columns: Columns, shown: Shown, acts: Acts, horizon: int) -> Numbers:
    """Of each act the place, from 1, that its item had in the slate the shopper would have seen; 0 where it was not in it."""
    rows = shown.before(acts.users, acts.ts, within=horizon)
    places = np.zeros(len(rows), np.int64)
    for at in np.flatnonzero(rows >= 0):
        slate = columns.slates[int(rows[at])]
        item = int(acts.items[at])
        if item in slate:
            places[at] = slate.index(item) + 1
    return places


def by_kind(acts: Acts, chosen: Chosen) -> dict[str, int]:
    """How many of the chosen acts are of each kind."""
    counts = Counter(acts.kinds[kind] for kind in acts.kind[chosen].tolist())
    return {kind: counts[kind] for kind in sorted(acts.counted())}
