"""One's own events and catalogue from JSON Lines (``.jsonl``, ``.jsonl.gz``) and Parquet files.

A file is taken as it is: its sequence is kept, nothing is synthesised, and the gate judges what an event
is worth. A line that is no JSON object is therefore passed on as its bytes by ``raw_events``.

Of Parquet, a column is a field: timestamps and dates become UTC milliseconds (without a zone they are
taken as UTC), whole numbers in a field named ``*_id`` become text, missing values and NaN are left
out, and a map or a struct becomes an object.
"""

from __future__ import annotations

import gzip
import math
import zlib
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stream.datasets.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from stream.datasets.baskets import Event

__all__ = ["SUFFIXES", "FileDataset"]

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
_LONGEST_LINE = 16 * 1024 * 1024
"""Bytes. Kafka refuses messages far shorter; past this, the file is hardly JSON Lines."""
_BATCH = 4096


class FileDataset:
    """Events and, where given, a catalogue from files.

    Args:
        events: the file of events; None for a catalogue alone.
        catalog: the file of items; None for events alone.

    Raises:
        DatasetError: where a file is missing or is of another kind.
    """

    def __init__(self, events: Path | None = None, catalog: Path | None = None) -> None:
        for path in filter(None, (events, catalog)):
            if not path.is_file():
                raise DatasetError(f"{path}: there is no such file.", way_out="Check the path.")
            if not path.name.endswith(SUFFIXES):
                raise DatasetError(
                    f"{path}: not a kind of file that can be read.",
                    way_out=f"Give a file that ends in {', '.join(SUFFIXES)}.",
                )
        self._events = events
        self._catalog = catalog
        self.name = str(events or catalog or "files")

    def catalog(self) -> Iterator[dict[str, Any]]:
        """Yield the items of the catalogue file as they stand there.

        Raises:
            DatasetError: at a line that is no JSON object; names file and line.
        """
        if self._catalog is None:
            raise DatasetError(
                f"{self.name}: no catalogue was given.", way_out="Name a catalogue file with it."
            )
        for number, row in _rows(self._catalog):
            yield _whole(row, self._catalog, number)

    def orders(self) -> Iterator[Event]:
        """Yield the events of type ``order``."""
        return (event for event in self.events() if event.get("type") == "order")

    def events(
        self,
        *,
        seed: int = 0,  # noqa: ARG002 - the protocol has it; recorded events do not depend on a seed
        limit: int | None = None,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[Event]:
        """Yield the events in the sequence of the file; arguments as in :meth:`raw_events`.

        Raises:
            DatasetError: at a line that is no JSON object; names file and line.
        """
        path = self._event_file()
        found = (_whole(row, path, number) for number, row in _rows(path))
        return islice((event for event in found if _asked_for(event, since, until, users)), limit)

    def raw_events(
        self,
        *,
        seed: int = 0,  # noqa: ARG002 - the protocol has it; recorded events do not depend on a seed
        limit: int | None = None,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[bytes | Event]:
        """Yield the events in the sequence of the file, and the bytes of lines that are none.

        Args:
            seed: without effect; recorded events are what they are.
            limit: the most to yield.
            since: events before this time (UTC milliseconds) are left out.
            until: events at or after this time are left out.
            users: only events of these users. What has no readable time or user passes these filters:
                it is for the gate to judge.
        """
        found = _rows(self._event_file())
        return islice(
            (row for _, row in found if isinstance(row, bytes) or _asked_for(row, since, until, users)), limit
        )

    def _event_file(self) -> Path:
        if self._events is None:
            raise DatasetError(
                f"{self.name}: no events were given.", way_out="Name a file of events with it."
            )
        return self._events


def _asked_for(event: Event, since: int | None, until: int | None, users: Collection[str] | None) -> bool:
    ts, user = event.get("ts"), event.get("user_id")
    if isinstance(ts, int) and ((since is not None and ts < since) or (until is not None and ts >= until)):
        return False
    return users is None or not isinstance(user, str) or user in users


def _whole(row: bytes | Event, path: Path, number: int) -> Event:
    if isinstance(row, bytes):
        raise DatasetError(
            f"{path}, line {number}: expected a JSON object, found {row[:60]!r}.",
            way_out="Correct the line or take it out.",
        )
    return row


def _rows(path: Path) -> Iterator[tuple[int, bytes | Event]]:
    """Yield each row with its number, from 1: an object, or the bytes where it is none.

    Blank lines of JSON Lines are counted but are no rows.
    """
    try:
        if path.suffix == ".parquet":
            yield from enumerate(_parquet_rows(path), 1)
        else:
            with _open(path) as lines:
                yield from _json_rows(lines, path)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise DatasetError(
            f"{path}: cannot be read to its end ({str(error).rstrip('.')}).",
            way_out="Check that the file is whole and of the kind its name says.",
        ) from error


def _open(path: Path) -> IO[bytes]:
    # GzipFile reads as any binary file does, which its type does not say.
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _json_rows(lines: IO[bytes], path: Path) -> Iterator[tuple[int, bytes | Event]]:
    number = 0
    while line := lines.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise DatasetError(
                f"{path}, line {number}: longer than {_LONGEST_LINE} bytes.",
                way_out="Give one event on each line; a file that is one long array is not JSON Lines.",
            )
        text = line.strip()
        if not text:
            continue
        try:
            row = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            row = None
        yield number, row if isinstance(row, dict) else text


def _parquet_rows(path: Path) -> Iterator[Event]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH, use_threads=False):
            names = batch.schema.names
            columns = [_plain_column(column).to_pylist(maps_as_pydicts="lossy") for column in batch.columns]
            for values in zip(*columns, strict=True):
                yield {
                    name: _identity(plain) if name.endswith("_id") else plain
                    for name, value in zip(names, values, strict=True)
                    if (plain := _plain(value)) is not None
                }


def _plain_column(column: Any) -> Any:
    # In Arrow, since nanoseconds do not fit Python's datetime; the integer under any zone is UTC.
    if pa.types.is_timestamp(column.type):
        unit = pa.timestamp("ms", tz=column.type.tz)
        return pc.cast(pc.cast(column, unit, safe=False), pa.int64())
    return column


def _plain(value: Any) -> Any:
    """Turn a Parquet value into one that JSON has; None where there is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return _plain(float(value))
    if isinstance(value, dict):
        return {str(key): plain for key, inner in value.items() if (plain := _plain(inner)) is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, datetime | date | time):
        return _moment(value)
    return value


def _moment(value: datetime | date | time) -> int | str:
    if isinstance(value, time):
        return value.isoformat()
    days = (value if not isinstance(value, datetime) else value.date()).toordinal() - date(
        1970, 1, 1
    ).toordinal()
    return days * 86_400_000


def _identity(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
