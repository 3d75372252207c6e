"""Errors of the embedded stack.

NearlineError
└── EmbeddedError
    ├── PartMissingError      a binary, package, java or mvn is not installed
    ├── PortInUseError        a port that was asked for is taken
    ├── ChildDiedError        a server or worker ended though nobody asked it to
    ├── ChildNotReadyError    a server runs but does not answer in time
    └── StackRunningError     a stack already runs in this run directory
"""

from __future__ import annotations

from nearline import NearlineError

__all__ = [
    "ChildDiedError",
    "ChildNotReadyError",
    "EmbeddedError",
    "PartMissingError",
    "PortInUseError",
    "StackRunningError",
]


class EmbeddedError(NearlineError):
    """Something about the embedded broker, Valkey or their supervisor is wrong."""


class PartMissingError(EmbeddedError):
    """A binary, package, java or mvn is not installed: install what ``way_out`` names."""


class PortInUseError(EmbeddedError):
    """A port that was asked for is taken: end its holder, or ask for another or for none."""


class ChildDiedError(EmbeddedError):
    """A child ended though nobody asked it to: its last log lines are in the message.

    Attributes:
        name: the child's name, such as ``valkey``.
        returncode: its exit code; minus the signal's number when a signal ended it.
    """

    def __init__(self, message: str, *, name: str, returncode: int, way_out: str = "") -> None:
        super().__init__(message, way_out=way_out)
        self.name = name
        self.returncode = returncode


class ChildNotReadyError(EmbeddedError):
    """A child runs but does not answer in time: its last log lines are in the message."""


class StackRunningError(EmbeddedError):
    """A stack already runs in this run directory: use it, or stop it first."""
