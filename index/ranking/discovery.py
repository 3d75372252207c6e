"""A guaranteed share of every slate for what a shopper would not meet otherwise: new, trending, of unseen categories.

How many places that are is a whole number for one slate and the exact share over many: with x = share x places, a
shopper's slate of version v has

    floor((v + 1) x + φ) - floor(v x + φ)

of them, with φ from 0 to 1 by the shopper's id. So the rounding is carried over from one version to the next: over any
run of a shopper's versions the number is less than one place from the exact one, and φ evens out the shoppers. (It is
the error diffusion by which Bresenham's algorithm draws lines, IBM Systems Journal 4(1), 1965.)
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from index.errors import CatalogError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["DiscoverySettings", "due", "kinds", "quota"]

_PARTS: Final = 1_000_000


class DiscoverySettings(BaseModel):
    """What counts as discovery, and how much of a slate it gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(default=0.1, ge=0.0, le=1.0, description="Share of all places in slates.")
    new_days: float = Field(
        default=30.0, gt=0, description="An item is new for this long after its first sale."
    )
    rising: float = Field(
        default=2.0, gt=1.0, description="Sales against those expected from which an item is trending."
    )
    least_sales: int = Field(default=5, ge=1, description="Recent sales below which nothing is trending.")


def quota(share: float, size: int, user: str, version: int) -> int:
    """How many places of a slate are for discovery.

    Args:
        share: From 0 to 1, taken to a millionth.
        size: Places of the slate.
        user: The shopper's id.
        version: The slate's number for this shopper, from 0.

    Raises:
        CatalogError: If the share is not from 0 to 1, or size or version are below 0.

    >>> [quota(0.25, 10, "ann", version) for version in range(4)]
    [3, 2, 3, 2]
    """
    if not 0.0 <= share <= 1.0:
        raise CatalogError(
            f"The share of discovery is {share}.", way_out="Give a share from 0 to 1, such as 0.1."
        )
    if size < 0 or version < 0:
        raise CatalogError(
            f"A slate has {size} places and the version {version}.", way_out="Give numbers from 0 up."
        )
    phase = int.from_bytes(blake2b(user.encode(), digest_size=8).digest()) * _PARTS
    # In whole numbers: x is millionths * size / _PARTS and φ is phase / (_PARTS * 2 ** 64).
    millionths = (_millionths(share) * size) << 64
    whole = _PARTS << 64
    return ((version + 1) * millionths + phase) // whole - (version * millionths + phase) // whole


@cache
def _millionths(share: float) -> int:
    return round(Fraction(share) * _PARTS)


def due(
    place: int | npt.NDArray[np.int64], places: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """(n,) how many of the ``places`` for discovery the first ``place`` places of slates of ``sizes`` must hold: evenly spread.

    For (k, 1) numbers of first places (k, n).
    """
    return np.where(sizes > 0, place * places // np.maximum(sizes, 1), 0)


def kinds(
    settings: DiscoverySettings,
    *,
    age: npt.NDArray[np.float64],
    trend: npt.NDArray[np.float64],
    sales: npt.NDArray[np.float64],
    category: npt.NDArray[np.int64] | None = None,
    seen: npt.NDArray[np.int64] | None = None,
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which of m items are discovery for a shopper, by kind ``new``, ``trending`` and ``unseen category``.

    Args:
        settings: The limits.
        age: (m,) days since the item was first sold; NaN counts as new.
        trend: (m,) recent sales against those expected, as from `index.channels.fresh.trend`.
        sales: (m,) recent sales.
        category: (m,) the number of each item's category, -1 where unknown; None without categories.
        seen: The categories the shopper has bought from. With none there is nothing unseen: all would be.
    """
    found = {
        "new": ~(age > settings.new_days),
        "trending": (trend >= settings.rising) & (sales >= settings.least_sales),
    }
    if category is not None and seen is not None and len(seen):
        found["unseen category"] = (category >= 0) & ~np.isin(category, seen)
    return found
