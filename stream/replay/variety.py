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
    from stream.infer.shopper import Labels

__all__ = ["Variety", "varieties_of"]


class Variety(NamedTuple):
    """Different categories of a slate, its items of categories the shopper had not touched, and items new to the shop."""

    categories: int
    unseen: int
    new: int


def varieties_of(
    thoughts: Sequence[Thought],
    candidates: Sequence[Sequence[Candidate]],
    recall: Recall,
    labels: Labels,
    new_days: float,
) -> list[Variety]:
    """The variety of each slate of triggers on one day.

    Args:
        thoughts: the triggers.
        candidates: of each the items of its slate.
        recall: over the catalogue in its state, and ``labels`` of that.
        labels: see ``recall``.
        new_days: items up to so many days old at the trigger are new.
    """
    items = [[told for one in slate if (told := labels[one.item]) is not None] for slate in candidates]
    rows = np.array([told.row for slate in items for told in slate], dtype=np.int64)
    day = thoughts[0].trigger.ts // DAY_MS if thoughts else 0
    new = (ages_of(recall.catalog, recall.beside.days, rows, day) <= new_days).tolist()
    found, at = [], 0
    for thought, slate in zip(thoughts, items, strict=True):
        names = [told.category for told in slate]
        touched = frozenset(thought.shopper.categories)
        unseen = sum([name not in touched for name in names])
        found.append(Variety(len({*names}), unseen, sum(new[at : at + len(slate)])))
        at += len(slate)
    return found
