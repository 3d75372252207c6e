"""Everything that can go wrong in the index room.

CatalogError
├── CatalogSourceError       the file to build from cannot be read or holds no usable item
├── CatalogMissingError      there is no catalogue where one was expected
├── CatalogDamagedError      a file of the catalogue is missing, cut short or altered
├── EncoderUnavailableError  the embedding model cannot be loaded or reached
└── EncoderMismatchError     the index was built by another embedding model
"""

from __future__ import annotations

from nearline import NearlineError

__all__ = [
    "CatalogDamagedError",
    "CatalogError",
    "CatalogMissingError",
    "CatalogSourceError",
    "EncoderMismatchError",
    "EncoderUnavailableError",
]


class CatalogError(NearlineError):
    """Root of the index room's errors, and the one raised for a wrong argument."""


class CatalogSourceError(CatalogError):
    """The file to build from cannot be read or holds no usable item: name a readable one."""


class CatalogMissingError(CatalogError):
    """There is no catalogue in the folder: build one with ``nearline catalog build``."""


class CatalogDamagedError(CatalogError):
    """A file of the catalogue is missing, cut short or altered: build the catalogue again."""


class EncoderUnavailableError(CatalogError):
    """The embedding model cannot be loaded or reached: check its path, package or address."""


class EncoderMismatchError(CatalogError):
    """The index was built by another model than the running one: rebuild, or run that model."""
