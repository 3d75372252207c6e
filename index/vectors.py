"""The vector index: nearest texts by inner product, on FAISS.

Up to 100,000 different texts the index is flat and exact; above, a graph (HNSW; Malkov and Yashunin 2018).
Measured with FAISS alone on one core and 384 dimensions, over made-up clustered vectors, five queries for 150 texts
each: flat 7 ms at 20,000 texts, 18 ms at 50,000, 36 ms at 100,000; the graph about 9 ms at 100,000 (breadth 256), with
0.92 of the exact first 100, and 48 s to build on two threads. Exactness is worth more than the difference while it fits the
budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import faiss
import numpy as np
import numpy.typing as npt

from index.errors import CatalogDamagedError, EncoderMismatchError
from index.fingerprint import same_encoder
from index.manifest import VECTORS, Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from index.encoder import Encoder, Vectors

__all__ = ["EXACT_UP_TO", "VectorIndex"]

EXACT_UP_TO: Final = 100_000

_LINKS: Final = 32
_BUILD_BREADTH: Final = 100
_SEARCH_BREADTH: Final = 256

# From this many queries FAISS multiplies matrices, reading the index once for all of them. FAISS 1.15 sets it to 128,000,
# which is never, and then takes ten times as long for 80 queries (197 ms against 20 ms at 20,000 texts).
_MATRIX_FROM: Final = 2

Kind = Literal["flat", "hnsw"]


class VectorIndex:
    """Unit vectors by number, from 0 in the order they were given.

    Attributes:
        kind: ``flat`` (exact) or ``hnsw``.
        build_id: The build it belongs to; empty if it was not opened from a folder.
    """

    def __init__(self, index: Any, kind: Kind, build_id: str = "") -> None:
        self._index = index
        self.kind = kind
        self.build_id = build_id

    @classmethod
    def build(cls, vectors: Vectors, kind: Kind | None = None, *, threads: int = 1) -> VectorIndex:
        """Build from (n, d) unit vectors; the kind follows from n unless given."""
        kind = kind or ("flat" if len(vectors) <= EXACT_UP_TO else "hnsw")
        dimensions = vectors.shape[1]
        index: Any
        if kind == "flat":
            index = faiss.IndexFlatIP(dimensions)
        else:
            index = faiss.IndexHNSWFlat(dimensions, _LINKS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = _BUILD_BREADTH
        faiss.omp_set_num_threads(threads)
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index, kind)

    @classmethod
    def open(cls, directory: Path, encoder: Encoder, *, verify: bool = False) -> VectorIndex:
        """Open the index of a catalogue, memory-mapped.

        Args:
            directory: The catalogue's folder.
            encoder: The encoder that will make the queries' vectors.
            verify: Compare the file's SHA-256 too, which reads all of it.

        Raises:
            CatalogMissingError: If there is no catalogue.
            CatalogDamagedError: If the index is missing, cut short, altered, or no index.
            EncoderMismatchError: If another encoder made it.
        """
        manifest = Manifest.load(directory)
        made = manifest.encoder
        if made.dimensions != encoder.dimensions or not same_encoder(made.fingerprint, encoder.fingerprint):
            raise EncoderMismatchError(
                f"The index in {directory} was made by {made.name} ({made.dimensions} dimensions, {_short(made.fingerprint)}),"
                f" and the encoder now running is {encoder.name} ({encoder.dimensions} dimensions, {_short(encoder.fingerprint)}).",
                way_out="Build the catalogue again with this encoder, or run the one it was built with.",
            )
        path = manifest.check(directory, VECTORS, verify=verify)
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise CatalogDamagedError(
                f"{path} is no readable index.", way_out="Build the catalogue again."
            ) from error
        if index.ntotal != manifest.index.vectors or index.d != made.dimensions:
            raise CatalogDamagedError(
                f"{path} holds {index.ntotal} vectors of {index.d} dimensions where {manifest.index.vectors} of"
                f" {made.dimensions} were written.",
                way_out="Build the catalogue again.",
            )
        if Manifest.load(directory).build_id != manifest.build_id:
            raise CatalogDamagedError(
                f"{directory} was replaced while it was being opened.", way_out="Open it again."
            )
        return cls(index, manifest.index.kind, manifest.build_id)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """Length d of a vector."""
        return int(self._index.d)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        faiss.write_index(self._index, str(path))

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """The nearest vectors of q queries, in one call.

        Args:
            queries: (q, d) unit vectors.
            k: How many for each; all there are, if that is fewer.

        Returns:
            Similarities (q, k), falling, and numbers (q, k). A graph that finds fewer than k fills up with the number -1.
        """
        k = min(k, len(self))
        if not len(queries) or not k:
            return np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        # Both hold for FAISS alone, which nothing else of the process calls. One thread, because a
        # search is short and a second thread on a busy core only makes it wait.
        faiss.omp_set_num_threads(1)
        faiss.cvar.distance_compute_blas_threshold = _MATRIX_FROM
        params = None
        if self.kind == "hnsw":
            breadth = max(_SEARCH_BREADTH, 2 * k)
            params = faiss.SearchParametersHNSW(efSearch=breadth)  # type: ignore[attr-defined]  # faiss's stubs lack it
        scores, numbers = self._index.search(
            np.ascontiguousarray(queries, dtype=np.float32), k, params=params
        )
        return scores, numbers


def _short(fingerprint: str) -> str:
    return fingerprint if len(fingerprint) <= 32 else f"{fingerprint[:28]}…"
