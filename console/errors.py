"""Errors of the console room."""

from __future__ import annotations

from nearline import NearlineError

__all__ = ["ConsoleError", "SettingsError"]


class ConsoleError(NearlineError):
    """A verb cannot do what was asked."""


class SettingsError(ConsoleError):
    """The configuration file or the environment holds something no setting takes."""
