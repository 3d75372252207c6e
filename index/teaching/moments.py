"""Past moments of shoppers: the evening of every day on which one bought something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from index.channels.purchases import DAY_MS, Histories, Ints, Purchases

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Moments"]


@dataclass(frozen=True, slots=True)
class Moments:
    """m moments, shopper by shopper and each shopper's from the first to the last.

    Attributes:
        history: The order lines, by shopper and then by time.
        first: (m,) the first line of the moment's shopper.
        stop: (m,) one after the last line that was there at the moment.
        ends: (m,) one after the last line of the shopper's next day; equal to ``stop`` at the last moment.
        day: (m,) the UTC day of the moment.
    """

    history: Purchases
    first: Ints
    stop: Ints
    ends: Ints
    day: Ints

    @classmethod
    def of(cls, history: Purchases) -> Moments:
        """All moments of a history."""
        order = np.lexsort((history.time, history.user))
        lines = Purchases(
            history.users,
            history.items,
            history.user[order],
            history.item[order],
            history.time[order],
            history.quantity[order],
            history.amount[order],
        )
        user, day = lines.user, lines.day
        new: Ints = np.flatnonzero(np.r_[True, (np.diff(user) != 0) | (np.diff(day) != 0)])
        stop: Ints = np.r_[new[1:], len(lines)]
        owner = user[new]
        first = np.searchsorted(user, owner)
        after = np.r_[stop[1:], len(lines)]
        lasting = np.r_[owner[1:] != owner[:-1], True]
        ends: Ints = np.where(lasting, stop, after)
        return cls(lines, first, stop, ends, day[new])

    def __len__(self) -> int:
        return len(self.first)

    def blocks(self, size: int, some: Ints | None = None) -> Iterator[tuple[Ints, Histories]]:
        """The moments, or ``some`` of them, in blocks of ``size``: their numbers, and each as a shopper of its own."""
        wanted = np.arange(len(self)) if some is None else some
        for start in range(0, len(wanted), size):
            chosen = wanted[start : start + size]
            yield chosen, self.histories(chosen)

    def histories(self, chosen: Ints) -> Histories:
        """What the shoppers of some moments had bought by then."""
        lines = np.concatenate([np.arange(self.first[at], self.stop[at]) for at in chosen])
        owner = np.repeat(np.arange(len(chosen)), self.stop[chosen] - self.first[chosen])
        log = self.history
        now = int(self.day[chosen].max() + 1) * DAY_MS
        return Histories.of(
            len(chosen),
            owner,
            log.item[lines],
            log.day[lines],
            log.amount[lines],
            log.quantity[lines],
            now=now,
        )

    def bought_next(self, moment: int) -> Ints:
        """The items that the shopper bought on their next day and never before; none at their last moment."""
        log = self.history
        after = np.unique(log.item[self.stop[moment] : self.ends[moment]])
        return np.setdiff1d(after, log.item[self.first[moment] : self.stop[moment]])
