"""Nearest of the new rows: the newest vectors are searched exactly, older ones by a graph.

An exact search of 50,000 vectors would take as long as the search of a build of a million, so vectors move into a graph
(HNSW) as they age. They move a few at a time under a lock, so that a search waits for a few of them at most.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import faiss
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from index.encoders.encoder import Vectors

__all__ = ["NearVectors"]

EXACT: Final = 2_048
"""Newest vectors that are always searched exactly."""

SETTLED: Final = 512
"""Vectors moved in one go; at half a millisecond each it is done before a change has waited long."""

_MOVED: Final = 8
_LINKS: Final = 16
_BUILD_BREADTH: Final = 64
_SEARCH_BREADTH: Final = 96


class NearVectors:
    """Vectors by number, only ever added to; one thread adds, any thread searches.

    Args:
        dimensions: Length d of a vector.
        exact: How many of the newest stay out of the graph.
    """

    def __init__(self, dimensions: int, exact: int = EXACT) -> None:
        self._exact = exact
        self._all: Vectors = np.empty((2 * exact, dimensions), np.float32)
        self._count = 0
        self._lock = threading.Lock()
        self._graph: Any = faiss.IndexHNSWFlat(dimensions, _LINKS, faiss.METRIC_INNER_PRODUCT)
        self._graph.hnsw.efConstruction = _BUILD_BREADTH

    def __len__(self) -> int:
        return self._count

    @property
    def array(self) -> Vectors:
        """(n, d) all of them; what is added later is in no array handed out before."""
        return self._all[: self._count]

    def add(self, vectors: Vectors) -> None:
        """Take in (n, d) unit vectors; they are searched at once. Follow it by `settle`."""
        end = self._count + len(vectors)
        if end > len(self._all):
            grown = np.empty((2 * end, self._all.shape[1]), np.float32)
            grown[: self._count] = self._all[: self._count]
            self._all = grown  # a search under way keeps the array it began with
        self._all[self._count : end] = vectors
        self._count = end

    def settle(self, most: int = SETTLED) -> None:
        """Move what has aged into the graph, ``most`` vectors at a time, so that the next changes need not wait long."""
        start = int(self._graph.ntotal)
        target = min(start + most, self._count - self._exact)
        for at in range(start, target, _MOVED):
            with self._lock:
                faiss.omp_set_num_threads(1)
                self._graph.add(self._all[at : min(at + _MOVED, target)])

    def search(self, queries: Vectors, k: int, count: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """The nearest of the first ``count`` vectors, as `VectorIndex.search`; -1 where there are fewer than k."""
        if not count:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        with self._lock:
            old = int(self._graph.ntotal)
            newest = self._all[old:count]
            parts = [self._old(queries, k)] if old else []
        if len(newest):
            scores = queries @ newest.T
            rows = np.broadcast_to(np.arange(old, count), scores.shape)
            if scores.shape[1] > k:
                best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
                scores, rows = np.take_along_axis(scores, best, axis=1), best + old
            parts.append((scores, rows))
        scores = np.concatenate([part[0] for part in parts], axis=1)
        numbers = np.concatenate([part[1] for part in parts], axis=1)
        numbers = np.where(numbers < count, numbers, -1)
        order = np.argsort(-np.where(numbers >= 0, scores, -np.inf), axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(numbers, order, axis=1)

    def _old(self, queries: Vectors, k: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
        faiss.omp_set_num_threads(1)
        params = faiss.SearchParametersHNSW(efSearch=max(_SEARCH_BREADTH, k))  # type: ignore[attr-defined]  # faiss's stubs lack it
        found: tuple[Vectors, npt.NDArray[np.int64]] = self._graph.search(
            np.ascontiguousarray(queries, dtype=np.float32), min(k, int(self._graph.ntotal)), params=params
        )
        return found
