"""A build's index and the vectors of new rows, searched as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from index.nearest.vectors import VectorIndex

if TYPE_CHECKING:
    from pathlib import Path

    from index.encoders.encoder import Vectors
    from index.living.delta import Delta
    from index.living.near import NearVectors

__all__ = ["LiveVectors"]

Found = tuple["Vectors", npt.NDArray[np.int64]]


class LiveVectors(VectorIndex):
    """As `VectorIndex`, over one state: texts of the build none of whose items is offered are left out.

    The build's index knows nothing of what is gone. So a search asks for a few more than are wanted, in proportion to
    what is gone, and a query that still has too few left is searched again for twice as many.
    """

    def __init__(self, base: VectorIndex, near: NearVectors, delta: Delta) -> None:
        super().__init__(base._index, base.choice, base.build_id)  # noqa: SLF001 - it is the same class
        self._base = base
        self._near = near
        self._delta = delta
        self._gone = int(np.count_nonzero(delta.bare))

    def __len__(self) -> int:
        return len(self._base) + self._delta.rows

    @property
    def added(self) -> Vectors:
        """(new rows, d) the vectors of the new rows, in their order."""
        return self._near.array[: self._delta.rows]

    def save(self, path: Path) -> None:
        """Write the build's index; what is new is not in it."""
        self._base.save(path)

    def search(self, queries: Vectors, k: int) -> Found:
        """As `VectorIndex.search`; new rows have the numbers after the build's texts."""
        scores, texts = self._old(queries, min(k, len(self._base)))
        if self._delta.rows and len(queries):
            near, numbers = self._new(queries, k)
            scores = np.concatenate([scores, near], axis=1)
            texts = np.concatenate([texts, numbers], axis=1)
            scores, texts = _best(scores, texts, k)
        return scores, texts

    def _old(self, queries: Vectors, k: int) -> Found:
        if not self._gone or not len(queries) or not k:
            return self._base.search(queries, k)
        total = len(self._base)
        depth = min(total, k + 8 + int(1.5 * k * self._gone / total))
        scores, texts = self._kept(queries, depth, k)
        while depth < total and len(short := np.flatnonzero((texts >= 0).sum(axis=1) < k)):
            depth = min(total, 2 * depth)
            before = (texts[short] >= 0).sum()
            scores[short], texts[short] = self._kept(queries[short], depth, k)
            if (texts[short] >= 0).sum() == before and depth > 4 * (k + self._gone):
                break  # an approximate index reaches no more than it has
        return scores, texts

    def _kept(self, queries: Vectors, depth: int, k: int) -> Found:
        scores, texts = self._base.search(queries, depth)
        texts = np.where((texts >= 0) & ~self._delta.bare[texts], texts, -1)
        return _best(scores, texts, k)

    def _new(self, queries: Vectors, k: int) -> Found:
        delta = self._delta
        masked = delta.masked[len(delta.base) :]
        gone = int(np.count_nonzero(masked))
        depth = min(delta.rows, k + (8 + int(1.5 * k * gone / delta.rows) if gone else 0))
        while True:
            scores, numbers = self._near.search(queries, depth, delta.rows)
            if not gone:
                break
            numbers = np.where((numbers >= 0) & ~masked[numbers], numbers, -1)
            if depth >= delta.rows or ((numbers >= 0).sum(axis=1) >= min(k, delta.rows - gone)).all():
                break
            depth = min(delta.rows, 2 * depth)
        return scores, np.where(numbers >= 0, numbers + len(self._base), -1)


def _best(scores: Vectors, texts: npt.NDArray[np.int64], k: int) -> Found:
    """The k best of each row, those numbered -1 last."""
    ranked = np.where(texts >= 0, scores, -np.inf)
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(ranked, order, axis=1), np.take_along_axis(texts, order, axis=1)
