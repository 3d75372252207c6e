"""Fusion of query channels by their scores, with weights chosen on development queries by cross-validation.

Each query's scores of a channel are brought to 0..1: its best item has 1, and its last one 0 if the list is full (what
lies beyond it is then as good as nothing); in a list that ended early, where every match is in it, 0 stays 0. An item
that is not in a channel's list has 0 there. The fused score is Σ weight x normalised score. Scores keep what ranks
throw away, by how much the first is better than the tenth (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for
Hybrid Retrieval", TOIS 2023, find convex combination ahead of reciprocal ranks).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from index.channels.channel import Need, Scored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from index.channels.channel import QueryChannel

__all__ = ["DEPTH", "WEIGHTS", "Choice", "Hybrid", "choose_weights", "fuse_scores"]

WEIGHTS: Final = (1.0, 1.0, 0.35)
"""Of lexical, bm25 and dense; chosen on judged queries of a shop of electronics (``nearline eval retrieval``)."""

DEPTH: Final = 1_000
"""How deep each channel's list goes into the fusion."""


def fuse_scores(lists: Sequence[Scored], weights: Sequence[float], depth: int) -> Scored:
    """Fuse the lists of c channels for the same n queries.

    Args:
        lists: Of each channel.
        weights: Of each channel, at least 0.
        depth: Length of the fused lists.
    """
    n = len(lists[0].rows)
    rows = np.full((n, depth), -1, dtype=np.int64)
    scores = np.full((n, depth), -np.inf, dtype=np.float32)
    for at in range(n):
        found, values = [], []
        for one, weight in zip(lists, weights, strict=True):
            known = one.rows[at] >= 0
            if weight > 0 and known.any():
                value = one.scores[at][known]
                value = np.maximum(
                    value - (value.min() if known.all() and value.min() < value.max() else 0.0), 0.0
                )
                found.append(one.rows[at][known])
                values.append(weight * value / max(float(value.max()), 1e-12))
        if not found:
            continue
        unique, place = np.unique(np.concatenate(found), return_inverse=True)
        total = np.bincount(place, np.concatenate(values), minlength=len(unique))
        order = np.lexsort((unique, -np.round(total, 9)))[:depth]
        rows[at, : len(order)], scores[at, : len(order)] = unique[order], total[order]
    return Scored(rows, scores)


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Several query channels as one.

    Attributes:
        channels: The parts.
        weights: Of each, at least 0.
    """

    channels: tuple[QueryChannel, ...]
    weights: tuple[float, ...]
    name: str = "hybrid"
    needs: frozenset[Need] = frozenset({"titles", "encoder"})

    def answer(self, queries: Sequence[str], depth: int) -> Scored:
        """As `QueryChannel.answer`."""
        lists = [one.answer(queries, max(DEPTH, depth)) for one in self.channels]
        return fuse_scores(lists, self.weights, depth)


@dataclass(frozen=True, slots=True)
class Choice:
    """What cross-validation chose.

    Attributes:
        weights: Chosen on all queries: what to use.
        by_fold: Chosen on the other folds, for each fold.
        held_out: (n, depth) each query's list under the weights chosen without it.
    """

    weights: tuple[float, ...]
    by_fold: tuple[tuple[float, ...], ...]
    held_out: Scored


def choose_weights(
    lists: Sequence[Scored],
    quality: Callable[[Scored], npt.NDArray[np.float64]],
    *,
    grid: Sequence[Sequence[float]],
    folds: int = 5,
    seed: int = 0,
    depth: int = 100,
) -> Choice:
    """Choose fusion weights by k-fold cross-validation over queries.

    Args:
        lists: Of each channel, for the same n queries.
        quality: The (n,) value of each query's list, larger is better; NaN for queries that do not count.
        grid: For each channel the weights to try.
        folds: How many parts the queries are dealt into.
        seed: Of the dealing.
        depth: Length of the fused lists.
    """
    settings = list(product(*grid))
    tried = [fuse_scores(lists, weights, depth) for weights in settings]
    values = np.stack([quality(one) for one in tried])
    n = values.shape[1]
    fold = np.random.default_rng(seed).permutation(n) % folds
    rows, scores = np.empty_like(tried[0].rows), np.empty_like(tried[0].scores)
    by_fold = []
    for part in range(folds):
        inside = fold == part
        at = int(np.argmax(np.nanmean(values[:, ~inside], axis=1)))
        by_fold.append(tuple(settings[at]))
        rows[inside], scores[inside] = tried[at].rows[inside], tried[at].scores[inside]
    chosen = int(np.argmax(np.nanmean(values, axis=1)))
    return Choice(tuple(settings[chosen]), tuple(by_fold), Scored(rows, scores))
