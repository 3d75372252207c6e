"""A cassette: every call of a model and its answer, found again by what was asked.

One SQLite file, portable between machines. Numbers of vectors are stored as they are, so an answer that is played back is the
answer that was given, bit for bit. What a call and its address are is in :mod:`stream.replay.calls`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
from cramjam import zstd

from stream.replay.calls import Call, Mode, Model
from stream.replay.errors import CallMissingError, CassetteError, OtherModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["Cassette", "Recorded", "Summary"]

SCHEMA = 1
_APPLICATION = 0x6E6C6361  # "nlca"
_BUSY_S = 60.0
"""How long another process that shares the file may be writing."""
_TABLES = """
CREATE TABLE models (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, runtime TEXT NOT NULL, model TEXT NOT NULL, hash TEXT NOT NULL,
    detail BLOB NOT NULL, UNIQUE (kind, runtime, model, hash)
);
CREATE TABLE calls (
    key BLOB PRIMARY KEY, model INTEGER NOT NULL REFERENCES models (id), asked BLOB NOT NULL, answer BLOB NOT NULL,
    made_in TEXT NOT NULL, made_at INTEGER NOT NULL
) WITHOUT ROWID;
"""


_ANSWERS = "SELECT key, answer FROM calls WHERE made_at >= ? AND key IN ({})"
# SQLite's oldest limit on the values of a statement is 999.
_TOGETHER = 500
# A cassette is read in no order: pages that the system has are not copied for it.
_MAPPED_BYTES = 2**30
# Of two processes that made the same call at the same time the first one's answer counts, for both.
_PUT = """
INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    model = excluded.model, asked = excluded.asked, answer = excluded.answer, made_in = excluded.made_in,
    made_at = excluded.made_at
WHERE calls.made_at < ?
"""


class Recorded(NamedTuple):
    """A call in the cassette. ``made_in`` is the mode it was recorded in; ``made_at`` wall clock, milliseconds."""

    key: bytes
    call: Call
    answer: bytes
    made_in: str
    made_at: int


class Summary(NamedTuple):
    """What a cassette holds of one model: calls, those that a replay had to make, and bytes."""

    model: Model
    calls: int
    marked: int
    bytes: int


class Cassette:
    """A cassette that is open; safe to share between threads. A context manager.

    Args:
        path: the file; made where it is not there, unless only read.
        mode: what it is used for.
        since: when this recording began, as another process that shares in it was told; now if not given.

    Attributes:
        since: when this recording began, milliseconds; answers since then are its own, whichever process made them.
        hits: calls answered by it, and ``misses`` those that went to the model.

    Raises:
        CassetteError: there is no such file, or it is no cassette of this version.
    """

    def __init__(self, path: Path, mode: Mode, *, since: int | None = None) -> None:
        self.path = path
        self.mode = mode
        self.hits = 0
        self.misses = 0
        self._lock = threading.Lock()
        self._models: dict[Model, int] = {}
        new = not path.exists()
        if new and mode is not Mode.RECORD:
            raise CassetteError(
                f"There is no cassette {path}.", way_out="Record one first: --cassette FILE --mode record."
            )
        reading = mode is Mode.STRICT
        try:
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if reading else 'rwc'}",
                uri=True,
                check_same_thread=False,
                timeout=_BUSY_S,
            )
            if new:
                self._db.executescript(
                    f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={SCHEMA}; {_TABLES}"
                )
            self._db.execute(f"PRAGMA mmap_size={_MAPPED_BYTES}")
            known = self._db.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise CassetteError(
                f"{path} cannot be opened: {error}.",
                way_out="Check that it is a cassette and may be written.",
            ) from error
        self.since = 0
        if known and mode is Mode.RECORD:
            newest = self._db.execute("SELECT coalesce(max(made_at), 0) FROM calls").fetchone()[0]
            self.since = since or max(_now(), newest + 1)
        if not known or version != SCHEMA:
            self._db.close()
            told = f"of version {version}, and this program reads {SCHEMA}" if known else "no cassette"
            raise CassetteError(
                f"{path} is {told}.", way_out="Record one anew: --cassette FILE --mode record."
            )

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the file; what was put is in it."""
        self._db.close()

    def check(self, model: Model) -> None:
        """Refuse a model whose answers the cassette does not hold while it holds another's of the same kind.

        Raises:
            OtherModelError: naming both.
        """
        if self.mode in {Mode.OFF, Mode.RECORD}:
            return
        others = [one for one, _ in self.models() if one.kind == model.kind]
        if others and model not in others:
            held = ", ".join(f"{one.runtime} {one.model} ({one.hash[:19]})" for one in others)
            raise OtherModelError(
                f"{self.path} holds {model.kind} calls of {held}, and set is {model.runtime} {model.model} "
                f"({model.hash[:19]}).",
                way_out="Set the model that it was made with, or record another cassette: --mode record.",
            )

    def models(self) -> list[tuple[Model, dict[str, Any]]]:
        """The models in it, with what is known of each."""
        with self._lock:
            rows = self._db.execute(
                "SELECT kind, runtime, model, hash, detail FROM models ORDER BY id"
            ).fetchall()
        return [(Model(*row[:4]), msgspec.json.decode(row[4])) for row in rows]

    def get(self, calls: Sequence[Call]) -> list[bytes | None]:
        """The answers to calls, None for those it lacks; in a recording, only those made in it count.

        Raises:
            CallMissingError: it lacks one and is strict.
        """
        keys = [call.key for call in calls]
        with self._lock:
            answers = self._held(keys)
        found = [answers.get(key) for key in keys]
        lacking = found.count(None)
        if lacking and self.mode is Mode.STRICT:
            raise CallMissingError(
                f"{self.path} does not have a call: {calls[found.index(None)].shown()}.",
                way_out="Replay with --mode replay to ask the model for what is missing.",
            )
        self.hits += len(found) - lacking
        self.misses += lacking
        return found

    def put(
        self, answered: Sequence[tuple[Call, bytes]], detail: dict[str, Any] | None = None
    ) -> list[bytes]:
        """Store answers, in one transaction; return those that count.

        An earlier recording's answer is replaced; one of this recording, or of this replay, stays.

        Raises:
            CassetteError: the file cannot be written.
        """
        now = max(_now(), self.since)
        with self._lock:
            try:
                with self._db:
                    self._db.executemany(
                        _PUT,
                        [
                            (
                                call.key,
                                self._model(call.model, detail or {}),
                                bytes(zstd.compress(msgspec.json.encode(call[1:]))),
                                answer,
                                str(self.mode),
                                now,
                                self.since,
                            )
                            for call, answer in answered
                        ],
                    )
                keys = [call.key for call, _ in answered]
                held = self._held(keys)
            except sqlite3.Error as error:
                raise CassetteError(
                    f"{self.path} cannot be written: {error}.", way_out="Check disk and permissions."
                ) from error
        return [held[key] for key in keys]

    def _held(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The answers that it has and that count, by the addresses of their calls."""
        answers: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _TOGETHER):
            some = keys[start : start + _TOGETHER]
            asked = _ANSWERS.format(",".join("?" * len(some)))
            answers.update(self._db.execute(asked, (self.since, *some)))
        return answers

    def _model(self, model: Model, detail: dict[str, Any]) -> int:
        number = self._models.get(model)
        if number is None:
            self._db.execute(
                "INSERT OR IGNORE INTO models (kind, runtime, model, hash, detail) VALUES (?, ?, ?, ?, ?)",
                (*model, msgspec.json.encode(detail)),
            )
            row = self._db.execute(
                "SELECT id FROM models WHERE (kind, runtime, model, hash) = (?, ?, ?, ?)", model
            ).fetchone()
            number = self._models[model] = int(row[0])
        return number

    def summary(self) -> list[Summary]:
        """What it holds, by model."""
        rows = self._db.execute(
            "SELECT kind, runtime, m.model, hash, count(key), coalesce(sum(made_in = 'replay'), 0),"
            " coalesce(sum(length(asked) + length(answer)), 0)"
            " FROM models m LEFT JOIN calls c ON c.model = m.id GROUP BY m.id ORDER BY m.id"
        )
        return [Summary(Model(*row[:4]), *row[4:]) for row in rows.fetchall()]

    def find(self, address: str) -> Iterator[Recorded]:
        """Yield the calls whose address begins so (hexadecimal), in the order of addresses."""
        rows = self._db.execute(
            "SELECT key, kind, runtime, m.model, hash, asked, answer, made_in, made_at"
            " FROM calls c JOIN models m ON m.id = c.model WHERE lower(hex(key)) LIKE ? || '%' ORDER BY key",
            (address.lower(),),
        )
        for key, kind, runtime, model, digest, asked, answer, made_in, made_at in rows:
            prompt, parameters, text = msgspec.json.decode(bytes(zstd.decompress(asked)))
            yield Recorded(
                key,
                Call(Model(kind, runtime, model, digest), prompt, parameters, text),
                answer,
                made_in,
                made_at,
            )

    def compact(self, *, drop: Sequence[str] = ()) -> tuple[int, int, int]:
        """Forget the models whose hash begins with one of ``drop``, and give the space back.

        Returns:
            Calls forgotten, bytes before and bytes after.

        Raises:
            CassetteError: no model has such a hash, or the file cannot be written.
        """
        before = self.path.stat().st_size
        held = [model.hash for model, _ in self.models()]
        for prefix in drop:
            if not prefix or not any(digest.startswith(prefix) for digest in held):
                raise CassetteError(
                    f"{self.path} has no model whose hash begins with {prefix!r}.",
                    way_out="`nearline cassette list` shows them.",
                )
        gone = 0
        try:
            with self._db:
                for digest in held:
                    if any(digest.startswith(prefix) for prefix in drop):
                        where = "model IN (SELECT id FROM models WHERE hash = ?)"
                        gone += self._db.execute(f"DELETE FROM calls WHERE {where}", (digest,)).rowcount  # noqa: S608  # no text of anybody's
                        self._db.execute("DELETE FROM models WHERE hash = ?", (digest,))
            self._db.execute("VACUUM")
        except sqlite3.Error as error:
            raise CassetteError(
                f"{self.path} cannot be written: {error}.", way_out="Check disk and permissions."
            ) from error
        return gone, before, self.path.stat().st_size


def _now() -> int:
    return time.time_ns() // 1_000_000
