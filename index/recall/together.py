"""What goes together with what a user took up: item-to-item weights learnt from purchases, served by a look-up.

A row's score is the sum over the user's acts of the act's weight times the strength between the two items
(`index.channels.behaviour.Neighbours`). Items are matched by their ids, so the weights may be older than the catalogue:
what it no longer has is passed over, and items that nobody had bought when the weights were learnt have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from index.recall.channel import Listed, allowed

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.built.catalog import Catalog
    from index.channels.behaviour import Neighbours
    from index.recall.channel import Asked, Batch, Values
    from index.recall.request import Channel

__all__ = ["BehaviourChannel"]


@dataclass(frozen=True, slots=True)
class BehaviourChannel:
    """Item to item.

    Attributes:
        neighbours: The partners of each item.
        items: Their ids by number.
        numbers: The number of each id.
        depth: Most items of a list.
    """

    neighbours: Neighbours
    items: tuple[str, ...]
    numbers: dict[str, int]
    depth: int
    name: Channel = "behaviour"

    @classmethod
    def over(cls, neighbours: Neighbours, items: tuple[str, ...], depth: int) -> BehaviourChannel:
        """The channel over loaded neighbours."""
        return cls(neighbours, items, {item: number for number, item in enumerate(items)}, depth)

    def find(self, batch: Batch) -> list[list[Listed]]:
        """As `LiveChannel.find`."""
        return [self._one(batch.catalog, asked) for asked in batch.asked]

    def _one(self, catalog: Catalog, asked: Asked) -> list[Listed]:
        known = [
            (at, number, act.weight)
            for at, act in enumerate(asked.acts)
            if (number := self.numbers.get(act.item)) is not None
        ]
        if not known:
            return []
        place = np.array([one for one, _, _ in known])
        own = np.array([one for _, one, _ in known])
        weight = np.array([one for _, _, one in known])
        met = self.neighbours.partners[own].ravel()
        says = (weight[:, None] * self.neighbours.strengths[own]).ravel()
        order = np.argsort(met)
        met, says = met[order], says[order]
        starts = np.flatnonzero(np.r_[True, met[1:] != met[:-1]])
        total = np.add.reduceat(says, starts)
        best = _largest(total, self.depth + len(asked.excluded))
        best = best[total[best] > 0]
        rows = catalog.rows_of([self.items[one] for one in met[starts][best].tolist()])
        kept = rows >= 0
        kept[kept] = allowed(catalog, rows[kept], asked.excluded)
        if not kept.any():
            return []
        best, rows = best[kept][: self.depth], rows[kept][: self.depth]
        # Of the acts that name a partner, the one that says most; of equal ones the first.
        loudest = np.maximum.reduceat(says, starts)
        group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(met)]))
        act = np.where(says == loudest[group], order // self.neighbours.partners.shape[1], len(place))
        source = place[np.minimum.reduceat(act, starts)[best]]
        return [Listed(rows, total[best] / float(total[best[0]]), source)]


def _largest(values: Values, most: int) -> npt.NDArray[np.int64]:
    """The places of the largest values, falling; of equal ones the first first."""
    if len(values) <= most:
        return np.argsort(-values, kind="stable")
    edge = np.partition(values, len(values) - most)[len(values) - most]
    near = np.flatnonzero(values >= edge)
    return near[np.argsort(-values[near], kind="stable")[:most]]
