"""A golden: what a replay came to, small enough to lie beside the tests and to be read in a review.

::

    {"schema":1,"run":{"capture_sha256":"...","triggers":31,...}}
    {"user":"u1","rule":"views","event":"e7","ts":1746000679000,"rung":"llm","prompt":"5f0c...","queries":["green tea"],
     "items":["12","7",...],"categories":2,"unseen":3,"new":0}

JSON Lines, or JSON Lines compressed where the name ends in ``.gz``; a line for each trigger in the run's order. Scores are not
in it: their last digits depend on the processor. Seconds are not in it either.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nearline import written_whole
from stream.replay.comparing.columns import columns_from, columns_of, prompt_hash
from stream.replay.errors import RunError
from stream.replay.run import SCHEMA as RUN_SCHEMA
from stream.replay.run import Run, read_run, rows_of

if TYPE_CHECKING:
    from stream.replay.comparing.columns import Book, Columns

__all__ = ["Row", "columns_at", "read_golden", "run_at", "write_golden"]

SCHEMA = 1
_ANSWERS = "Write it anew: pytest --update-goldens."


class Row(msgspec.Struct, frozen=True):
    """One trigger of a golden. ``rung`` is empty, and lists are, where a replay went no further than triggers."""

    user: str
    rule: str
    event: str
    ts: int
    rung: str = ""
    prompt: str = ""
    queries: list[str] = []
    items: list[str] | None = None
    categories: int = 0
    unseen: int = 0
    new: int = 0


class _Head(msgspec.Struct):
    schema: int
    run: Run


_decode_demands = msgspec.json.Decoder(list[dict[str, object]]).decode
_decode_slate = msgspec.json.Decoder(dict[str, object]).decode


def write_golden(folder: Path, path: Path) -> None:
    """Make a golden of a run.

    Raises:
        RunError: the run cannot be read, or the file cannot be written.
    """
    rows: list[Row] = [
        Row(user, rule, event, ts)
        for user, rule, event, ts in rows_of(folder, "triggers", ("user", "rule", "event_id", "ts"))
    ]
    wanted = ("place", "rung", "prompt_version", "prompt", "demands")
    for place, rung, version, prompt, data in rows_of(folder, "demands", wanted):
        rows[place] = msgspec.structs.replace(
            rows[place],
            rung=rung,
            prompt=f"{prompt_hash(version, prompt) & (2**64 - 1):016x}",
            queries=[str(one["query"]) for one in _decode_demands(data)],
        )
    for place, data, categories, unseen, new in rows_of(
        folder, "slates", ("place", "slate", "categories", "unseen", "new")
    ):
        shown = _decode_slate(data)["candidates"]
        items = [one["item"] for one in shown] if isinstance(shown, list) else []
        rows[place] = msgspec.structs.replace(
            rows[place], items=items, categories=categories, unseen=unseen, new=new
        )
    run = read_run(folder)
    # What differs from one making to the next would stand in every review.
    kept = msgspec.structs.replace(
        run,
        made_at="",
        seconds={},
        model_calls=0,
        texts_encoded=0,
        hits=0,
        misses=0,
        told=msgspec.structs.replace(
            run.told, name="golden", capture=Path(run.told.capture).name, index="", cassette="", notes=[]
        ),
    )
    data = b"".join(msgspec.json.encode(one) + b"\n" for one in (_Head(SCHEMA, kept), *rows))
    try:
        with written_whole(path) as beside:
            beside.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error}.", way_out="Check disk and permissions."
        ) from error


def read_golden(path: Path) -> tuple[Run, list[Row]]:
    """What a golden says.

    Raises:
        RunError: there is none, it is damaged, or of another schema version.
    """
    try:
        data = path.read_bytes()
        lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
        head = msgspec.json.decode(lines[0], type=_Head)
        rows = [msgspec.json.decode(line, type=Row) for line in lines[1:]]
    except FileNotFoundError as error:
        raise RunError(f"There is no golden {path}.", way_out=_ANSWERS) from error
    except (OSError, EOFError, IndexError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is no golden: {error}.", way_out=_ANSWERS) from error
    if head.schema != SCHEMA or head.run.schema != RUN_SCHEMA:
        raise RunError(
            f"{path} is of schema version {head.schema}.{head.run.schema}, and this program reads "
            f"{SCHEMA}.{RUN_SCHEMA}.",
            way_out=_ANSWERS,
        )
    if len(rows) != head.run.triggers:
        raise RunError(
            f"{path} says {head.run.triggers} triggers and has {len(rows)}.",
            way_out="Restore it from a copy. " + _ANSWERS,
        )
    return head.run, rows


def columns_at(path: Path, book: Book) -> Columns:
    """A run in a folder, or a golden in a file, by columns.

    Raises:
        RunError: it cannot be read.
    """
    if not path.is_file():
        return columns_of(path, book)
    run, rows = read_golden(path)
    return columns_from(
        run,
        ((row.user, row.rule, row.event, row.ts) for row in rows),
        (
            (place, row.rung, _signed(row.prompt), row.queries, 0, 0)
            for place, row in enumerate(rows)
            if row.rung
        ),
        (
            (place, row.items, row.categories, row.unseen, row.new)
            for place, row in enumerate(rows)
            if row.items is not None
        ),
        book,
    )


def run_at(path: Path) -> Run:
    """The manifest of a run in a folder, or of a golden in a file.

    Raises:
        RunError: it cannot be read.
    """
    return read_golden(path)[0] if path.is_file() else read_run(path)


def _signed(prompt: str) -> int:
    value = int(prompt or "0", 16)
    return value - 2**64 if value >= 2**63 else value
