"""Slates for new intents, and whether they answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.channels.channel import best
from index.evaluate.demand import DEPTH, swapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from index.evaluate.demand import Rows
    from stream.shoppers import Beginning

__all__ = ["CHOICE", "CUTS", "Asked", "by_behaviour", "found", "swapped_within"]

CUTS: Final = (20, 50)
CHOICE: Final = 3
"""So many items that answer an intent are a choice."""
_BLOCK: Final = 256

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Asked:
    """New intents that something on offer answers which the shopper has not come across.

    Attributes:
        begun: The beginnings.
        seen: (n, items) what the shopper has come across, as far as the gate remembers; nobody offers it.
        targets: Of each, the numbers of the items that answer the intent, without those seen.
    """

    begun: tuple[Beginning, ...]
    seen: npt.NDArray[np.bool_]
    targets: tuple[npt.NDArray[np.int64], ...]

    @classmethod
    def of(cls, begun: Sequence[Beginning], row: Callable[[str], int | None], items: int) -> Asked:
        """Leave out beginnings whose shopper has seen all that answers them.

        Args:
            begun: The beginnings.
            row: An item's number; None if it is not on offer.
            items: How many there are.
        """
        kept, seen, targets = [], [], []
        for one in begun:
            known = np.zeros(items, dtype=bool)
            known[[at for act in one.trigger.recent if (at := row(act.item_id)) is not None]] = True
            answering = [at for item in one.intent.items if (at := row(item)) is not None and not known[at]]
            if answering:
                kept.append(one)
                seen.append(known)
                targets.append(np.array(sorted(answering), dtype=np.int64))
        return cls(tuple(kept), np.array(seen).reshape(len(kept), items), tuple(targets))

    def kinds(self) -> dict[str, npt.NDArray[np.bool_]]:
        """(n,) by kind which intents are of it: by what the first events were, and by how much answers them."""
        searched = np.array([sum(act.type == "search" for act in one.signs) for one in self.begun])
        looked = np.array([len({act.item_id for act in one.signs if act.item_id}) for one in self.begun])
        answering = np.array([len(target) for target in self.targets])
        return {
            "searched": searched > 0,
            "looked at one item": (searched == 0) & (looked == 1),
            "looked at several": (searched == 0) & (looked > 1),
            "up to 5 items answer": answering <= 5,
            "6 to 20": (answering > 5) & (answering <= 20),
            "more than 20": answering > 20,
        }


def by_behaviour(
    weights: Floats | None, acts: Floats, asked: Asked, popular: npt.NDArray[np.float64]
) -> Rows:
    """(n, 50) slates by item-to-item weights; where these say nothing, popularity decides.

    Args:
        weights: (items, items); None for popularity alone.
        acts: (n, items) how much each shopper took up each item.
        asked: Whose slates.
        popular: (items,) how popular each item is.
    """
    usual = (popular / max(float(popular.max()), 1.0)).astype(np.float32)
    parts = []
    for start in range(0, len(acts), _BLOCK):
        part = slice(start, start + _BLOCK)
        own = acts[part] @ weights if weights is not None else np.zeros_like(acts[part])
        scale = np.abs(own).max(axis=1, keepdims=True)
        scores = np.divide(own, scale, out=np.zeros_like(own), where=scale > 0) + 1e-6 * usual
        parts.append(best(scores.astype(np.float32), DEPTH, asked.seen[part]).rows)
    return np.concatenate(parts)


def swapped_within(n: int, seed: int) -> list[int]:
    """For each of n shoppers another one, whose demands they get."""
    return [int(at) for at in swapped(n, seed)]


def found(rows: Rows, asked: Asked) -> dict[str, npt.NDArray[np.float64]]:
    """By metric the value of each shopper.

    ``answered@k`` is 1 if one of the first k items answers the intent, ``choice@k`` if three do, or all where fewer
    exist, and ``share@k`` the part of the k places that do.
    """
    values: dict[str, npt.NDArray[np.float64]] = {}
    hits = np.array([np.isin(row, target) for row, target in zip(rows, asked.targets, strict=True)])
    enough = np.array([min(CHOICE, len(target)) for target in asked.targets])
    for cut in CUTS:
        count = hits[:, :cut].sum(axis=1)
        values[f"answered@{cut}"] = (count > 0).astype(np.float64)
        values[f"choice@{cut}"] = (count >= enough).astype(np.float64)
        values[f"share@{cut}"] = count / cut
    return values
