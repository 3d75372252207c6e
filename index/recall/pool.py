"""The lists of a batch of users joined: each item once for a user, with a column of values for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from index.built.catalog import Rows
    from index.recall.channel import Listed, Values
    from index.recall.request import Channel

__all__ = ["Joined", "join"]


_ROOM: Final = 32
"""Cells for each listed item up to which items are told apart in a table of all users and rows; beyond, sorting is quicker."""


@dataclass(frozen=True, slots=True)
class _Listings:
    """The lists of channels of words, one after the other.

    Attributes:
        ends: By channel where its items begin and end.
        where: (l,) the place of each listed item in the pools.
        query: (l,) the number of its query among the user's.
        place: (l,) its place in the list, from 1.
        worth: (l,) what it adds.
        most: The most queries that a user has.
    """

    ends: dict[Channel, tuple[int, int]]
    where: npt.NDArray[np.int64]
    query: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    worth: Values
    most: int


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
        source: (m,) which act of the user brought the item by behaviour; -1 none.
        listings: What `by_query` is told from.
    """

    bounds: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    rows: Rows
    columns: dict[Channel, Values]
    found: dict[Channel, npt.NDArray[np.int64]]
    source: npt.NDArray[np.int64]
    listings: _Listings

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(n,) how many items each user has."""
        return np.diff(self.bounds)

    def by_query(self, at: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Values]:
        """What the queries say of some items.

        Args:
            at: (k,) which items, each once.

        Returns:
            (k, q) the best place, from 1, in the lists of each query, 0 in none; and (k, q) what each query adds, over all
            channels of words.
        """
        told = self.listings
        ranks = np.zeros((len(at), told.most), dtype=np.int64)
        shares = np.zeros((len(at), told.most))
        slot = np.full(len(self), -1, dtype=np.int64)
        slot[at] = np.arange(len(at))
        for begin, end in told.ends.values():
            mine = slot[told.where[begin:end]]
            asked = np.flatnonzero(mine >= 0)
            # An item stands once in a list, so no cell is named twice.
            cell = mine[asked] * told.most + told.query[begin:end][asked]
            shares.reshape(-1)[cell] += told.worth[begin:end][asked]
            before, here = ranks.reshape(-1)[cell], told.place[begin:end][asked]
            ranks.reshape(-1)[cell] = np.where(before > 0, np.minimum(before, here), here)
        return ranks, shares


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
        weights: By channel what it counts, for what the queries add.
    """
    users, most = len(demands), max(map(len, demands), default=0)
    told, whose, asked, lists = _told(words, others)
    sizes = [len(one.rows) for one in told]
    lengths = np.array(sizes, dtype=np.int64)
    rows = np.concatenate([one.rows for one in told]) if told else np.empty(0, np.int64)
    values = np.concatenate([one.values for one in told]) if told else np.empty(0)
    span = int(rows.max(initial=0)) + 1
    keys, where = _different(np.repeat(whose * span, lengths) + rows, users * span)
    bounds = np.searchsorted(keys, np.arange(users + 1) * span)
    mine = np.repeat(np.arange(users), np.diff(bounds))
    many = len(keys)
    by_demand = np.zeros((users, max(most, 1)))
    for user, one_weights in enumerate(demands):
        by_demand[user, : len(one_weights)] = one_weights
    starts = np.cumsum([0, *sizes])
    ends = {name: (int(starts[begin]), int(starts[end])) for name, (begin, end) in lists.items()}
    columns: dict[Channel, Values] = {}
    said = {name: part for name, part in ends.items() if name in words}
    # Channels of words stand first.
    few = max((lists[name][1] for name in said), default=0)
    last = int(starts[few])
    query = np.repeat(asked[:few], lengths[:few])
    worth = np.repeat(by_demand[whose[:few], asked[:few]], lengths[:few]) * values[:last]
    place = np.arange(1, last + 1) - np.repeat(starts[:few], lengths[:few])
    source = np.full(many, -1, dtype=np.int64)
    for name, (begin, end) in ends.items():
        to = where[begin:end]
        if name in words:
            columns[name] = np.bincount(to, worth[begin:end], minlength=many).astype(np.float64, copy=False)
            worth[begin:end] *= weights.get(name, 0.0)
        else:
            columns[name] = column = np.zeros(many)
            column[to] = values[begin:end]
    for number, one in enumerate(told):
        if one.source is not None:
            source[where[starts[number] : starts[number + 1]]] = one.source
    found = {name: np.bincount(mine[column != 0], minlength=users) for name, column in columns.items()}
    listings = _Listings(said, where, query, place, worth, most)
    return Joined(bounds, mine, keys - mine * span, columns, found, source, listings)


def _told(
    words: Mapping[Channel, Sequence[Sequence[Listed]]], others: Mapping[Channel, Sequence[Sequence[Listed]]]
) -> tuple[list[Listed], npt.NDArray[np.int64], npt.NDArray[np.int64], dict[Channel, tuple[int, int]]]:
    """All lists, channel after channel, user after user; (lists,) the user of each, and the number of its query.

    And by channel that has any item the lists that are its.
    """
    told: list[Listed] = []
    counts: list[int] = []
    ends: dict[Channel, tuple[int, int]] = {}
    users = 0
    for name, of_channel in (*words.items(), *others.items()):
        begin, users = len(told), len(of_channel)
        for lists in of_channel:
            told += lists
            counts.append(len(lists))
        if any(len(one.rows) for one in told[begin:]):
            ends[name] = (begin, len(told))
    many = np.array(counts, dtype=np.int64)
    whose = np.repeat(np.arange(len(counts)) % max(users, 1), many)
    return told, whose, np.arange(len(told)) - np.repeat(np.cumsum(many) - many, many), ends


def _different(keys: npt.NDArray[np.int64], end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The different keys, rising, and for each key, of 0 to ``end`` - 1, its place among them, as by ``np.unique``."""
    if end <= _ROOM * len(keys):
        there = np.zeros(end, dtype=np.bool_)
        there[keys] = True
        different = np.flatnonzero(there)
        place = np.empty(end, dtype=np.int32)
        place[different] = np.arange(len(different), dtype=np.int32)
        return different, place[keys].astype(np.int64)
    order = np.argsort(keys)
    ranked = keys[order]
    first = np.ones(len(keys), dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=first[1:])
    where = np.empty(len(keys), dtype=np.int64)
    where[order] = np.cumsum(first) - 1
    return ranked[first], where
