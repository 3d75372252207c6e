"""The types of index that are tried, and how broadly each is searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from index.nearest.choice import cells_for, two_pass

__all__ = ["Candidate", "candidates"]

_GRAPH_BREADTHS: Final = (128, 256, 512)
_CELLS_FROM: Final = 4_000
_REFINES: Final = (4, 12)
_SHARES: Final = (1 / 128, 1 / 64, 1 / 32, 3 / 64, 1 / 16, 1 / 8)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A type, built once, and the settings it is searched with.

    Attributes:
        factory: In the words of FAISS's index factory.
        breadths: efSearch of a graph, nprobe of cells; rising.
        refines: Candidates scored again for each wanted one, for a type with Refine; rising. Each is tried with each breadth.
    """

    factory: str
    breadths: tuple[int, ...] = (0,)
    refines: tuple[int, ...] = (0,)


def candidates(texts: int, dimensions: int, *, most_mb: float | None = None) -> list[Candidate]:
    """What is worth trying for so many texts.

    Args:
        texts: How many.
        dimensions: Length of a vector; product quantisers need a multiple of 3 or 4.
        most_mb: Types that would need more, by a rule of thumb, are not built.
    """
    found = [Candidate("Flat"), Candidate("SQ8")]
    found += [
        Candidate(f"HNSW{links},{kind}", _GRAPH_BREADTHS)
        for links, kind in ((32, "Flat"), (16, "SQ8"), (12, "SQ8"))
    ]
    if texts >= _CELLS_FROM:
        cells = cells_for(texts)
        probes = tuple(sorted({max(1, round(share * cells)) for share in _SHARES}))
        found.append(Candidate(f"IVF{cells},SQ8", probes))
        if factory := two_pass(texts, dimensions):
            found.append(Candidate(factory, probes, _REFINES))
    return [
        one for one in found if most_mb is None or _bytes(one.factory, dimensions) * texts / 1e6 <= most_mb
    ]


def _bytes(factory: str, dimensions: int) -> float:
    """Bytes of a vector in an index of this type, about."""
    size = 0.0
    if factory.startswith("HNSW"):
        size += 8.6 * int(factory[4 : factory.index(",")]) + 12
    if factory.startswith("IVF"):
        size += 10
    if "fs" in factory:
        size += dimensions / 6
    return size + (dimensions if "SQ8" in factory else 4 * dimensions)
