"""Edges from items to nodes of one kind, as compressed sparse rows with the chance of each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

__all__ = ["Links"]


@dataclass(frozen=True, slots=True)
class Links:
    """The chance of going from an item to each node that it is linked to.

    16 bytes an item at most and 8 an edge; the arrays may be memory-mapped.

    Attributes:
        starts: (items + 1,) int64; the edges of item i are those from ``starts[i]`` to ``starts[i + 1]``.
        nodes: (edges,) int32 the node of each edge, from 0 to ``count - 1``.
        chances: (edges,) float32 above 0; those of an item add up to 1.
        count: Number of nodes.
    """

    starts: npt.NDArray[np.int64]
    nodes: npt.NDArray[np.int32]
    chances: npt.NDArray[np.float32]
    count: int

    @classmethod
    def of(
        cls,
        items: int,
        count: int,
        edges: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
        weights: npt.NDArray[np.float64] | None = None,
    ) -> Links:
        """Gather edges; those between the same item and node become one.

        An edge's chance is its weight times the node's rarity ln((items + 1) / items linked to the node), over the sum
        of these for the item: a word on half of all titles leads almost nowhere, a rare one to what it names. (Inverse
        document frequency; Spärck Jones, "A statistical interpretation of term specificity", 1972.)

        Args:
            items: Number of items.
            count: Number of nodes.
            edges: (e,) the item and (e,) the node of each edge.
            weights: (e,) above 0; 1 if None.

        Raises:
            CatalogError: If an edge names an item or node that there is not, or a weight is not above 0.
        """
        item, node = edges
        weight = np.ones(len(item)) if weights is None else weights
        if len(item) and (min(item.min(), node.min()) < 0 or item.max() >= items or node.max() >= count):
            raise CatalogError(
                f"An edge leads beyond the {items:,} items or {count:,} nodes.",
                way_out="Number items and nodes from 0.",
            )
        if not (np.isfinite(weight) & (weight > 0)).all():
            raise CatalogError("An edge has a weight that is not above 0.", way_out="Leave such edges out.")
        keys, place = np.unique(item * count + node, return_inverse=True)
        whole = np.bincount(place, weight, minlength=len(keys))
        owner, target = (keys // count, keys % count) if count else (keys, keys)
        linked = np.bincount(target, minlength=count)
        whole = whole * np.log((items + 1) / linked[target])
        total = np.bincount(owner, whole, minlength=items)
        return cls(
            np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=items))]).astype(np.int64),
            target.astype(np.int32),
            (whole / total[owner]).astype(np.float32),
            count,
        )

    @classmethod
    def named(cls, nodes: Sequence[Iterable[Hashable]]) -> Links:
        """Link each item to the nodes named for it, in the items' order; a node named twice counts twice."""
        numbers: dict[Hashable, int] = {}
        found = [[numbers.setdefault(name, len(numbers)) for name in names] for names in nodes]
        item = np.repeat(np.arange(len(found)), [len(one) for one in found])
        node = np.array([number for one in found for number in one], dtype=np.int64)
        return cls.of(len(found), len(numbers), (item.astype(np.int64), node))

    @classmethod
    def identity(cls, items: int) -> Links:
        """Each item is its own only node."""
        return cls(
            np.arange(items + 1, dtype=np.int64),
            np.arange(items, dtype=np.int32),
            np.ones(items, dtype=np.float32),
            items,
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def merged(cls, parts: Sequence[Links]) -> Links:
        """The edges of several kinds as one: the nodes of each kind follow those of the kinds before.

        The chances of an item then add up to its number of kinds.

        Args:
            parts: At least one, all over the same items.
        """
        sizes = np.stack([np.diff(one.starts) for one in parts])
        starts = np.concatenate([[0], np.cumsum(sizes.sum(axis=0))]).astype(np.int64)
        nodes = np.empty(int(starts[-1]), dtype=np.int32)
        chances = np.empty(int(starts[-1]), dtype=np.float32)
        begin, offset = starts[:-1].copy(), 0
        for one, size in zip(parts, sizes, strict=True):
            place = np.repeat(begin - one.starts[:-1], size) + np.arange(len(one.nodes))
            nodes[place] = one.nodes + offset
            chances[place] = one.chances
            begin += size
            offset += one.count
        return cls(starts, nodes, chances, offset)

    def reach(
        self, rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """One step from some items.

        Args:
            rows: (m,) the items.
            weights: (m,) the mass on each.

        Returns:
            The nodes (e,) reached, with repeats, in the order of the items; the mass (e,) that each edge carries; and
            (m + 1,) where the edges of each of the items begin, and end.
        """
        begin = self.starts[rows]
        sizes = self.starts[rows + 1] - begin
        ends = np.cumsum(sizes)
        edges = np.repeat(begin - ends + sizes, sizes) + np.arange(ends[-1] if len(ends) else 0)
        mass: npt.NDArray[np.float32] = self.chances[edges] * np.repeat(weights.astype(np.float32), sizes)
        return self.nodes[edges], mass, np.concatenate([[0], ends])
