"""The vector index: nearest texts by inner product, on FAISS.

Up to 100,000 different texts the index is flat and exact; above, cells whose vectors are read in two passes, unless
`nearline index tune` measured a better type on the shop's own queries (see `index.nearest.choice`).
Measured with FAISS alone on one core and 384 dimensions, five queries for 150 texts each: flat 7 ms at 20,000 texts, 18 ms
at 50,000, 36 ms at 100,000; five queries for 100 each: two passes 5 ms at 250,000 and 8 ms at a million, both with
0.96 of the exact first 100. Exactness is worth more than the difference while it fits the budget.
"""

from __future__ import annotations

import mmap
import re
from typing import TYPE_CHECKING, Any, Final

import faiss
import numpy as np
import numpy.typing as npt

from index.built.manifest import VECTORS, Manifest
from index.encoders.fingerprint import same_encoder
from index.errors import CatalogDamagedError, CatalogError, EncoderMismatchError
from index.nearest.choice import EXACT_UP_TO, default_choice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from index.encoders.encoder import Encoder, Vectors
    from index.nearest.choice import IndexChoice, Kind

__all__ = ["EXACT_UP_TO", "VectorIndex", "read_index"]

_BUILD_BREADTH: Final = 100
_ADD: Final = 20_000
_TRAIN_PER_CELL: Final = 40
_TRAIN_CODES: Final = 50_000

# From this many queries FAISS multiplies matrices, reading the index once for all of them. FAISS 1.15 sets it to 128,000,
# which is never, and then takes ten times as long for 80 queries (197 ms against 20 ms at 20,000 texts).
_MATRIX_FROM: Final = 2


class VectorIndex:
    """Unit vectors by number, from 0 in the order they were given.

    Attributes:
        choice: Its type and how broadly it is searched.
        build_id: The build it belongs to; empty if it was not opened from a folder.
    """

    def __init__(self, index: Any, choice: IndexChoice, build_id: str = "") -> None:
        self._index = index
        self.choice = choice
        self.build_id = build_id

    @property
    def kind(self) -> Kind:
        """``flat``, ``hnsw`` or ``ivf``; see `IndexChoice.kind`."""
        return self.choice.kind

    @classmethod
    def build(
        cls,
        vectors: Vectors,
        choice: IndexChoice | None = None,
        *,
        threads: int = 1,
        told: Callable[[int], None] | None = None,
    ) -> VectorIndex:
        """Build from (n, d) unit vectors.

        Args:
            vectors: Read in parts, so they may be memory-mapped and of any float type.
            choice: The type; by the number of vectors unless given.
            threads: CPU threads to build with.
            told: Called with how many vectors are in.

        Raises:
            CatalogError: If FAISS knows no such type, or cannot train it on so few vectors.
        """
        choice = choice or default_choice(*vectors.shape)
        faiss.omp_set_num_threads(threads)
        try:
            index: Any = faiss.index_factory(vectors.shape[1], choice.factory, faiss.METRIC_INNER_PRODUCT)
            if choice.kind == "hnsw":
                index.hnsw.efConstruction = _BUILD_BREADTH
            if not index.is_trained:
                index.train(_sample(vectors, choice))
        except RuntimeError as error:
            reason = str(error).splitlines()[0][:300]
            raise CatalogError(
                f"An index {choice.factory!r} over {len(vectors)} vectors cannot be made: {reason}",
                way_out="Choose another type; `nearline index tune` tries some.",
            ) from error
        for start in range(0, len(vectors), _ADD):
            index.add(np.ascontiguousarray(vectors[start : start + _ADD], dtype=np.float32))
            if told is not None:
                told(min(start + _ADD, len(vectors)))
        return cls(index, choice)

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
        index = read_index(path)
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
        return cls(index, manifest.index.choice, manifest.build_id)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """Length d of a vector."""
        return int(self._index.d)

    @property
    def added(self) -> Vectors:
        """(m, d) vectors that came after the build; none in an index that does not change."""
        return np.empty((0, self.dimensions), np.float32)

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
        scores, numbers = self._index.search(
            np.ascontiguousarray(queries, dtype=np.float32), k, params=self._parameters(k)
        )
        return scores, numbers

    def _parameters(self, k: int) -> Any:
        """What FAISS is told for a search: breadth, and how much is scored again."""
        choice = self.choice
        params: Any = None
        if choice.kind == "hnsw":
            params = faiss.SearchParametersHNSW(efSearch=max(choice.breadth, 2 * k))  # type: ignore[attr-defined]  # faiss's stubs lack it
        elif choice.kind == "ivf":
            params = faiss.IVFSearchParameters(nprobe=choice.breadth)  # type: ignore[call-arg]  # faiss sets any field by its name
        if "Refine" in choice.factory:
            params = faiss.IndexRefineSearchParameters(
                k_factor=max(1, choice.refine), base_index_params=params
            )  # type: ignore[call-arg]  # as above
        return params


def read_index(path: Path) -> Any:
    """Open an index's file, memory-mapped: what FAISS uses in place is shared by all processes that map the file.

    Some of it, such as the cells of a type with fast scan, FAISS copies in another order. The pages these were read from are let
    go at once, so that a process does not hold them twice.

    Raises:
        CatalogDamagedError: If it is none.
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content = np.frombuffer(mapped, np.uint8)
        reader = faiss.ZeroCopyIOReader(  # type: ignore[attr-defined]  # made by SWIG when FAISS is loaded
            faiss.swig_ptr(content), len(content)
        )
        index: Any = faiss.read_index(reader, faiss.IO_FLAG_MMAP_IFC)
    except (OSError, ValueError, RuntimeError) as error:
        raise CatalogDamagedError(
            f"{path} is no readable index.", way_out="Build the catalogue again."
        ) from error
    mapped.madvise(mmap.MADV_DONTNEED)
    index.referenced_objects = [content]  # FAISS points into it and does not keep it
    return index


def _sample(vectors: Vectors, choice: IndexChoice) -> Vectors:
    """Vectors to train on: enough for each cell, spread over all, in a fixed order."""
    cells = int(match[1]) if (match := re.match(r"IVF(\d+)", choice.factory)) else 0
    wanted = max(cells * _TRAIN_PER_CELL, _TRAIN_CODES)
    if wanted >= len(vectors):
        return np.ascontiguousarray(vectors, dtype=np.float32)
    rows = np.sort(np.random.default_rng(0).choice(len(vectors), wanted, replace=False))
    return np.ascontiguousarray(vectors[rows], dtype=np.float32)


def _short(fingerprint: str) -> str:
    return fingerprint if len(fingerprint) <= 32 else f"{fingerprint[:28]}…"
