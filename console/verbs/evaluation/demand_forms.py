"""What `nearline eval demand` can be told by name: how a past is told, and which agents take part."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Agent", "HistoryForm"]


class HistoryForm(StrEnum):
    """How a past is told."""

    NEWEST = "newest"
    """The newest titles that the profile has room for, as it is served."""
    RAW = "raw"
    """All titles of the year."""
    COMPRESSED = "compressed"
    """The year's leading titles (`agents.leading`)."""


class Agent(StrEnum):
    """A slow agent whose lines a prompted model reads, or the judge of what it writes."""

    COMPRESSION = "compression"
    PORTRAIT = "portrait"
    PREFERENCE = "preference"
    TRENDS = "trends"
    JUDGE = "judge"
