"""A run: what a replay came to, kept as Parquet beside a manifest.

::

    DIR/run.json            what was replayed by what, counts, seconds and hashes; written last
    DIR/triggers.parquet    every trigger in its order, with its snapshot
    DIR/demands.parquet     what the model was asked and answered, and the demands that were left
    DIR/slates.parquet      the slates as the storefront would read them
    DIR/timings.parquet     milliseconds by stage; the only file that differs between two runs of the same
    DIR/acts.parquet        what the shoppers really did: clicks and orders
    DIR/items.parquet       the items that slates show or shoppers touched, with title and category as they were then

A run is written aside and renamed, so an interrupted one leaves nothing that could be taken for a whole one.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from index.built.swap import swap_folder
from stream.gate.state.accounting import Accounting
from stream.replay.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["RUN", "SCHEMA", "TABLES", "Hashes", "Run", "RunWriter", "Told", "read_run", "rows_of"]

SCHEMA = 1
RUN = "run.json"
_ROWS = 2_000
# Columns of few values; in the others nearly every value is another, and a dictionary of them is given up again.
_REPEATED = ["rule", "rules", "rung", "prompt_version", "model", "runtime", "type", "category"]
_TEXT, _NUMBER, _BYTES, _MS = pa.string(), pa.int64(), pa.binary(), pa.float64()

TABLES: dict[str, pa.Schema] = {
    "triggers": pa.schema(
        {"place": _NUMBER, "id": _TEXT, "rule": _TEXT, "rules": _TEXT, "user": _TEXT, "seq": _NUMBER,
         "event_id": _TEXT, "ts": _NUMBER, "sent_at": _NUMBER, "partition": _NUMBER, "trigger": _BYTES}
    ),
    "demands": pa.schema(
        {"place": _NUMBER, "rung": _TEXT, "prompt_version": _TEXT, "prompt": _TEXT, "output": _TEXT,
         "demands": _BYTES, "rejected": _BYTES, "note": _TEXT, "model": _TEXT, "runtime": _TEXT,
         "prompt_tokens": _NUMBER, "output_tokens": _NUMBER}
    ),
    "slates": pa.schema(
        {"place": _NUMBER, "slate": _BYTES, "categories": _NUMBER, "unseen": _NUMBER, "new": _NUMBER,
         "chain": _BYTES}
    ),
    "timings": pa.schema(
        {"place": _NUMBER, "together": _NUMBER, "prepare": _MS, "infer": _MS, "encode": _MS, "search": _MS,
         "fuse": _MS}
    ),
    "acts": pa.schema({"user": _TEXT, "ts": _NUMBER, "type": _TEXT, "item": _TEXT}),
    "items": pa.schema({"item": _TEXT, "title": _TEXT, "category": _TEXT}),
}  # fmt: skip
"""The tables of a run. ``place`` is a trigger's number in the run's order and joins them; in ``slates``, ``categories``
counts different ones, ``unseen`` items of categories that the shopper had not touched, ``new`` items new to the shop."""


class Hashes(msgspec.Struct, frozen=True):
    """SHA-256 over the canonical forms, in the run's order: JSON of each trigger, prompt, demands and slate."""

    triggers: str
    prompts: str
    demands: str
    slates: str
    all: str


class Told(msgspec.Struct, kw_only=True):
    """What ``run.json`` says of how the run was made."""

    name: str
    capture: str
    capture_sha256: str
    rules: str
    prompt: str = ""
    model: str = ""
    index: str = ""
    encoder: str = ""
    cassette: str = "off"
    users: list[str] = []
    notes: list[str] = []


class Run(msgspec.Struct, kw_only=True):
    """``run.json``.

    Attributes:
        told: how it was made.
        hashes: equal for two runs that came to the same.
        events: read, and ``accounting`` what became of them.
        triggers: fired; ``rungs`` of their demands.
        model_calls: calls that went to the language model, ``texts_encoded`` texts that went to the encoder.
        hits, misses: of the cassette.
        seconds: wall clock: ``all``, and ``prepare``, ``infer`` and ``recall`` of it.
    """

    schema: int
    made_at: str
    told: Told
    hashes: Hashes
    events: int
    accounting: Accounting
    triggers: int
    rungs: dict[str, int]
    model_calls: int
    texts_encoded: int
    hits: int
    misses: int
    seconds: dict[str, float]


class Titled(Protocol):
    """What is asked of a catalogue here."""

    def row(self, item_id: str) -> int | None:
        """Row of an item; None if the catalogue does not have it."""

    def title(self, row: int) -> str:
        """The item's title."""

    def category(self, row: int) -> str:
        """The item's category."""


class RunWriter:
    """Writes a run; a context manager that leaves nothing behind unless :meth:`finish` was called.

    Args:
        folder: of the run; it must not be there yet, unless ``replace``.
        replace: take the place of a run of the same name.

    Raises:
        RunError: there is a run already, or the folder cannot be made.
    """

    def __init__(self, folder: Path, *, replace: bool = False) -> None:
        self._folder = folder
        self._aside = folder.with_name(f".{folder.name}.partial")
        if folder.exists() and not (replace and (folder / RUN).is_file()):
            raise RunError(
                f"{folder} is there already.",
                way_out="Give the run another --name, or --replace the one there.",
            )
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        self._named: set[str] = {""}
        self._hashes = {name: hashlib.sha256() for name in ("triggers", "prompts", "demands", "slates")}
        try:
            shutil.rmtree(self._aside, ignore_errors=True)  # of a replay that was interrupted
            self._aside.mkdir(parents=True)
            for name, schema in TABLES.items():
                self._writers[name] = pq.ParquetWriter(
                    self._aside / f"{name}.parquet", schema, compression="zstd", use_dictionary=_REPEATED
                )
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error}.", way_out="Choose another --runs.") from error

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files; remove what is not finished."""
        for writer in self._writers.values():
            with suppress(OSError):  # what is not finished is removed
                writer.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows to a table, in the order of its columns."""
        held = self._rows[table]
        held.extend(rows)
        if len(held) >= _ROWS:
            self._flush(table)

    def name(self, items: Iterable[str], catalog: Titled) -> None:
        """Keep title and category of those items that were not kept before."""
        for item in items:
            if item not in self._named:
                self._named.add(item)
                row = catalog.row(item)
                if row is not None:
                    self.add("items", [(item, catalog.title(row), catalog.category(row))])

    def hash(self, what: str, canonical: bytes) -> None:
        """Take a canonical form into one of the hashes."""
        digest = self._hashes[what]
        digest.update(len(canonical).to_bytes(8, "big"))
        digest.update(canonical)

    def hashes(self) -> Hashes:
        """The hashes so far."""
        parts = {name: digest.hexdigest() for name, digest in self._hashes.items()}
        return Hashes(**parts, all=hashlib.sha256("".join(parts.values()).encode()).hexdigest())

    def finish(self, run: Run) -> None:
        """Write the manifest and put the run in its place.

        Raises:
            RunError: it cannot be written.
        """
        try:
            for table in TABLES:
                self._flush(table)
                self._writers.pop(table).close()
            (self._aside / RUN).write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
            swap_folder(self._aside, self._folder)
        except OSError as error:
            raise self._unwritten(error) from error

    def _flush(self, table: str) -> None:
        rows = self._rows[table]
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            try:
                self._writers[table].write_table(pa.table(columns, schema=TABLES[table]))
            except OSError as error:
                raise self._unwritten(error) from error
            rows.clear()

    def _unwritten(self, error: OSError) -> RunError:
        return RunError(f"{self._folder} cannot be written: {error}.", way_out="Check disk and permissions.")


def read_run(folder: Path) -> Run:
    """The manifest of a run.

    Raises:
        RunError: there is no whole run, or it is of another version.
    """
    try:
        run = msgspec.json.decode((folder / RUN).read_bytes(), type=Run)
    except FileNotFoundError as error:
        raise RunError(
            f"{folder} holds no run.", way_out="`nearline replay CAPTURE --name RUN` makes one."
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(
            f"{folder / RUN} cannot be read: {error}.", way_out="Replay the capture again."
        ) from error
    if run.schema != SCHEMA:
        raise RunError(
            f"{folder} is of schema version {run.schema}, and this program reads {SCHEMA}.",
            way_out="Replay the capture again.",
        )
    return run


def rows_of(folder: Path, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield some columns of a run's table, row by row.

    Raises:
        RunError: the table is missing or damaged.
    """
    path = folder / f"{table}.parquet"
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS, columns=list(columns), use_threads=False):
                yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path} cannot be read: {error}.", way_out="Replay the capture again.") from error
