"""The shoppers who would have seen the most different things in two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.replay.comparing.agreement import rbo
from stream.replay.comparing.difference import ChangedShopper

if TYPE_CHECKING:
    from stream.replay.comparing.columns import Book, Columns
    from stream.replay.comparing.next_acts import Shown

__all__ = ["changed_shoppers"]

_ONE_SIDED = 4
"""At most one in so many is of those who have slates in one run alone: there is little to see side by side."""


def changed_shoppers(
    first: Columns, second: Columns, shown: tuple[Shown, Shown], book: Book, most: int
) -> list[ChangedShopper]:
    """The ``most`` changed, those with slates in both runs first.

    At every moment at which either run made a slate for a shopper, what each run would have shown then is compared.
    """
    moments = np.unique(
        np.concatenate(
            [np.column_stack((one.users, one.ts))[one.served].astype(np.int64) for one in (first, second)]
        ),
        axis=0,
    )
    if not most or not len(moments):
        return []
    users, ts = moments[:, 0], moments[:, 1]
    rows = [one.before(users, ts, at=True) for one in shown]
    changes = _changes(first, second, rows[0].tolist(), rows[1].tolist())
    both = (rows[0] >= 0) & (rows[1] >= 0)
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    sizes = np.diff(starts, append=len(users))
    means = np.add.reduceat(changes, starts) / sizes
    pairs = np.logical_or.reduceat(both, starts)
    # The most changed first; of equals those with more moments, then by name, so that the order is the same anywhere.
    order = sorted(
        np.flatnonzero(means > 0).tolist(),
        key=lambda at: (-round(float(means[at]), 9), -sizes[at], book.users.names[users[starts[at]]]),
    )
    two_sided = [at for at in order if pairs[at]]
    one_sided = [at for at in order if not pairs[at]]
    few = min(len(one_sided), max(most // _ONE_SIDED, most - len(two_sided)))
    found = []
    for at in two_sided[: most - few] + one_sided[:few]:
        start = int(starts[at])
        here = slice(start, start + int(sizes[at]))
        # A moment at which there is a slate on both sides tells more than one at which one is missing.
        worst = start + int(np.argmax(changes[here] + both[here] * 2.0 * (changes[here] > 0)))
        places = [int(one[worst]) for one in rows]
        found.append(
            ChangedShopper(
                user=book.users.names[int(users[start])],
                moments=int(sizes[at]),
                change=round(float(means[at]), 4),
                at=int(ts[worst]),
                places=(
                    places[0] if places[0] >= 0 else None,
                    places[1] if places[1] >= 0 else None,
                ),
            )
        )
    return found


def _changes(
    first: Columns, second: Columns, ones: list[int], others: list[int]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    known: dict[tuple[int, int], float] = {}
    found = np.empty(len(ones))
    for at, pair in enumerate(zip(ones, others, strict=True)):
        if pair not in known:
            one = first.slates[pair[0]] if pair[0] >= 0 else ()
            other = second.slates[pair[1]] if pair[1] >= 0 else ()
            known[pair] = 0.0 if list(one) == list(other) else 1 - rbo(one, other)
        found[at] = known[pair]
    return found
