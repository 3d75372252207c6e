"""A circuit breaker: after failures in a row, the model is left alone for a while.

Closed, everything passes. After ``failures`` failures in a row it opens, and nothing passes for
``pause`` seconds. Then one batch may probe: success closes it, failure opens it again. A probe that
never reports counts as failed after another pause. (Nygard, "Release It!", chapter "Circuit Breaker".)
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Breaker", "State"]


class State(StrEnum):
    """What the breaker lets pass."""

    CLOSED = "closed"
    """Everything."""
    OPEN = "open"
    """Nothing."""
    HALF_OPEN = "half-open"
    """One probe, under way now."""


class Breaker:
    """Counts failures; every moment is handed in, in seconds of any clock that only goes forward."""

    def __init__(self, failures: int, pause: float) -> None:
        """Open after ``failures`` failures in a row, for ``pause`` seconds."""
        self._limit = failures
        self._pause = pause
        self._row = 0
        self._until: float | None = None
        self._probing = False

    def state(self, now: float) -> State:
        """What would pass now."""
        if self._until is None:
            return State.CLOSED
        return State.HALF_OPEN if self._probing and now < self._until else State.OPEN

    def admit(self, now: float) -> bool:
        """Whether a batch may call the model now; while open, a True makes it the probe."""
        if self._until is None:
            return True
        if now < self._until:
            return False
        self._probing = True
        self._until = now + self._pause
        return True

    def succeeded(self) -> None:
        """A request was answered."""
        self._row = 0
        self._until = None
        self._probing = False

    def failed(self, now: float) -> None:
        """A request failed for a reason that lies with the model."""
        self._row += 1
        if self._probing or self._row >= self._limit:
            self._until = now + self._pause
            self._probing = False
