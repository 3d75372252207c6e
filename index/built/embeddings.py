"""Vectors that are already known, so that a rebuild encodes only what is new.

A catalogue's folder keeps the vectors as the encoder gave them, in half precision (``embeddings.npy``); the index may
hold them coarser. A text's vector is used again only for the same encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from index.built.catalog import Catalog
from index.built.manifest import EMBEDDINGS, Manifest
from index.encoders.fingerprint import same_encoder
from index.errors import CatalogDamagedError, CatalogError
from index.items.titles import embedding_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from index.encoders.encoder import Encoder, Vectors

__all__ = ["KnownVectors", "NumberedVectors", "kept_vectors", "open_embeddings", "texts_of"]


class KnownVectors(Protocol):
    """Vectors by text."""

    def fill(self, texts: Sequence[str], vectors: Vectors) -> list[int]:
        """Write the known ones into ``vectors`` (n, d); return the places of the others."""
        ...


class NumberedVectors:
    """Known vectors as rows of arrays, by text; a later array wins over an earlier one.

    Args:
        parts: For each array its texts and where they stand in it.
    """

    def __init__(self, *parts: tuple[Mapping[str, int], Any]) -> None:
        self._parts = parts[::-1]

    def fill(self, texts: Sequence[str], vectors: Vectors) -> list[int]:
        """As `KnownVectors.fill`."""
        left = list(range(len(texts)))
        for numbers, array in self._parts:
            found = [(at, numbers[texts[at]]) for at in left if texts[at] in numbers]
            if found:
                to, source = np.array(found, dtype=np.int64).T
                order = np.argsort(source)  # a memory-mapped array is read from front to back
                vectors[to[order]] = array[source[order]]
                done = set(to.tolist())
                left = [at for at in left if at not in done]
        return left


def open_embeddings(directory: Path) -> Any:
    """The kept vectors of a catalogue (texts, d) in half precision, memory-mapped.

    Raises:
        CatalogDamagedError: If they are missing, cut short, or not as many as the texts.
    """
    manifest = Manifest.load(directory)
    path = manifest.check(directory, EMBEDDINGS)
    try:
        vectors = np.load(path, mmap_mode="r")
    except ValueError as error:
        raise CatalogDamagedError(
            f"{path} is no readable array.", way_out="Build the catalogue again."
        ) from error
    if vectors.shape != (manifest.texts, manifest.encoder.dimensions):
        raise CatalogDamagedError(
            f"{path} has the shape {vectors.shape}.", way_out="Build the catalogue again."
        )
    return vectors


def texts_of(catalog: Catalog) -> dict[str, int]:
    """The texts of a catalogue's items and their numbers."""
    found: dict[str, int] = {}
    for text in range(catalog.manifest.texts):
        row = int(catalog.rows_of_text(text)[0])
        found[item_text(catalog, row)] = text
    return found


def item_text(catalog: Catalog, row: int) -> str:
    """What the encoder read of the item in a row."""
    return embedding_text(catalog.title(row), catalog.named_category(row), catalog.brand(row))


def kept_vectors(directory: Path, encoder: Encoder) -> NumberedVectors | None:
    """The known vectors of the catalogue in a folder; None where there is none by this encoder, or it kept none."""
    try:
        manifest = Manifest.load(directory)
        if not same_encoder(manifest.encoder.fingerprint, encoder.fingerprint):
            return None
        vectors = open_embeddings(directory)
        return NumberedVectors((texts_of(Catalog.open(directory)), vectors))
    except CatalogError:
        return None  # a damaged catalogue is being replaced: encode anew
