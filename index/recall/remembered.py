"""The lists of demands: from the memory where they are there, and made for all others of a batch at once.

A list is remembered as it is for whom nothing is left out. Without items that are not in it, it stays as it is; for whom an
item of it is left out, another is made, which is remembered too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from index.recall.channel import Listed
from index.recall.memory import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from index.built.catalog import Rows
    from index.recall.channel import Asked, Batch
    from index.recall.request import Channel

__all__ = ["Lists", "lists_of"]

_NONE: Final = np.empty(0, dtype=np.int64)
_NOTHING: Final = Listed(_NONE, np.empty(0))


class Lists(Protocol):
    """Makes the lists of some queries."""

    def __call__(
        self, batch: Batch, numbers: Sequence[int], asked: Sequence[Asked], excluded: Sequence[Rows]
    ) -> list[Listed]:
        """The lists.

        Args:
            batch: What is asked.
            numbers: Of the queries in the batch, at least one.
            asked: For each query a request that wants a list of its kind; all want lists of one length.
            excluded: For each query the rows to leave out, rising.
        """
        ...


def lists_of(
    batch: Batch,
    name: Channel,
    lists: Lists,
    kind: Callable[[Asked], tuple[int, ...]],
) -> list[list[Listed]]:
    """The lists of each request: from the memory where they are there, and made for all others at once.

    Args:
        batch: What is asked.
        name: The channel.
        lists: Makes the lists of some queries, of the kind of a request, each without some rows.
        kind: What of a request decides its lists, beside the query and what is left out.
    """
    kinds = [kind(asked) for asked in batch.asked]
    of_kind = dict(zip(kinds, batch.asked, strict=True))
    named = dict.fromkeys(
        (number, what) for asked, what in zip(batch.asked, kinds, strict=True) for number in asked.numbers
    )
    keys = [(name, batch.queries[number], what) for number, what in named]
    known = batch.memory.lists.get_all(keys)
    kept = {one: mine for one, mine in zip(named, known, strict=True) if mine is not None}
    missing = [one for one in named if one not in kept]
    for (number, what), listed in zip(
        missing,
        _made(batch, lists, [number for number, _ in missing], [of_kind[what] for _, what in missing]),
        strict=True,
    ):
        kept[number, what] = one = Kept(listed, listed.rows)
        batch.memory.lists.put((name, batch.queries[number], what), one)
    found: list[list[Listed]] = []
    again: list[tuple[int, int]] = []
    for user, (asked, what) in enumerate(zip(batch.asked, kinds, strict=True)):
        mine = [kept[number, what].listed or _NOTHING for number in asked.numbers]
        found.append(mine)
        again += [(user, at) for at in _touched(mine, asked.excluded)]
    if again:
        _without(batch, name, lists, kinds, again, found)
    return found


def _made(
    batch: Batch,
    lists: Lists,
    numbers: Sequence[int],
    asked: Sequence[Asked],
    excluded: Sequence[Rows] | None = None,
) -> list[Listed]:
    """The lists of some queries; nothing is left out of them if ``excluded`` is None."""
    out = excluded or [_NONE] * len(numbers)
    made: list[Listed] = [_NOTHING] * len(numbers)
    for wanted in dict.fromkeys(one.wanted for one in asked):
        at = [place for place, one in enumerate(asked) if one.wanted == wanted]
        found = lists(
            batch, [numbers[one] for one in at], [asked[one] for one in at], [out[one] for one in at]
        )
        for place, listed in zip(at, found, strict=True):
            made[place] = listed
    return made


def _without(
    batch: Batch,
    name: Channel,
    lists: Lists,
    kinds: Sequence[tuple[int, ...]],
    which: Sequence[tuple[int, int]],
    found: list[list[Listed]],
) -> None:
    """Put in the lists, by user and place, that are others without what is left out for their user."""
    asked = [batch.asked[user] for user, _ in which]
    numbers = [one.numbers[at] for one, (_, at) in zip(asked, which, strict=True)]
    keys = [
        (name, batch.queries[number], kinds[user], one.excluded.tobytes())
        for number, one, (user, _) in zip(numbers, asked, which, strict=True)
    ]
    known = batch.memory.lists.get_all(keys)
    new = [at for at, one in enumerate(known) if one is None]
    made = _made(
        batch,
        lists,
        [numbers[at] for at in new],
        [asked[at] for at in new],
        [asked[at].excluded for at in new],
    )
    for at, listed in zip(new, made, strict=True):
        known[at] = kept = Kept(listed, listed.rows)
        batch.memory.lists.put(keys[at], kept)
    for (user, at), one in zip(which, known, strict=True):
        if one is not None and one.listed is not None:
            found[user][at] = one.listed


def _touched(lists: Sequence[Listed], excluded: Rows) -> list[int]:
    """Which lists have a row that is excluded: without others a list stays as it is."""
    if not len(excluded) or not lists:
        return []
    rows = np.concatenate([one.rows for one in lists])
    at = np.searchsorted(excluded, rows)
    at[at == len(excluded)] = 0
    hit = np.flatnonzero(excluded[at] == rows)
    if not len(hit):
        return []
    ends = np.cumsum([len(one.rows) for one in lists])
    touched: list[int] = np.unique(np.searchsorted(ends, hit, side="right")).tolist()
    return touched
