"""Putting a trained encoder in its place, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from index.built.swap import whole_folder
from index.encoders.shop_memory import MEMORY_RECORD
from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["free_for_encoder", "write_folder"]


def free_for_encoder(out: Path) -> None:
    """Refuse a place that holds something else than a trained encoder.

    Raises:
        CatalogError: If it does.
    """
    if out.exists() and not (out.is_dir() and (_is_encoder(out) or not any(out.iterdir()))):
        raise CatalogError(
            f"{out} is there already and holds no trained encoder.", way_out="Name another folder with --out."
        )


def write_folder(out: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a folder beside ``out``, and exchange the two.

    Raises:
        CatalogError: If the place holds something else, or cannot be written.
    """
    free_for_encoder(out)
    try:
        with whole_folder(out) as beside:
            write(beside)
    except OSError as error:
        raise CatalogError(
            f"{out} cannot be written ({error}).",
            way_out="Check disk and permissions, or name another folder.",
        ) from error


def _is_encoder(folder: Path) -> bool:
    return (folder / MEMORY_RECORD).is_file() or (folder / "training.json").is_file()
