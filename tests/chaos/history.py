"""The history of a run: JSON Lines, one thing that happened a line, and all that the checker gets to see.

=========  =========================================================================================
``kind``   what the line says
=========  =========================================================================================
meta       seed, event topics in their order, number of partitions, the gate's limits, as configured
rules      text of a version of the rules; 0 is the rules file
boundary   partition, generation, version: from which offsets on a version is in force there
sent       events of one wave: handed to the broker at ``at``, all acknowledged at ``acked``
fault      what was done to whom, and when; ``kills`` says how many processes got SIGKILL
exit       a worker that ended by itself or was asked to: its code and last words
end        whether the workers came to the end of the topics in time, and why not
record     a record of an event topic: topic, partition, offset, timestamp, value
trigger    value of a record of the trigger topic, in the topic's order
dead       value of a record of the dead topic
state      partition, user and value of a state in Redis
offsets    partition and value of a partition's offsets and accounting in Redis
=========  =========================================================================================

Values are text; bytes that are no UTF-8 are kept by ``surrogateescape``, null is no value at all.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

__all__ = ["History", "as_bytes", "as_text", "read_history"]


def as_text(value: bytes | None) -> str | None:
    """``value`` as a line of the history keeps it."""
    return None if value is None else value.decode("utf-8", "surrogateescape")


def as_bytes(text: str | None) -> bytes | None:
    """What :func:`as_text` was given."""
    return None if text is None else text.encode("utf-8", "surrogateescape")


class History:
    """Writes a history, from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = gzip.open(path, "wt", encoding="ascii", compresslevel=1)  # noqa: SIM115  # closed by __exit__
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def now(self) -> float:
        """Seconds since the history began."""
        return round(time.monotonic() - self._began, 3)

    def write(self, kind: str, **fields: Any) -> None:
        """Add a line."""
        line = json.dumps({"kind": kind, **fields}, ensure_ascii=True, separators=(",", ":"))
        with self._lock:
            self._file.write(line + "\n")


def read_history(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a history, in their order."""
    with gzip.open(path, "rt", encoding="ascii") as lines:
        for line in lines:
            yield json.loads(line)
