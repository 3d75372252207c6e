"""Meaning that matches: the vector index over a built catalogue as a channel of queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from index.channels.channel import Need, Scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.encoders.encoder import Encoder, Vectors
    from index.recall import Recall

__all__ = ["Dense", "DenseCatalog"]


@dataclass(frozen=True, slots=True)
class Dense:
    """Exact search over vectors in memory: for evaluations and small catalogues.

    Attributes:
        encoder: Of the queries; the one that made the vectors.
        vectors: (items, d) unit vectors.
    """

    encoder: Encoder
    vectors: Vectors
    name: str = "dense"
    needs: frozenset[Need] = frozenset({"titles", "encoder"})

    def answer(self, queries: Sequence[str], depth: int) -> Scored:
        """As `QueryChannel.answer`; scores are cosines."""
        scores = self.encoder.encode(queries) @ self.vectors.T
        depth = min(depth, scores.shape[1])
        rows = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        found = np.take_along_axis(scores, rows, axis=1)
        order = np.lexsort((rows, -found), axis=1)
        return Scored(np.take_along_axis(rows, order, axis=1), np.take_along_axis(found, order, axis=1))


@dataclass(frozen=True, slots=True)
class DenseCatalog:
    """Search in a built catalogue's index; the items of a text share its cosine, the most popular first."""

    recall: Recall
    name: str = "dense"
    needs: frozenset[Need] = frozenset({"catalog", "encoder"})

    def answer(self, queries: Sequence[str], depth: int) -> Scored:
        """As `QueryChannel.answer`; rows are those of the catalogue."""
        scores, texts = self.recall.vectors.search(self.recall.encoder.encode(queries), depth)
        rows = np.full((len(queries), depth), -1, dtype=np.int64)
        found = np.full((len(queries), depth), -np.inf, dtype=np.float32)
        for at, (one, values) in enumerate(zip(texts, scores, strict=True)):
            known = one[one >= 0]
            behind = [self.recall.catalog.rows_of_text(int(text)) for text in known]
            if not behind:
                continue
            flat = np.concatenate(behind)[:depth]
            spread = np.repeat(values[one >= 0], [len(part) for part in behind])[:depth]
            rows[at, : len(flat)], found[at, : len(flat)] = flat, spread
        return Scored(rows, found)
