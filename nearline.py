"""Nearline: a streaming near-line recommendation engine.

The product lives in four packages, ``stream``, ``agents``, ``index`` and ``console``. This module
holds only what all of them share: the version and the root of the tree of errors.

    NearlineError
    ├── StreamError   (stream/errors.py)
    ├── AgentError    (agents/errors.py)
    ├── CatalogError  (index/errors.py)
    └── ConsoleError  (console/errors.py)
"""

from __future__ import annotations

__all__ = ["NearlineError", "__version__"]

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
