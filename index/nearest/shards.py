"""Search over several parts of a catalogue's vectors: what an index must offer, and how answers are merged.

`VectorSearch` is all that recall asks of an index, so an engine that serves vectors over the network is joined by a class
with these members. Each part answers with its own nearest k; the nearest k of all are among these, so merging loses
nothing beyond what the parts lose.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.encoders.encoder import Vectors

__all__ = ["Shards", "VectorSearch"]


class VectorSearch(Protocol):
    """Nearest vectors by inner product; `index.nearest.vectors.VectorIndex` is one."""

    def __len__(self) -> int: ...

    @property
    def dimensions(self) -> int:
        """Length d of a vector."""
        ...

    @property
    def build_id(self) -> str:
        """The build of the catalogue whose texts the numbers are."""
        ...

    @property
    def added(self) -> Vectors:
        """(m, d) vectors whose numbers follow those of the build's texts; none where only a new build adds any."""
        ...

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """Similarities (q, k), falling, and numbers (q, k) from 0, for (q, d) unit vectors; -1 where there are fewer.

        Fewer columns than k mean that there are no more vectors.
        """
        ...


class Shards:
    """Parts searched at the same time, as one `VectorSearch`; the numbers of a part follow those of the one before.

    Args:
        parts: In the order of their numbers, all of one build.
        threads: How many are asked at one time; one asks them in turn.

    Raises:
        CatalogError: If there is no part, or parts differ in build or dimensions.
    """

    def __init__(self, parts: Sequence[VectorSearch], threads: int = 1) -> None:
        kinds = {(part.build_id, part.dimensions) for part in parts}
        if len(kinds) != 1:
            raise CatalogError(
                f"{len(parts)} parts of {len(kinds)} builds or lengths of vectors cannot be searched as one.",
                way_out="Give at least one part, and parts of one build.",
            )
        ((self.build_id, self.dimensions),) = kinds
        self._parts = list(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self._pool = ThreadPoolExecutor(threads, "shards") if threads > 1 else None

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def added(self) -> Vectors:
        """As `VectorSearch.added`: none."""
        return np.empty((0, self.dimensions), np.float32)

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """As `VectorSearch.search`. An error of a part is the error of the whole: a list without it would be wrong unseen."""
        run = self._pool.map if self._pool is not None else map
        answers = list(run(lambda part: part.search(queries, k), self._parts))
        numbers = [
            np.where(found >= 0, found + start, -1)
            for (_, found), start in zip(answers, self._starts, strict=False)
        ]
        scores = np.concatenate([one for one, _ in answers], axis=1)
        merged = np.concatenate(numbers, axis=1)
        ranked = np.where(merged >= 0, scores, -np.inf)
        order = np.argsort(-ranked, axis=1, kind="stable")[:, : min(k, len(self))]
        return np.take_along_axis(ranked, order, axis=1), np.take_along_axis(merged, order, axis=1)
