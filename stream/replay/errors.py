"""Errors of recording and replaying.

StreamError
└── ReplayError
    ├── CaptureError    a capture cannot be written or read; names the file
    ├── CassetteError   a cassette cannot be used
    │   ├── CallMissingError    strict, and the cassette does not have a call; shows the call
    │   └── OtherModelError     the cassette was made with another model
    ├── RunError        a run cannot be written, read or compared
    └── WireError       a replay on the wire cannot go on
"""

from __future__ import annotations

from stream.errors import StreamError

__all__ = [
    "CallMissingError",
    "CaptureError",
    "CassetteError",
    "OtherModelError",
    "ReplayError",
    "RunError",
    "WireError",
]


class ReplayError(StreamError):
    """Root of the errors of recording and replaying."""


class CaptureError(ReplayError):
    """A capture cannot be written or read. The message names the file; what is whole of it stays whole."""


class CassetteError(ReplayError):
    """A cassette cannot be used: no such file, another format, or the wrong mode."""


class CallMissingError(CassetteError):
    """A strict replay asked for a call that is not in the cassette; the message shows it."""


class OtherModelError(CassetteError):
    """The cassette holds answers of another model than the one that is set; they are not taken for its own."""


class RunError(ReplayError):
    """A run cannot be written, read or compared."""


class WireError(ReplayError):
    """A replay on the wire cannot begin or go on: its names are production's, or its workers fail."""
