"""JSON Lines written whole or not at all."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import msgspec

from nearline import written_whole
from stream.datasets.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["JsonLines", "json_lines", "write_json_lines"]

_ENDINGS = (".jsonl", ".jsonl.gz")
_EFFORT = 4
"""Of gzip: a third longer than at 9, in a fifth of its time."""


class JsonLines:
    """Where lines go; ``count`` says how many there are so far."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.count = 0

    def write(self, row: Any) -> None:
        """Write a line: what msgspec can encode, or the bytes of an object as they are."""
        self._out.write((row if isinstance(row, bytes) else msgspec.json.encode(row)) + b"\n")
        self.count += 1


@contextmanager
def json_lines(path: Path) -> Iterator[JsonLines]:
    """Write JSON Lines to ``path``, compressed if it ends in ``.gz``; it appears when the block ends.

    Raises:
        DatasetError: ``path`` has another ending, or cannot be written.
    """
    if not path.name.endswith(_ENDINGS):
        raise DatasetError(
            f"{path} has no ending of JSON Lines.",
            way_out=f"Name a file that ends in {' or '.join(_ENDINGS)}.",
        )
    try:
        with written_whole(path) as beside, _opened(beside, path.suffix == ".gz") as out:
            yield JsonLines(out)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be written ({error}).",
            way_out="Check disk and permissions, or name another file.",
        ) from error


def write_json_lines(path: Path, rows: Iterable[Any]) -> int:
    """Write a line for each row and return how many there are; see :func:`json_lines`."""
    with json_lines(path) as out:
        for row in rows:
            out.write(row)
    return out.count


def _opened(path: Path, packed: bool) -> IO[bytes]:
    # GzipFile writes as any binary file does, which its type does not say.
    return gzip.open(path, "wb", _EFFORT) if packed else path.open("wb")  # type: ignore[return-value]
