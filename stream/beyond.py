"""Tells from the records of a partition that nothing more is on it that was sent up to a given time. Pure.

Where the broker puts down when it took a record (log-append time), the first one that is later tells. Where producers do
(create time), their clocks differ and batches overtake each other: an allowance is given to those, and one clock that is ahead
must not end the reading, so it takes many later ones in a row. Where one comes after all that was sent up to the time, behind
others beyond the allowance, the order tells nothing, and the partition must be read to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ALLOWANCE_MS", "IN_A_ROW", "Beyond"]

ALLOWANCE_MS: Final = 3_600_000
IN_A_ROW: Final = 1_000
_LOG_APPEND: Final = 1


class _Sent(Protocol):
    """What is asked of a record."""

    @property
    def timestamp(self) -> int: ...

    @property
    def timestamp_type(self) -> int: ...


class Beyond:
    """One partition.

    Args:
        until: the time, milliseconds.

    Attributes:
        disordered: whether a record up to the time has come behind one beyond the allowance.
    """

    def __init__(self, until: int) -> None:
        self._until = until
        self._newest = -1
        self._later = 0
        self.disordered = False

    def all(self, records: Sequence[_Sent]) -> bool:
        """Whether the reading is over after these, the next of the partition in their order."""
        if not records or self.disordered:
            return False
        if records[-1].timestamp_type == _LOG_APPEND:
            return records[-1].timestamp > self._until
        newest, later, limit = self._newest, self._later, self._until + ALLOWANCE_MS
        for record in records:
            at = record.timestamp
            if at > newest:
                newest = at
            elif at <= self._until and newest > limit:
                self.disordered = True
            later = later + 1 if at > limit else 0
        self._newest, self._later = newest, later
        return not self.disordered and later >= IN_A_ROW
