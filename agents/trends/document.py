"""Documents that trends are read from: a record from a topic, a file of JSON Lines, or a folder of texts."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from agents.errors import TrendError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["LONGEST_TEXT", "Document", "Refused", "document_of", "read_documents"]

LONGEST_TEXT: Final = 20_000
"""Characters of a text that are read; what a document is about stands before that."""

_LONGEST_LINE: Final = 4_000_000
_TEXTS: Final = (".txt", ".md")


@dataclass(frozen=True, slots=True)
class Document:
    """One text. ``ts`` is when it was published, UTC milliseconds; ``category`` is the source's own, if it named one."""

    document_id: str
    title: str
    text: str
    ts: int
    source: str
    category: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line or file that is no document: where it stands, and what was expected."""

    where: str
    reason: str


def document_of(fields: Mapping[str, Any], *, where: str) -> Document | Refused:
    """A document from the fields of a record.

    ``text`` or ``title`` must be there; ``ts`` is UTC milliseconds or an ISO 8601 time (without a zone: UTC); ``id``,
    ``source`` and ``category`` may be there. Without an id the document is known by a hash of its words, so the
    same text twice is one document.

    Args:
        fields: As parsed from JSON.
        where: The place named in a refusal.
    """
    values = {}
    for name in ("id", "title", "text", "source", "category"):
        value = fields.get(name, "")
        if value is None or (name == "id" and isinstance(value, int) and not isinstance(value, bool)):
            value = "" if value is None else str(value)
        if not isinstance(value, str):
            return Refused(where, f"{name} is {type(value).__name__}, expected text")
        values[name] = " ".join(value[:LONGEST_TEXT].split()) if name != "text" else value[:LONGEST_TEXT]
    if not values["title"] and not values["text"].strip():
        return Refused(where, "neither title nor text, expected one of them")
    moment = _moment(fields.get("ts"))
    if moment is None:
        return Refused(
            where, f"ts is {str(fields.get('ts'))[:40]!r}, expected UTC milliseconds or an ISO 8601 time"
        )
    words = f"{values['title']}\n{values['text']}"
    known = values["id"] or hashlib.sha256(words.encode(errors="replace")).hexdigest()[:16]
    return Document(
        known, values["title"], values["text"], moment, values["source"] or where, values["category"]
    )


def read_documents(path: Path) -> Iterator[Document | Refused]:
    """The documents of a JSON Lines file, or of a folder of these and of texts, in the order of their names.

    A ``.txt`` or ``.md`` file is one document: its first line is the title, its time the file's own.

    Raises:
        TrendError: There is no such file or folder, it cannot be read, or it is of another kind.
    """
    try:
        if path.is_dir():
            for one in sorted(path.rglob("*")):
                if one.is_file() and one.suffix in (".jsonl", *_TEXTS):
                    yield from _file(one)
        elif path.is_file():
            if path.suffix not in (".jsonl", *_TEXTS):
                raise TrendError(
                    f"{path} is no file of documents.",
                    way_out="Give a folder, or a .jsonl, .txt or .md file.",
                )
            yield from _file(path)
        else:
            raise TrendError(f"There is no file or folder {path}.", way_out="Name one that holds documents.")
    except OSError as error:
        raise TrendError(
            f"{path} cannot be read ({error}).", way_out="Check its rights and its medium."
        ) from error


def _file(path: Path) -> Iterator[Document | Refused]:
    if path.suffix in _TEXTS:
        with path.open(encoding="utf-8", errors="replace") as lines:
            text = lines.read(LONGEST_TEXT)
        title, _, rest = text.strip().partition("\n")
        written = int(path.stat().st_mtime * 1000)
        fields = {"id": path.name, "title": title.lstrip("# "), "text": rest, "ts": written}
        yield document_of(fields, where=str(path))
        return
    with path.open("rb") as lines:
        number = 0
        while line := lines.readline(_LONGEST_LINE + 1):
            number += 1
            where = f"{path}, line {number}"
            if len(line) > _LONGEST_LINE:
                raise TrendError(
                    f"{where}: longer than {_LONGEST_LINE:,} bytes.",
                    way_out="Give one document on each line.",
                )
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                yield document_of(found, where=where)
            else:
                yield Refused(where, "no JSON object")


def _moment(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if math.isfinite(value) and 0 <= value < 1e14 else None
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return max(0, int(aware.timestamp() * 1000))
    except (ValueError, OverflowError):
        return None
