"""What stands on the shelves of a user's categories: the popular items, and the new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from index.built.catalog import NEWEST
from index.built.first_seen import today
from index.recall.channel import Listed, allowed
from index.recall.memory import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from index.built.catalog import Catalog, Rows
    from index.built.first_seen import Days
    from index.recall.channel import Asked, Batch, Values
    from index.recall.request import Channel

__all__ = ["MineCategories", "NewChannel", "PopularChannel", "ages_of", "category_weights"]

_CATEGORIES: Final = 20
_ELSEWHERE: Final = 0.25
"""What a new item of another category is worth beside one of the user's first category."""

_NONE: Final = np.empty(0, dtype=np.int64)
_BY_PLACE: Final = np.concatenate([[0.0], 1.0 / np.arange(1, _CATEGORIES + 1)])


def category_weights(catalog: Catalog, categories: tuple[str, ...]) -> dict[int, float]:
    """By the category's number what it weighs for a user: 1, then 1/2, 1/3 and so on in the order of importance."""
    weights: dict[int, float] = {}
    for name in dict.fromkeys(categories[:_CATEGORIES]):
        code = catalog.category_code(name)
        if code >= 0:
            weights[code] = 1.0 / (1 + len(weights))
    return weights


@dataclass(frozen=True, slots=True)
class MineCategories:
    """What categories weigh for each user of a batch, to be asked for many items at once.

    Attributes:
        place: (users, codes + 1) the place of a category among the user's, from 1; 0 for others. The last column is for
            items of no category, and of one that is nobody's.
        known: (users,) whether the user has any.
    """

    place: npt.NDArray[np.uint8]
    known: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, catalog: Catalog, categories: Sequence[tuple[str, ...]]) -> MineCategories:
        """Look up each user's categories."""
        codes = [list(category_weights(catalog, names)) for names in categories]
        most = max((max(one) for one in codes if one), default=-1)
        place = np.zeros((len(codes), most + 2), dtype=np.uint8)
        for user, one in enumerate(codes):
            place[user, one] = np.arange(1, len(one) + 1)
        return cls(place, np.array([bool(one) for one in codes], dtype=np.bool_))

    def weight(self, users: Rows, codes: Rows) -> Values:
        """(m,) what the category of each item weighs for its user, as `category_weights` says; 0 for others."""
        return _BY_PLACE[self._places(users, codes)]

    def unseen(self, users: Rows, codes: Rows) -> npt.NDArray[np.bool_]:
        """(m,) which items have a category that is none of their user's; of users without any, none."""
        unseen: npt.NDArray[np.bool_] = self.known[users] & (codes >= 0) & (self._places(users, codes) == 0)
        return unseen

    def _places(self, users: Rows, codes: Rows) -> npt.NDArray[np.uint8]:
        places: npt.NDArray[np.uint8] = self.place[users, np.minimum(codes, self.place.shape[1] - 1)]
        return places


@dataclass(frozen=True, slots=True)
class PopularChannel:
    """Popular items of a user's categories: the category's weight x log(1 + popularity), as a share of its first item's.

    Items that came after the build are not among them: nothing is known of their popularity yet.
    """

    depth: int
    name: Channel = "popular"

    def find(self, batch: Batch) -> list[list[Listed]]:
        """As `LiveChannel.find`."""
        return [_kept(batch, self.name, asked, self._list) for asked in batch.asked]

    def _list(self, catalog: Catalog, categories: tuple[str, ...], excluded: Rows) -> Kept:
        named = [name for name in dict.fromkeys(categories) if catalog.category_code(name) >= 0]
        if not named or not self.depth:
            return Kept(None, _NONE)
        each = max(10, -(-self.depth // len(named)))
        rows, values = [], []
        for place, name in enumerate(named):
            found = catalog.popular_of_build(name, each + len(excluded))
            found = found[allowed(catalog, found, excluded)][:each]
            if len(found):
                liked = np.log1p(catalog.popularities(found))
                top = float(liked[0])
                # Where nothing is known of popularity, the order of the source counts.
                share = liked / top if top > 0 else 1.0 / (1.0 + np.arange(len(found)))
                rows.append(found)
                values.append(share / (1 + place))
        looked = np.concatenate(rows) if rows else _NONE
        return Kept(_best(rows, values, self.depth), looked)


@dataclass(frozen=True, slots=True)
class NewChannel:
    """Items that are new to the shop: (1 - age / `new_days`) x the weight of the item's category for the user.

    Attributes:
        days: (items,) as from `index.built.first_seen`; None where the build kept none.
        newest: The rows of the build that have a day, the newest first.
        new_days: For how long an item is new.
        depth: Most items of a list.
        day: The day that ages are counted to; the present one if None.
    """

    days: Days | None
    newest: Rows
    new_days: float
    depth: int
    name: Channel = "new"
    day: int | None = None

    @classmethod
    def over(cls, days: Days | None, new_days: float, depth: int) -> NewChannel:
        """The channel over the days of a build."""
        newest = np.empty(0, dtype=np.int64)
        if days is not None:
            dated = np.flatnonzero(days)
            newest = dated[np.argsort(-days[dated], kind="stable")].astype(np.int64)
        return cls(days, newest, new_days, depth)

    def find(self, batch: Batch) -> list[list[Listed]]:
        """As `LiveChannel.find`."""
        rows = np.concatenate([batch.catalog.added_rows, self.newest[:NEWEST]])
        ages = ages_of(batch.catalog, self.days, rows, self.day)
        rows, ages = rows[ages <= self.new_days], ages[ages <= self.new_days]
        if not len(rows) or not self.depth:
            return [[] for _ in batch.asked]
        codes = batch.catalog.category_codes(rows)
        value = np.maximum(1.0 - ages / self.new_days, 0.05)

        def listed(catalog: Catalog, categories: tuple[str, ...], excluded: Rows) -> Kept:
            mine = MineCategories.of(catalog, [categories])
            weight = np.maximum(mine.weight(np.zeros(len(rows), dtype=np.int64), codes), _ELSEWHERE)
            kept = allowed(catalog, rows, excluded)
            best = _best([rows[kept]], [(value * weight)[kept]], self.depth)
            # Without a row that is not in the list, the others keep their places.
            return Kept(best, best.rows if best is not None else _NONE)

        return [_kept(batch, self.name, asked, listed) for asked in batch.asked]


def ages_of(catalog: Catalog, days: Days | None, rows: Rows, until: int | None = None) -> Values:
    """(m,) days since the shop first had the items, up to a day or the present one; NaN where unknown, 0 for what came after the build."""
    added = catalog.is_added(rows)
    if days is None:
        return np.where(added, 0.0, np.nan)
    day = np.where(rows < len(days), days[np.minimum(rows, len(days) - 1)], 0)
    since = np.maximum((today() if until is None else until) - day, 0)
    ages: Values = np.where(day > 0, since, np.nan)
    if added.any():
        ages[added] = 0.0
    return ages


def _kept(
    batch: Batch,
    name: Channel,
    asked: Asked,
    made: Callable[[Catalog, tuple[str, ...], Rows], Kept],
) -> list[Listed]:
    """A list by a user's categories, from the memory where it is there and nothing of it is left out for this user."""
    categories = asked.categories[:_CATEGORIES]
    key = (name, categories)
    kept = batch.memory.lists.get(key)
    if kept is None:
        kept = made(batch.catalog, categories, np.empty(0, dtype=np.int64))
        batch.memory.lists.put(key, kept)
    if not kept.holds_without(asked.excluded):
        kept = made(batch.catalog, categories, asked.excluded)
    return [kept.listed] if kept.listed is not None else []


def _best(rows: list[Rows], values: list[Values], depth: int) -> Listed | None:
    if not rows or not any(map(len, rows)):
        return None
    row, value = np.concatenate(rows), np.concatenate(values)
    best = np.argsort(-value, kind="stable")[:depth]
    return Listed(row[best], value[best])
