"""A catalogue file, one record at a time: JSON Lines, CSV, TSV (each plain or gzipped) or Parquet.

A record that cannot be read is yielded with what is wrong with it, and reading goes on. Only what makes the rest of
the file unreadable (it is missing, of an unknown kind, or its compression is broken) raises.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, cast

from index.errors import CatalogSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Record", "read_records"]

MAX_LINE: Final = 4 * 1024 * 1024
"""Bytes of one JSON line that are parsed. An item is below 100 kB; a longer line is refused unread."""

_KINDS: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the file: its fields, or the reason it has none.

    Attributes:
        line: Line of the file, from 1; of Parquet the row, from 1.
        fields: The values by column name; None if the record could not be read.
        problem: Why not; empty if it could.
    """

    line: int
    fields: dict[str, Any] | None
    problem: str = ""


def read_records(path: Path) -> Iterator[Record]:
    """Read a catalogue file as a stream, in the file's order.

    Raises:
        CatalogSourceError: If the file is missing, of an unknown kind, or breaks off.
    """
    kind = source_kind(path)
    try:
        if kind == "parquet":
            yield from _parquet(path)
        else:
            with _open(path) as stream:
                yield from (
                    _json_lines(stream)
                    if kind == "jsonl"
                    else _table(path, stream, "\t" if kind == "tsv" else ",")
                )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CatalogSourceError(
            f"{path} is no whole gzip file: {error}.", way_out="Fetch or pack the file again."
        ) from error
    except OSError as error:
        raise CatalogSourceError(
            f"{path} cannot be read: {error}.", way_out="Check the path and its permissions."
        ) from error


def source_kind(path: Path) -> str:
    """The kind of file by its name: ``jsonl``, ``csv``, ``tsv`` or ``parquet``.

    Raises:
        CatalogSourceError: If there is no such file, or the name has another ending.
    """
    if not path.is_file():
        what = (
            f"{path} is a folder and no catalogue file."
            if path.is_dir()
            else f"There is no catalogue file {path}."
        )
        raise CatalogSourceError(what, way_out="Check the path.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    ending = (suffixes[-2] if len(suffixes) > 1 else "") if packed else (suffixes[-1] if suffixes else "")
    kind = _KINDS.get(ending)
    if kind is None or (packed and kind == "parquet"):
        raise CatalogSourceError(
            f"{path.name} is of no kind that can be read as a catalogue.",
            way_out="Give it as .jsonl, .csv or .tsv (each also with .gz) or as .parquet.",
        )
    return kind


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _json_lines(stream: IO[bytes]) -> Iterator[Record]:
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield Record(number, None, f"line: more than {MAX_LINE} bytes")
            continue
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            yield Record(number, None, "line: not UTF-8")
        except json.JSONDecodeError as error:
            yield Record(number, None, f"line: no valid JSON ({error.msg})")
        except (RecursionError, ValueError):
            yield Record(number, None, "line: no valid JSON (nested too deep, or a number too long)")
        else:
            if isinstance(value, dict):
                yield Record(number, value)
            else:
                yield Record(number, None, "line: expected a JSON object")


def _table(path: Path, stream: IO[bytes], delimiter: str) -> Iterator[Record]:
    # Decoded line by line, so that a byte which is not UTF-8 costs its record and not the file.
    lines = (
        line.decode("utf-8-sig" if not at else "utf-8", "surrogateescape")
        for at, line in enumerate(_bounded(stream))
    )
    rows = csv.reader(lines, delimiter=delimiter)
    try:
        header = next(rows, [])
    except csv.Error as error:
        raise CatalogSourceError(
            f"{path.name}, line 1: {error}.", way_out="Give column names on the first line."
        ) from error
    names = [name.strip() for name in header]
    if len(set(names)) != len(names) or not any(names):
        raise CatalogSourceError(
            f"{path.name}, line 1: expected different column names, found {names[:12]}.",
            way_out="Give every column a name of its own on the first line.",
        )
    while True:
        line = rows.line_num + 1
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(line, None, f"line: {error}")
            continue
        if not values:
            continue
        if len(values) != len(names):
            yield Record(line, None, f"line: expected {len(names)} columns")
        else:
            yield Record(line, dict(zip(names, values, strict=True)))


def _bounded(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE):
        yield line


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow as pa  # noqa: PLC0415 - a third of a second that only Parquet needs
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                for fields in batch.to_pylist():
                    number += 1
                    yield Record(number, fields)
    except pa.ArrowException as error:
        raise CatalogSourceError(
            f"{path} is no readable Parquet file after row {number}: {str(error).splitlines()[0].rstrip('.')}.",
            way_out="Write the file again.",
        ) from error
