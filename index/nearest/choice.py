"""Which vector index a catalogue has: its type, its search setting, and where the choice comes from."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["EXACT_UP_TO", "IndexChoice", "Kind", "cells_for", "default_choice", "two_pass"]

EXACT_UP_TO: Final = 100_000
"""Texts up to which the index is exact unless a choice says otherwise."""

Kind = Literal["flat", "hnsw", "ivf"]


class IndexChoice(BaseModel):
    """A type of index and how broadly it is searched."""

    model_config = ConfigDict(frozen=True)

    factory: str = Field(description="Type, in the words of FAISS's index factory, such as `IVF4096,SQ8`.")
    breadth: int = Field(
        default=0, ge=0, description="efSearch of a graph, nprobe of cells; 0 for exact search."
    )
    refine: int = Field(
        default=0, ge=0, description="For a type with Refine: candidates scored again for each wanted."
    )
    texts: int = Field(default=0, ge=0, description="Texts it was measured on; 0 for a default.")
    recall: float | None = Field(default=None, description="Recall of the exact first 100 as measured.")

    @property
    def kind(self) -> Kind:
        """``flat`` is exact, ``hnsw`` a graph (Malkov and Yashunin 2018), ``ivf`` cells around centres."""
        if self.factory.startswith("IVF"):
            return "ivf"
        return "hnsw" if self.factory.startswith("HNSW") else "flat"

    def fits(self, texts: int) -> bool:
        """Whether it may be used for so many texts: a measured choice holds from half to twice its size."""
        return not self.texts or self.texts / 2 <= texts <= self.texts * 2


_REFINE: Final = 10


def cells_for(texts: int) -> int:
    """Cells of an IVF index: the power of two nearest above 4 times the square root of the texts."""
    return 1 << max(4, (4 * int(texts**0.5)).bit_length())


def two_pass(texts: int, dimensions: int) -> str | None:
    """The type that reads four bits for every three dimensions of many vectors, then a byte a dimension of the best.

    The bits are a product quantiser's over what is left of a vector beyond its cell's centre, in the order that
    registers take (FAISS's fast scan; André, Kermarrec and Le Scouarnec, "Accelerated Nearest Neighbor Search with Quick
    ADC", ICMR 2017). Dimensions that are no multiple of three go by fours; None if they are no multiple of four either.
    """
    for together in (3, 4):
        if dimensions % together == 0:
            return f"IVF{cells_for(texts)},PQ{dimensions // together}x4fsr,Refine(SQ8)"
    return None


def default_choice(texts: int, dimensions: int) -> IndexChoice:
    """What is used where nothing was measured: of the cells three times their root, so that time grows slowly with size."""
    if texts <= EXACT_UP_TO:
        return IndexChoice(factory="Flat")
    breadth = round(3 * cells_for(texts) ** 0.5)
    if factory := two_pass(texts, dimensions):
        return IndexChoice(factory=factory, breadth=breadth, refine=_REFINE)
    return IndexChoice(factory=f"IVF{cells_for(texts)},SQ8", breadth=breadth)
