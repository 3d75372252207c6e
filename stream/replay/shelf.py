"""Shoppers that a replay has no room for in memory: written out to a temporary file, and read back when they return."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from stream.gate.state.activity import Activity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from stream.gate.gate import Arrival, Partition

__all__ = ["Shelf"]

# Not just below, or there would be as much to do after every batch.
_KEPT_SHARE = 0.8


class Shelf:
    """The shelf of one partition; a context manager. States are kept as the checkpoint keeps them.

    Args:
        most: bytes of memory that the partition's shoppers may take.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Use it; a file is made when it is first needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget all that is on it."""
        if self._db is not None:
            self._db.close()
        if self._folder is not None:
            self._folder.cleanup()

    def load(self, partition: Partition, batch: Sequence[Arrival]) -> None:
        """Bring the shoppers of a batch back into memory."""
        if self._db is None:
            return
        known = partition.users
        for user in dict.fromkeys(
            user for a in batch if (user := a.event.user_id) is not None and user not in known
        ):
            row = self._db.execute("SELECT state FROM shoppers WHERE user = ?", (user,)).fetchone()
            if row is not None:
                known[user] = activity = Activity.decode(row[0], user)
                partition.state_bytes += activity.size

    def keep(self, partition: Partition) -> None:
        """Write out what is beyond the cap, those idle longest first; with room for all, take note of nothing."""
        if partition.memory_bytes <= self._most:
            return
        if self._db is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nearline-replay-")
            self._db = sqlite3.connect(Path(self._folder.name) / "shoppers.sqlite")
            self._db.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                "CREATE TABLE shoppers (user TEXT PRIMARY KEY, state BLOB) WITHOUT ROWID;"
            )
        users = partition.users
        before = sum(users[user].size for user in partition.dirty)
        states = [(user, users[user].encode()) for user in sorted(partition.dirty)]
        partition.state_bytes += sum(users[user].size for user in partition.dirty) - before
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO shoppers VALUES (?, ?)", states)
        partition.written()
        partition.forget_idle(int(partition.memory_bytes - _KEPT_SHARE * self._most))
