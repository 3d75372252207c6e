"""Builds each candidate once and measures it at each breadth."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from index.errors import CatalogError
from index.nearest.choice import IndexChoice
from index.nearest.vectors import VectorIndex, read_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from index.encoders.encoder import Vectors
    from index.tuning.candidates import Candidate

__all__ = ["CALL", "DEPTH", "Measured", "exact_neighbours", "measure"]

DEPTH: Final = 100
CALL: Final = 5
"""Queries of one call, as many as a shopper's slate needs."""

_CHUNK: Final = 50_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One type at one breadth.

    Attributes:
        choice: What it is.
        recall: Share of the exact first `DEPTH` that it finds, averaged over the queries.
        worst: The same for the query at the fifth percentile.
        p50_ms: Of a call of `CALL` queries on one thread, by the clock.
        p99_ms: Of the same.
        cpu_p50_ms: Of the same, the thread's CPU time: what else the machine does lengthens it little.
        cpu_p99_ms: Of the same.
        mb: Size of the index's file, in 10^6 bytes; memory-mapped, it is what a search can touch.
        build_s: Seconds to build; the same for all breadths of a type.
        build_cpu_s: CPU seconds of the same, of all threads.
        problem: Why it could not be built; the figures are then nothing.
    """

    choice: IndexChoice
    recall: float = 0.0
    worst: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_p50_ms: float = 0.0
    cpu_p99_ms: float = 0.0
    mb: float = 0.0
    build_s: float = 0.0
    build_cpu_s: float = 0.0
    problem: str = ""


def exact_neighbours(vectors: Any, queries: Vectors, k: int = DEPTH) -> npt.NDArray[np.int64]:
    """(q, k) the numbers of the nearest of (n, d) vectors by inner product, read in parts."""
    k = min(k, len(vectors))
    scores = np.full((len(queries), 0), -np.inf, np.float32)
    numbers = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(vectors), _CHUNK):
        part = np.ascontiguousarray(vectors[start : start + _CHUNK], dtype=np.float32)
        both = np.concatenate([scores, queries @ part.T], axis=1)
        named = np.concatenate(
            [numbers, np.broadcast_to(np.arange(start, start + len(part)), (len(queries), len(part)))], axis=1
        )
        order = np.argsort(-both, axis=1, kind="stable")[:, :k] if both.shape[1] <= 4 * k else _top(both, k)
        scores, numbers = np.take_along_axis(both, order, axis=1), np.take_along_axis(named, order, axis=1)
    return numbers


def measure(
    vectors: Any,
    queries: Vectors,
    tried: Sequence[Candidate],
    *,
    threads: int = 1,
    calls: int = 200,
    folder: Path | None = None,
    told: Callable[[str, int, int], None] | None = None,
) -> Iterator[Measured]:
    """Measure candidates one after another; what is yielded last of a type is its broadest search.

    Args:
        vectors: (n, d) unit vectors, perhaps memory-mapped, of any float type.
        queries: (q, d) unit vectors of real queries, at least `CALL`.
        tried: What to try.
        threads: CPU threads for building; searches are always timed on one.
        calls: How many calls to time.
        folder: Where built indexes are kept, as ``<place in tried>.faiss``; a temporary one if not given.
        told: Called while building, with the type, how many vectors are in, and how many there are.

    Raises:
        CatalogError: If there are fewer queries than a call has.
    """
    if len(queries) < CALL:
        raise CatalogError(
            f"The file has {len(queries)} queries, too few to measure by.", way_out=f"Give at least {CALL}."
        )
    truth = exact_neighbours(vectors, queries)
    with TemporaryDirectory() as scratch:
        for at, one in enumerate(tried):
            path = (folder or Path(scratch)) / f"{at}.faiss"
            first = IndexChoice(factory=one.factory, breadth=one.breadths[0], refine=one.refines[0])
            began, cpu = time.perf_counter(), time.process_time()
            try:
                built = VectorIndex.build(
                    vectors,
                    first,
                    threads=threads,
                    told=None if told is None else (lambda n, f=one.factory: told(f, n, len(vectors))),  # type: ignore[misc]  # mypy cannot type a lambda's default
                )
            except CatalogError as error:
                yield Measured(first, problem=error.message)
                continue
            spent = (time.perf_counter() - began, time.process_time() - cpu)
            built.save(path)
            del built
            opened = read_index(path)
            for breadth, refine in product(one.breadths, one.refines):
                choice = first.model_copy(
                    update={"breadth": breadth, "refine": refine, "texts": len(vectors)}
                )
                yield _measured(VectorIndex(opened, choice), queries, truth, calls, path, spent)
            del opened
            if folder is None:
                path.unlink()


def _measured(
    index: VectorIndex,
    queries: Vectors,
    truth: npt.NDArray[np.int64],
    calls: int,
    path: Path,
    build: tuple[float, float],
) -> Measured:
    k = truth.shape[1]
    found = np.concatenate([index.search(queries[at : at + 64], k)[1] for at in range(0, len(queries), 64)])
    shares = [len(np.intersect1d(a, b)) / k for a, b in zip(found, truth, strict=True)]
    rng = np.random.default_rng(0)
    groups = [queries[rng.choice(len(queries), CALL, replace=False)] for _ in range(calls)]
    index.search(groups[0], k)
    times, spent = [], []
    for group in groups:
        began, cpu = time.perf_counter(), time.thread_time()
        index.search(group, k)
        spent.append((time.thread_time() - cpu) * 1e3)
        times.append((time.perf_counter() - began) * 1e3)
    recall = float(np.mean(shares))
    return Measured(
        index.choice.model_copy(update={"recall": round(recall, 4)}),
        recall,
        float(np.percentile(shares, 5)),
        *_middle_and_worst(times),
        *_middle_and_worst(spent),
        path.stat().st_size / 1e6,
        *build,
    )


def _middle_and_worst(taken: list[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(taken, [50, 99])
    return float(p50), float(p99)


def _top(both: Vectors, k: int) -> npt.NDArray[np.int64]:
    near = np.argpartition(-both, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(both, near, axis=1), axis=1, kind="stable")
    top: npt.NDArray[np.int64] = np.take_along_axis(near, order, axis=1)
    return top
