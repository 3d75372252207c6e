"""Nearline: a streaming near-line recommendation engine.

The product lives in four packages, ``stream``, ``agents``, ``index`` and ``console``. This module
holds only what all of them share: the version, the root of the tree of errors, and how a file is
written so that it is there whole or not at all.

    NearlineError
    ├── StreamError   (stream/errors.py)
    ├── AgentError    (agents/errors.py)
    ├── CatalogError  (index/errors.py)
    └── ConsoleError  (console/errors.py)
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["NearlineError", "__version__", "written_whole"]

__version__ = "0.1.0"


class NearlineError(Exception):
    """Root of every error that Nearline raises on purpose.

    The message says what happened and to what (event, user, file, address); ``way_out`` says what
    to do now. The command line prints both on one line and exits with 2.
    """

    def __init__(self, message: str, *, way_out: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.message} {self.way_out}".rstrip()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file so that a reader finds it whole, or as it was before, whatever happens meanwhile.

    Yields a place beside ``path`` to write to. When the block ends, what is there goes to disk and takes the place of
    ``path`` in one step; when it fails, ``path`` is as it was and nothing is left beside it. Missing folders above
    ``path`` are made.

    Raises:
        OSError: ``path`` is a folder, or it cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
