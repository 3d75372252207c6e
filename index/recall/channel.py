"""What a channel of recall is: for every user of a batch, lists of items with values from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from index.built.catalog import Catalog, Rows
    from index.recall.memory import Memory, Nearest
    from index.recall.request import Act, Channel

__all__ = ["Asked", "Batch", "Listed", "LiveChannel", "allowed"]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Listed:
    """One list, best first.

    Attributes:
        rows: (m,) rows of the catalogue, each once.
        values: (m,) from 0 to 1, falling.
        source: (m,) which of the user's acts brought the item, by its place in `Asked.acts`; None for other channels.
    """

    rows: Rows
    values: Values
    source: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, its names turned into numbers.

    Attributes:
        numbers: Of its different queries in `Batch.queries`.
        acts: What the user took up.
        taken: By row the weight of what the user took up, as far as the catalogue has it.
        categories: The user's categories, the most important first.
        excluded: Rows to leave out, sorted.
        wanted: Length of a list.
        depth: How many texts to search, so that what is left out leaves enough.
    """

    numbers: tuple[int, ...]
    acts: tuple[Act, ...]
    taken: dict[int, float]
    categories: tuple[str, ...]
    excluded: Rows
    wanted: int
    depth: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch, encoded and searched.

    Attributes:
        catalog: The items in their newest state.
        queries: The different queries of the whole batch.
        nearest: Of each query the nearest texts, at least as many as the deepest request for it needs.
        asked: The requests.
        memory: What was found before over the same state of the catalogue.
    """

    catalog: Catalog
    queries: tuple[str, ...]
    nearest: tuple[Nearest, ...]
    asked: tuple[Asked, ...]
    memory: Memory


class LiveChannel(Protocol):
    """Finds items for a batch.

    Attributes:
        name: What it is called in weights, explanations and statistics.
    """

    @property
    def name(self) -> Channel: ...  # noqa: D102 - described above

    def find(self, batch: Batch) -> list[list[Listed]]:
        """For each request its lists: of a channel of words one for each query, of others one at most."""
        ...


def allowed(catalog: Catalog, rows: Rows, excluded: Rows) -> npt.NDArray[np.bool_]:
    """(m,) which of the rows may be shown to whom ``excluded`` is not to be shown."""
    mask = catalog.offered_mask(rows)
    return mask & ~np.isin(rows, excluded) if len(excluded) else mask
