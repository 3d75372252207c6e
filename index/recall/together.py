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
    from index.built.catalog import Catalog
    from index.channels.behaviour import Neighbours
    from index.recall.channel import Asked, Batch
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
        partners = self.neighbours.partners[own]
        says = (weight[:, None] * self.neighbours.strengths[own]).ravel()
        order = np.lexsort((says, partners.ravel()))
        flat = partners.ravel()[order]
        starts = np.flatnonzero(np.r_[True, np.diff(flat) != 0])
        total = np.add.reduceat(says[order], starts)
        # Within a partner the acts are sorted by what they say, so the last one says most.
        loudest = order[np.r_[starts[1:], len(flat)] - 1]
        best = np.argsort(-total, kind="stable")[: self.depth + len(asked.excluded)]
        best = best[total[best] > 0]
        rows = np.array(
            [-1 if (row := catalog.row(self.items[one])) is None else row for one in flat[starts][best]],
            dtype=np.int64,
        )
        kept = rows >= 0
        kept[kept] = allowed(catalog, rows[kept], asked.excluded)
        if not kept.any():
            return []
        best, rows = best[kept][: self.depth], rows[kept][: self.depth]
        source = place[loudest[best] // partners.shape[1]]
        return [Listed(rows, total[best] / float(total[best[0]]), source)]
