"""How much of one kind a slate may have: caps by category, brand and seller. Pure, over arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

__all__ = ["Caps", "Room"]


class Caps(BaseModel):
    """How many items of one kind a slate may have at most; None for any number.

    An item whose category, brand or seller is unknown is not counted. A cap holds even where the slate then has fewer
    items than asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: int | None = Field(default=None, ge=1, description="Items of one category.")
    brand: int | None = Field(default=None, ge=1, description="Items of one brand.")
    seller: int | None = Field(default=None, ge=1, description="Items of one seller.")

    def given(self) -> dict[str, int]:
        """The caps that are set, by kind."""
        return {name: cap for name, cap in self.model_dump().items() if cap is not None}


class Room:
    """Which of m candidates caps still leave room for, while one after the other is taken.

    Args:
        groups: By kind (m,) the number of each candidate's group; -1 where it is unknown.
        caps: By kind, how many of one group may be taken.

    Raises:
        CatalogError: If there is a cap for a kind that has no groups.
    """

    def __init__(
        self, count: int, groups: Mapping[str, npt.NDArray[np.int64]], caps: Mapping[str, int]
    ) -> None:
        missing = [name for name in caps if name not in groups]
        if missing:
            raise CatalogError(
                f"There is a cap for {', '.join(missing)}, which the candidates do not tell.",
                way_out="Leave the cap out, or give the items' values.",
            )
        self.open = np.ones(count, dtype=bool)
        self._groups = {name: groups[name] for name in caps}
        self._left = {
            name: np.full(int(groups[name].max(initial=-1)) + 1, cap, dtype=np.int64)
            for name, cap in caps.items()
        }

    def take(self, at: int) -> None:
        """Take a candidate; it and all of a group that is now full are closed."""
        self.open[at] = False
        for name, group in self._groups.items():
            mine = int(group[at])
            if mine < 0:
                continue
            self._left[name][mine] -= 1
            if self._left[name][mine] <= 0:
                self.open &= group != mine
