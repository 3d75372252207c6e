"""How far two ranked lists agree. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["kendall", "overlap", "rbo"]


def overlap(one: Sequence[Hashable], other: Sequence[Hashable], depth: int) -> float:
    """Share of the first ``depth`` items that are in both lists, of the longer list's; 1 for two empty ones."""
    first, second = set(one[:depth]), set(other[:depth])
    longest = max(len(first), len(second))
    return len(first & second) / longest if longest else 1.0


def kendall(one: Sequence[Hashable], other: Sequence[Hashable]) -> float | None:
    """Kendall's tau (Kendall 1938) of the items that are in both lists, from -1 to 1; None for fewer than two.

    Items have one place in each list, so there are no ties.
    """
    place = {item: at for at, item in enumerate(other)}
    places = np.array([place[item] for item in one if item in place])
    count = len(places)
    if count < 2:
        return None
    rising = np.triu(places[:, None] < places[None, :], 1).sum()
    pairs = count * (count - 1) / 2
    return float(2 * rising / pairs - 1)


def rbo(one: Sequence[Hashable], other: Sequence[Hashable], persistence: float = 0.9) -> float:
    """Rank-biased overlap, extrapolated (Webber, Moffat and Zobel 2010, equation 32), from 0 to 1.

    The first places count most: at 0.9 the first ten make up about 86 %. 1 for two empty lists.
    """
    if not one or not other:
        return float(not one and not other)
    shorter, longer = sorted((one, other), key=len)
    short, long = len(shorter), len(longer)
    seen_short: set[Hashable] = set()
    seen_long: set[Hashable] = set()
    common = total = 0.0
    at_short = 0.0
    for depth in range(1, long + 1):
        item = longer[depth - 1]
        seen_long.add(item)
        common += item in seen_short
        if depth <= short:
            mine = shorter[depth - 1]
            seen_short.add(mine)
            common += mine in seen_long
            total += common / depth * persistence**depth
            at_short = common
        else:
            beyond = at_short * (depth - short) / (depth * short)
            total += (common / depth + beyond) * persistence**depth
    rest = ((common - at_short) / long + at_short / short) * persistence**long
    return float((1 - persistence) / persistence * total + rest)
