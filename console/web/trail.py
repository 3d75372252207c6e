"""The trail: who signed in, who changed what, and what was refused. A stream in Redis, and lines of JSON.

``nl:console:trail`` is a Redis stream, cut to ``console.audit_entries``; its fields are those of :class:`Entry`, all text.
The line of JSON is written first, so that a change is on record even where Redis goes away right after it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec

from console.errors import ConsoleError
from stream.redis_client import TRANSIENT

if TYPE_CHECKING:
    from pathlib import Path

    from redis.asyncio import Redis

__all__ = ["Entry", "Trail"]

log = logging.getLogger("console.trail")

_LONGEST = 500


class Entry(msgspec.Struct, frozen=True):
    """One act. ``at`` is wall clock, milliseconds; ``what`` e.g. ``rules applied``; ``on`` what it was done to."""

    at: int
    who: str
    what: str
    on: str = ""
    detail: str = ""
    address: str = ""


class Trail:
    """Writes and reads the trail.

    Args:
        redis: where the stream is; ``prefix`` stands before its key.
        prefix: before the key.
        file: gets lines of JSON; the log of the process if None.
        keep: entries kept in Redis, roughly.

    Raises:
        ConsoleError: the file cannot be written.
    """

    def __init__(self, redis: Redis, prefix: str, file: Path | None, keep: int) -> None:
        self._redis = redis
        self._key = f"{prefix}console:trail"
        self._file = file
        self._keep = keep
        if file is not None:
            try:
                file.open("ab").close()
            except OSError as error:
                raise ConsoleError(
                    f"The audit log {file} cannot be written ({error}).",
                    way_out="Set console.audit_log to a file in a folder that exists and may be written.",
                ) from error

    async def ready(self) -> None:
        """Return if a change could be put on record; ask before making one.

        Raises:
            ConsoleError: the file cannot be written.
        """
        if self._file is not None:
            await self._to_file(self._file, b"")

    async def write(self, who: str, what: str, *, on: str = "", detail: str = "", address: str = "") -> bool:
        """Put an act on record; False where Redis did not take it and only the line of JSON was written.

        Raises:
            ConsoleError: the file cannot be written.
        """
        entry = Entry(
            time.time_ns() // 1_000_000, who[:_LONGEST], what, on[:_LONGEST], detail[:_LONGEST], address[:100]
        )
        line = msgspec.json.encode(entry)
        if self._file is None:
            log.info("%s", line.decode())
        else:
            await self._to_file(self._file, line + b"\n")
        fields: dict[Any, Any] = {name: str(value) for name, value in msgspec.structs.asdict(entry).items()}
        try:
            await self._redis.xadd(self._key, fields, maxlen=self._keep, approximate=True)
        except TRANSIENT as error:
            log.error("the trail in Redis lacks %s (%s)", line.decode(), error)  # noqa: TRY400  # where it came from says nothing
            return False
        return True

    async def read(self, most: int = 200) -> list[Entry]:
        """The newest entries, newest first."""
        found: Any = await self._redis.xrevrange(self._key, count=most)
        entries = []
        for _, fields in found:
            texts = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
            at = texts.pop("at", "0")
            entries.append(
                Entry(
                    int(at) if at.isdigit() else 0,
                    texts.get("who", ""),
                    texts.get("what", ""),
                    texts.get("on", ""),
                    texts.get("detail", ""),
                    texts.get("address", ""),
                )
            )
        return entries

    async def _to_file(self, file: Path, data: bytes) -> None:
        def append() -> None:
            with file.open("ab") as out:
                out.write(data)

        try:
            await asyncio.to_thread(append)
        except OSError as error:
            raise ConsoleError(
                f"The audit log {file} cannot be written ({error}).",
                way_out="Make room for it, or name another in console.audit_log; changes are refused until then.",
            ) from error
