"""What is asked of new rows many at a time: their categories, and whether their items are new to the shop.

Neither changes once a row is there, so all states of a build share one growing record and look at its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.items.item import UNCATEGORISED

if TYPE_CHECKING:
    from index.built.catalog import Catalog
    from index.living.delta import Delta

__all__ = ["AddedRows"]

_BEGIN: Final = 1_024


class AddedRows:
    """Grows with the states of a delta; one thread lets it grow, any thread reads.

    Args:
        base: The build.
    """

    def __init__(self, base: Catalog) -> None:
        self._base = base
        self._codes = np.empty(_BEGIN, np.int64)
        self._new = np.empty(_BEGIN, np.bool_)
        self._count = 0
        self._code_of: dict[str, int] = {}

    def grow(self, delta: Delta) -> None:
        """Take in the rows of a state that came after the ones known."""
        first = len(self._base)
        if delta.rows > len(self._codes):
            self._codes = np.resize(self._codes, 2 * delta.rows)  # readers keep the arrays they began with
            self._new = np.resize(self._new, 2 * delta.rows)
        for at in range(self._count, delta.rows):
            item = delta.items[first + at]
            self._codes[at] = self._code(item.category)
            self._new[at] = self._base.row(item.item_id) is None
        self._count = max(self._count, delta.rows)

    def codes(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(m,) the categories' numbers of new rows, counted from 0; -1 for none."""
        found: npt.NDArray[np.int64] = self._codes[numbers]
        return found

    def unknown_before(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """(m,) which new rows are of items that the build lacks."""
        found: npt.NDArray[np.bool_] = self._new[numbers]
        return found

    def code(self, category: str) -> int:
        """The number of a category that the build lacks; -1 for one that nobody knows."""
        return self._code_of.get(category, -1)

    def _code(self, category: str) -> int:
        if category == UNCATEGORISED:
            return -1
        known = self._base.category_code(category)
        if known >= 0:
            return known
        return self._code_of.setdefault(category, len(self._base.categories) + len(self._code_of))
