"""What became of every event: ``received = applied + duplicate + late + dead``."""

from __future__ import annotations

import msgspec

__all__ = ["Accounting"]


class Accounting(msgspec.Struct):
    """Counts of one partition since its first event; they travel with the checkpoint.

    ``limited`` are those of the applied that were beyond their shopper's events a minute: counted, and no more.
    """

    received: int = 0
    applied: int = 0
    duplicate: int = 0
    late: int = 0
    dead: int = 0
    triggers: int = 0
    fields_dropped: int = 0
    limited: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every event received is accounted for."""
        return self.received == self.applied + self.duplicate + self.late + self.dead

    def __add__(self, other: Accounting) -> Accounting:
        """The counts of both."""
        return Accounting(
            *(
                a + b
                for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
            )
        )

    def __sub__(self, other: Accounting) -> Accounting:
        """What came after ``other``."""
        return Accounting(
            *(
                a - b
                for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
            )
        )
