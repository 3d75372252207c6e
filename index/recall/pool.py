"""The lists of a batch of users joined: each item once for a user, with a column of values for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from index.built.catalog import Rows
    from index.recall.channel import Listed, Values
    from index.recall.request import Channel

__all__ = ["Joined", "join"]


@dataclass(frozen=True, slots=True)
class Joined:
    """m items that some channel found for n users, user after user; q is the most queries that one of them has.

    Attributes:
        bounds: (n + 1,) where each user's items begin, and where the last one's end.
        owner: (m,) the user of each item.
        rows: (m,) the items' rows, rising within a user.
        columns: By channel that found anything (m,): of a channel of words the sum over queries of the query's weight x
            the item's value in its list, of others the value; 0 where the channel did not find the item.
        found: By channel (n,) how many items it found.
        ranks: (m, q) the best place, from 1, in the lists of each query; 0 in none.
        shares: (m, q) what each query adds, over all channels of words.
        source: (m,) which act of the user brought the item by behaviour; -1 none.
    """

    bounds: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    rows: Rows
    columns: dict[Channel, Values]
    found: dict[Channel, npt.NDArray[np.int64]]
    ranks: npt.NDArray[np.int64]
    shares: Values
    source: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(n,) how many items each user has."""
        return np.diff(self.bounds)


def join(
    words: Mapping[Channel, Sequence[Sequence[Listed]]],
    others: Mapping[Channel, Sequence[Sequence[Listed]]],
    demands: Sequence[npt.NDArray[np.float64]],
    weights: Mapping[str, float],
) -> Joined:
    """Join the lists of n users.

    Args:
        words: By channel of words for each user one list for each of their queries.
        others: By other channel for each user its lists.
        demands: For each user (q,) the queries' weights.
        weights: By channel what it counts, for ``shares``.
    """
    users, most = len(demands), max(map(len, demands), default=0)
    told, whose, asked, ends = _told(words, others)
    lengths = np.array([len(one.rows) for one in told], dtype=np.int64)
    rows = np.concatenate([one.rows for one in told]) if told else np.empty(0, np.int64)
    values = np.concatenate([one.values for one in told]) if told else np.empty(0)
    owner = np.repeat(np.array(whose, dtype=np.int64), lengths)
    query = np.repeat(np.array(asked, dtype=np.int64), lengths)
    place = np.arange(1, len(rows) + 1) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    span = int(rows.max(initial=0)) + 1
    keys, where = _different(owner * span + rows)
    mine = keys // span
    many = len(keys)
    by_demand = np.zeros((users, most))
    for user, one_weights in enumerate(demands):
        by_demand[user, : len(one_weights)] = one_weights
    columns: dict[Channel, Values] = {}
    found: dict[Channel, npt.NDArray[np.int64]] = {}
    ranks = np.zeros((many, most), dtype=np.int64)
    shares = np.zeros((many, most))
    source = np.full(many, -1, dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    for name, (begin, end) in ends.items():
        part = slice(begin, end)
        to = where[part]
        if name in words:
            worth = by_demand[owner[part], query[part]] * values[part]
            columns[name] = np.bincount(to, worth, minlength=many).astype(np.float64, copy=False)
            cell = to * most + query[part]
            # An item stands once in a list, so no cell is named twice.
            shares.reshape(-1)[cell] += weights.get(name, 0.0) * worth
            before, here = ranks.reshape(-1)[cell], place[part]
            ranks.reshape(-1)[cell] = np.where(before > 0, np.minimum(before, here), here)
        else:
            column = np.zeros(many)
            column[to] = values[part]
            columns[name] = column
    for number, one in enumerate(told):
        if one.source is not None:
            source[where[starts[number] : starts[number] + lengths[number]]] = one.source
    for name, column in columns.items():
        found[name] = np.bincount(mine[column != 0], minlength=users)
    bounds = np.searchsorted(mine, np.arange(users + 1))
    return Joined(bounds, mine, keys - mine * span, columns, found, ranks, shares, source)


def _told(
    words: Mapping[Channel, Sequence[Sequence[Listed]]], others: Mapping[Channel, Sequence[Sequence[Listed]]]
) -> tuple[list[Listed], list[int], list[int], dict[Channel, tuple[int, int]]]:
    """The lists that have any item, channel after channel; of each the user and the number of the query.

    And by channel where its items begin and end when the lists stand one after the other.
    """
    told: list[Listed] = []
    whose: list[int] = []
    asked: list[int] = []
    ends: dict[Channel, tuple[int, int]] = {}
    at = 0
    for name, of_channel in (*words.items(), *others.items()):
        begin = at
        for user, lists in enumerate(of_channel):
            for query, one in enumerate(lists):
                if len(one.rows):
                    told.append(one)
                    whose.append(user)
                    asked.append(query)
                    at += len(one.rows)
        if at > begin:
            ends[name] = (begin, at)
    return told, whose, asked, ends


def _different(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The different keys, rising, and for each key its place among them: ``np.unique`` by its quickest sort."""
    order = np.argsort(keys)
    ranked = keys[order]
    first = np.ones(len(keys), dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=first[1:])
    where = np.empty(len(keys), dtype=np.int64)
    where[order] = np.cumsum(first) - 1
    return ranked[first], where
