"""A worker's log: lines for people, or one JSON object a line, with the triggers that a line is about.

No line has a password: what stands before ``@`` in an address is left out, whatever library wrote it.
"""

from __future__ import annotations

import contextlib
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["JsonLines", "LogFormat", "TextLines", "about_triggers", "use_format", "without_secrets"]

LogFormat: TypeAlias = Literal["text", "json"]

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]*:[^\s/@]*@|(?<=://):?[^\s/@:]+@")
_MOST_TRIGGERS = 64
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_triggers: ContextVar[Sequence[str]] = ContextVar("triggers", default=())


@contextlib.contextmanager
def about_triggers(ids: Sequence[str]) -> Iterator[None]:
    """Let every line logged meanwhile, also in tasks and threads begun here, name these triggers."""
    token = _triggers.set(ids)
    try:
        yield
    finally:
        _triggers.reset(token)


def without_secrets(text: str) -> str:
    """``text`` without user and password of the addresses in it."""
    return _CREDENTIALS.sub("***@", text) if "@" in text else text


class TextLines(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """One record; an error's traceback follows on lines of its own."""
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line.

    Fields: ``at`` (UTC, milliseconds), ``level``, ``logger``, ``message``, ``worker``; where there are any
    ``triggers`` (ids), ``error`` (traceback), and what the caller gave as ``extra``.
    """

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        at = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
            "worker": self._worker,
        }
        if triggers := _triggers.get():
            line["triggers"] = list(triggers[:_MOST_TRIGGERS])
        if record.exc_info:
            line["error"] = without_secrets(self.formatException(record.exc_info))
        for name, value in vars(record).items():
            if name not in _OWN and name not in line:
                line[name] = value if isinstance(value, int | float | bool) else without_secrets(str(value))
        return msgspec.json.encode(line).decode()


def use_format(kind: LogFormat, worker: str) -> None:
    """Let the handlers of the root logger write in this format."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines(worker) if kind == "json" else TextLines())
