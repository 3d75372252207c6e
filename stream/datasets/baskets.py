"""What a shop knows of a purchase: baskets of order lines, and the event each line becomes.

Amounts are line totals in the shop's own currency; times are UTC milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Basket", "Event", "Line", "Tally", "order_events"]

Event: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One ordered line: ``quantity`` units of one item for ``amount`` in total."""

    event_id: str
    item_id: str
    ts: int
    quantity: int
    amount: float


@dataclass(frozen=True, slots=True)
class Basket:
    """The lines that one user ordered together, in order of time; never empty."""

    basket_id: str
    user_id: str
    lines: tuple[Line, ...]

    @property
    def ts(self) -> int:
        """When its first line was ordered (UTC milliseconds)."""
        return self.lines[0].ts


@dataclass(slots=True)
class Tally:
    """How many order lines were read, how many are kept, and why the others are not.

    ``read = kept + sum(dropped.values())``.
    """

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str, lines: int = 1) -> None:
        """Count lines that are left out, under the reason why."""
        if lines:
            self.dropped[reason] = self.dropped.get(reason, 0) + lines


def order_events(basket: Basket) -> Iterator[Event]:
    """Yield one ``order`` event a line. They are the recorded facts, so nothing is added to them."""
    for line in basket.lines:
        yield {
            "event_id": line.event_id,
            "user_id": basket.user_id,
            "type": "order",
            "ts": line.ts,
            "item_id": line.item_id,
            "quantity": line.quantity,
            "amount": line.amount,
            "session_id": basket.basket_id,
        }
