"""A purchase log as arrays, and what is known of shoppers at a moment: what channels learn from and are asked with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["DAY_MS", "Histories", "Ints", "Purchases", "date_of"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAY_MS: Final = 86_400_000


def date_of(moment: float) -> str:
    """The UTC day of a moment in milliseconds, such as 2011-09-01."""
    return datetime.fromtimestamp(moment / 1000, UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class Purchases:
    """n order lines, in order of time; users and items are numbered from 0.

    Attributes:
        users: The users' ids, by number.
        items: The items' ids, by number.
        user: (n,) the number of the user of each line.
        item: (n,) the number of the item.
        time: (n,) UTC milliseconds.
        quantity: (n,) pieces.
        amount: (n,) money for the line, in the shop's currency; NaN where unknown.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    user: Ints
    item: Ints
    time: Ints
    quantity: Floats
    amount: Floats

    @classmethod
    def of(cls, lines: Iterable[tuple[str, str, int, float, float]], items: Sequence[str] = ()) -> Purchases:
        """Gather lines ``(user, item, UTC ms, quantity, amount)`` in any order.

        Args:
            lines: The order lines.
            items: Items that get the first numbers, in this order, whether sold or not.

        Raises:
            CatalogError: If there is no line.
        """
        user_of: dict[str, int] = {}
        item_of = {item: number for number, item in enumerate(dict.fromkeys(items))}
        numbers: list[tuple[int, int, int]] = []
        amounts: list[tuple[float, float]] = []
        for user, item, time, quantity, amount in lines:
            numbers.append(
                (user_of.setdefault(user, len(user_of)), item_of.setdefault(item, len(item_of)), time)
            )
            amounts.append((quantity, amount))
        if not numbers:
            raise CatalogError("There is no purchase.", way_out="Give a log with events of the type order.")
        whole = np.array(numbers, dtype=np.int64)
        parts = np.array(amounts, dtype=np.float64)
        order = np.argsort(whole[:, 2], kind="stable")
        whole, parts = whole[order], parts[order]
        return cls(
            tuple(user_of), tuple(item_of), whole[:, 0], whole[:, 1], whole[:, 2], parts[:, 0], parts[:, 1]
        )

    def __len__(self) -> int:
        return len(self.time)

    @property
    def day(self) -> Ints:
        """(n,) the UTC day of each line, counted from 1970."""
        return self.time // DAY_MS

    def keep(self, wanted: npt.NDArray[np.bool_]) -> Purchases:
        """The lines where ``wanted`` (n,) holds; users and items keep their numbers."""
        return Purchases(
            self.users,
            self.items,
            self.user[wanted],
            self.item[wanted],
            self.time[wanted],
            self.quantity[wanted],
            self.amount[wanted],
        )

    def before(self, time: int) -> Purchases:
        """The lines before a moment (UTC ms)."""
        return self.keep(self.time < time)

    def histories(self, users: npt.ArrayLike, now: int) -> Histories:
        """What the lines before ``now`` (UTC ms) tell of some users, in the order asked for."""
        asked = np.asarray(users, dtype=np.int64)
        place = np.full(len(self.users), -1, dtype=np.int64)
        place[asked] = np.arange(len(asked))
        lines = (self.time < now) & (place[self.user] >= 0)
        return Histories.of(
            len(asked),
            place[self.user[lines]],
            self.item[lines],
            self.day[lines],
            self.amount[lines],
            self.quantity[lines],
            now=now,
        )


@dataclass(frozen=True, slots=True)
class Histories:
    """What n shoppers bought: one entry an item and day, grouped by shopper, oldest day first.

    Attributes:
        count: n, the number of shoppers.
        shopper: (e,) the shopper of each entry, from 0, rising.
        item: (e,) the item's number.
        day: (e,) the UTC day.
        ago: (e,) how many of the shopper's invoice days came after that day: 0 for the latest.
        amount: (e,) money, NaN where unknown.
        quantity: (e,) pieces.
        now: UTC milliseconds of the moment of asking.
    """

    count: int
    shopper: Ints
    item: Ints
    day: Ints
    ago: Ints
    amount: Floats
    quantity: Floats
    now: int

    @classmethod
    def of(
        cls, count: int, shopper: Ints, item: Ints, day: Ints, amount: Floats, quantity: Floats, *, now: int
    ) -> Histories:
        """Gather lines: those of one shopper, item and day become one entry."""
        order = np.lexsort((item, day, shopper))
        shopper, item, day = shopper[order], item[order], day[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = (np.diff(shopper) != 0) | (np.diff(day) != 0) | (np.diff(item) != 0)
        starts = np.flatnonzero(first)
        amount = np.add.reduceat(amount[order], starts) if len(starts) else amount
        quantity = np.add.reduceat(quantity[order], starts) if len(starts) else quantity
        shopper, item, day = shopper[starts], item[starts], day[starts]
        # Days of a shopper are numbered by counting where the day changes; the last one is 0 ago.
        new = np.ones(len(day), dtype=np.int64)
        new[1:] = (np.diff(shopper) != 0) | (np.diff(day) != 0)
        number = np.cumsum(new)
        last = np.zeros(count, dtype=np.int64)
        np.maximum.at(last, shopper, number)
        return cls(count, shopper, item, day, last[shopper] - number, amount, quantity, now)

    def weights(self, items: int, half_life: float | None) -> npt.NDArray[np.float32]:
        """(count, items): per item bought 0.5 ** (ago / half-life) of its latest day, 0 for the others.

        Args:
            items: Number of items.
            half_life: In invoice days of the shopper; None weighs every item bought by 1.
        """
        dense = np.zeros((self.count, items), dtype=np.float32)
        value = np.ones(len(self.ago)) if half_life is None else 0.5 ** (self.ago / half_life)
        np.maximum.at(dense, (self.shopper, self.item), value.astype(np.float32))
        return dense

    def bought(self, items: int) -> npt.NDArray[np.bool_]:
        """(count, items): whether the shopper bought the item."""
        dense = np.zeros((self.count, items), dtype=bool)
        dense[self.shopper, self.item] = True
        return dense

    def days(self, items: int) -> npt.NDArray[np.float32]:
        """(count, items): on how many days the shopper bought the item."""
        dense = np.zeros((self.count, items), dtype=np.float32)
        np.add.at(dense, (self.shopper, self.item), 1.0)
        return dense

    def part(self, shoppers: slice) -> Histories:
        """The shoppers of a slice with step 1, numbered from 0."""
        start, stop, _ = shoppers.indices(self.count)
        lines = slice(*np.searchsorted(self.shopper, [start, stop]).tolist())
        return Histories(
            stop - start,
            self.shopper[lines] - start,
            self.item[lines],
            self.day[lines],
            self.ago[lines],
            self.amount[lines],
            self.quantity[lines],
            self.now,
        )

    def latest(self, entries: int) -> Histories:
        """The histories cut to each shopper's last ``entries`` different items; later days first, then by item."""
        order = np.lexsort((self.item, -self.day, self.shopper))
        _, first = np.unique(
            self.shopper[order] * (self.item.max(initial=0) + 1) + self.item[order], return_index=True
        )
        chosen = order[np.sort(first)]
        owner = self.shopper[chosen]
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        keep = np.sort(chosen[place < entries])
        return Histories.of(
            self.count,
            self.shopper[keep],
            self.item[keep],
            self.day[keep],
            self.amount[keep],
            self.quantity[keep],
            now=self.now,
        )
