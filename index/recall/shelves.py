"""What stands on the shelves of a user's categories: the popular items, and the new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from index.built.catalog import NEWEST
from index.built.first_seen import today
from index.recall.channel import Listed, allowed

if TYPE_CHECKING:
    from index.built.catalog import Catalog, Rows
    from index.built.first_seen import Days
    from index.recall.channel import Asked, Batch, Values
    from index.recall.request import Channel

__all__ = ["NewChannel", "PopularChannel", "ages_of", "category_weights"]

_CATEGORIES: Final = 20
_ELSEWHERE: Final = 0.25
"""What a new item of another category is worth beside one of the user's first category."""


def category_weights(catalog: Catalog, categories: tuple[str, ...]) -> dict[int, float]:
    """By the category's number what it weighs for a user: 1, then 1/2, 1/3 and so on in the order of importance."""
    weights: dict[int, float] = {}
    for name in dict.fromkeys(categories[:_CATEGORIES]):
        code = catalog.category_code(name)
        if code >= 0:
            weights[code] = 1.0 / (1 + len(weights))
    return weights


@dataclass(frozen=True, slots=True)
class PopularChannel:
    """Popular items of a user's categories: the category's weight x log(1 + popularity), as a share of its first item's.

    Items that came after the build are not among them: nothing is known of their popularity yet.
    """

    depth: int
    name: Channel = "popular"

    def find(self, batch: Batch) -> list[list[Listed]]:
        """As `LiveChannel.find`."""
        return [self._one(batch.catalog, asked) for asked in batch.asked]

    def _one(self, catalog: Catalog, asked: Asked) -> list[Listed]:
        named = [
            name for name in dict.fromkeys(asked.categories[:_CATEGORIES]) if catalog.category_code(name) >= 0
        ]
        if not named or not self.depth:
            return []
        each = max(10, -(-self.depth // len(named)))
        rows, values = [], []
        for place, name in enumerate(named):
            found = catalog.popular_of_build(name, each + len(asked.excluded))
            found = found[allowed(catalog, found, asked.excluded)][:each]
            if len(found):
                liked = np.log1p(catalog.popularities(found))
                top = float(liked[0])
                # Where nothing is known of popularity, the order of the source counts.
                share = liked / top if top > 0 else 1.0 / (1.0 + np.arange(len(found)))
                rows.append(found)
                values.append(share / (1 + place))
        return _best(rows, values, self.depth)


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
        return [self._one(batch.catalog, asked, rows, ages, codes) for asked in batch.asked]

    def _one(self, catalog: Catalog, asked: Asked, rows: Rows, ages: Values, codes: Rows) -> list[Listed]:
        weights = category_weights(catalog, asked.categories)
        weight = np.full(len(rows), _ELSEWHERE)
        for code, one in weights.items():
            weight[codes == code] = max(one, _ELSEWHERE)
        kept = allowed(catalog, rows, asked.excluded)
        value = np.maximum(1.0 - ages / self.new_days, 0.05) * weight
        return _best([rows[kept]], [value[kept]], self.depth)


def ages_of(catalog: Catalog, days: Days | None, rows: Rows, until: int | None = None) -> Values:
    """(m,) days since the shop first had the items, up to a day or the present one; NaN where unknown, 0 for what came after the build."""
    ages = np.full(len(rows), np.nan)
    if days is not None:
        built = rows < len(days)
        day = np.where(built, days[np.minimum(rows, len(days) - 1)], 0)
        ages[day > 0] = np.maximum((today() if until is None else until) - day[day > 0], 0)
    ages[catalog.is_added(rows)] = 0.0
    return ages


def _best(rows: list[Rows], values: list[Values], depth: int) -> list[Listed]:
    if not rows or not any(map(len, rows)):
        return []
    row, value = np.concatenate(rows), np.concatenate(values)
    best = np.argsort(-value, kind="stable")[:depth]
    return [Listed(row[best], value[best])]
