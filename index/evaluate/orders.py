"""Order lines from events: what counts, and what was left out and why."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from index.channels.purchases import Purchases
from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Orders", "take_orders"]


@dataclass(slots=True)
class Orders:
    """A log and what did not get into it.

    Attributes:
        log: The order lines.
        rejects: By reason, how many events of the type order were left out.
    """

    log: Purchases
    rejects: Counter[str] = field(default_factory=Counter)


def take_orders(
    events: Iterable[Mapping[str, Any]], items: Sequence[str] = (), *, source: str = "The log"
) -> Orders:
    """Take the events of the type ``order``; others are passed over.

    An order has ``user_id`` and ``item_id`` (text), ``ts`` (UTC milliseconds), and may have ``quantity`` (1 if
    missing) and ``amount`` (unknown if missing).

    Args:
        events: In any order.
        items: Items that get the first numbers, in this order.
        source: What errors call the events.

    Raises:
        CatalogError: If there is no valid order.
    """
    rejects: Counter[str] = Counter()
    lines = []
    for event in events:
        if event.get("type") != "order":
            continue
        line = _line(event)
        if isinstance(line, str):
            rejects[line] += 1
        else:
            lines.append(line)
    if not lines:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in rejects.most_common(3))
        raise CatalogError(
            f"{source} has no valid event of the type order{f' ({reasons})' if reasons else ''}.",
            way_out="Give orders with user_id, item_id and ts in UTC milliseconds.",
        )
    return Orders(Purchases.of(lines, items), rejects)


def _line(event: Mapping[str, Any]) -> tuple[str, str, int, float, float] | str:
    user, item, time = event.get("user_id"), event.get("item_id"), event.get("ts")
    if not isinstance(user, str) or not user:
        return "no user_id"
    if not isinstance(item, str) or not item:
        return "no item_id"
    if not isinstance(time, int) or isinstance(time, bool) or time < 0:
        return "a ts that is no UTC milliseconds"
    quantity, amount = event.get("quantity", 1), event.get("amount", math.nan)
    if not isinstance(quantity, int | float) or not math.isfinite(quantity) or quantity <= 0:
        return "a quantity that is no number above 0"
    if not isinstance(amount, int | float) or math.isinf(amount):
        return "an amount that is no number"
    return user, item, time, float(quantity), float(amount)
