"""When the shop first had each item, as days since 1970: what a build knows from the catalogues before it.

A first build cannot tell; its items have the day 0, which stands for unknown. Of later ones, an item that the catalogue
before lacked has the day of the build, and every other one keeps its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.built.catalog import Catalog
from index.built.manifest import Manifest
from index.errors import CatalogDamagedError, CatalogError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["FIRST_SEEN", "Days", "days_after", "open_days", "today"]

FIRST_SEEN: Final = "first_seen.npy"

Days = npt.NDArray[np.int32]


def today() -> int:
    """The present day in UTC, counted from 1970-01-01."""
    return int(time.time() // 86_400)


def days_after(before: Path, ids: Sequence[str], day: int) -> Days:
    """(items,) the days of a catalogue of these items that follows the one in ``before`` on a day."""
    days = np.zeros(len(ids), dtype=np.int32)
    try:
        catalog = Catalog.open(before)
        known = open_days(before)
    except CatalogError:
        return days  # there is none, or none that can be read: this is a first build
    rows = [catalog.row(item) for item in ids]
    for at, row in enumerate(rows):
        days[at] = day if row is None else 0 if known is None else known[row]
    return days


def open_days(folder: Path) -> Days | None:
    """(items,) the days of a built catalogue; None for one built before they were kept.

    Raises:
        CatalogMissingError: If there is no catalogue.
        CatalogDamagedError: If the file is missing, cut short or of another catalogue.
    """
    manifest = Manifest.load(folder)
    if FIRST_SEEN not in manifest.files:
        return None
    path = manifest.check(folder, FIRST_SEEN)
    try:
        days: Days = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise CatalogDamagedError(
            f"{path} is no readable array.", way_out="Build the catalogue again."
        ) from error
    if days.shape != (manifest.items,):
        raise CatalogDamagedError(f"{path} has the shape {days.shape}.", way_out="Build the catalogue again.")
    return days
