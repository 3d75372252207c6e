"""How varied a slate is: what a run keeps beside each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from index.recall.shelves import ages_of
from stream.gate.state.ledger import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.recall import Candidate, Recall
    from stream.infer.chain import Thought

__all__ = ["Variety", "variety_of"]


class Variety(NamedTuple):
    """Different categories of a slate, its items of categories the shopper had not touched, and items new to the shop."""

    categories: int
    unseen: int
    new: int


def variety_of(thought: Thought, candidates: Sequence[Candidate], recall: Recall, new_days: float) -> Variety:
    """The variety of a slate; items up to ``new_days`` old at the trigger are new."""
    catalog = recall.catalog
    rows = [row for one in candidates if (row := catalog.row(one.item)) is not None]
    names = [catalog.category(row) for row in rows]
    touched = frozenset(thought.shopper.categories)
    day = thought.trigger.ts // DAY_MS
    ages = ages_of(catalog, recall.beside.days, np.array(rows, dtype=np.int64), day)
    return Variety(len({*names}), sum(name not in touched for name in names), int((ages <= new_days).sum()))
