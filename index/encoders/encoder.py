"""Text to vectors: what an encoder is, and the cache in front of one.

The two kinds are in `index.encoders.local` (a sentence-transformers model in this process) and
`index.encoders.server` (an OpenAI-compatible server).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CachedEncoder", "Encoder", "Vectors", "unit_rows"]

Vectors = npt.NDArray[np.float32]

CACHED_BATCH: Final = 512
"""Batches above this many texts pass by the cache: they are catalogues being built, not demands that repeat."""


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into unit vectors whose inner product is their similarity, from -1 to 1.

    Attributes:
        name: The model, for people.
        dimensions: Length d of a vector.
        fingerprint: The same for two encoders whose vectors may be compared, and for no others
            (`index.encoders.fingerprint` compares them).
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above

    @property
    def dimensions(self) -> int: ...  # noqa: D102 - as above

    @property
    def fingerprint(self) -> str: ...  # noqa: D102 - as above

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Encode n texts into an array (n, d) of float32 whose rows have length 1.

        Raises:
            EncoderUnavailableError: If the model cannot be reached.
        """
        ...


class CachedEncoder:
    """An encoder that remembers the vectors of the texts it met last; safe to share between threads.

    Shoppers' demands repeat, and a repeated one then costs microseconds.
    """

    def __init__(self, inner: Encoder, capacity: int) -> None:
        self._inner = inner
        self._capacity = capacity
        self._known: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0
        self.name = inner.name
        self.dimensions = inner.dimensions
        self.fingerprint = inner.fingerprint

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As `Encoder.encode`; texts of small batches are looked up first, and only the others computed."""
        if len(texts) > CACHED_BATCH or not self._capacity:
            return self._inner.encode(texts)
        with self._lock:
            found = {text: self._known[text] for text in set(texts) if text in self._known}
            for text in found:
                self._known.move_to_end(text)
        # In the order they came, so that the same batch is computed the same way every time.
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        self.hits += len(found)
        self.misses += len(missing)
        if missing:
            found |= zip(missing, self._inner.encode(missing), strict=True)
            with self._lock:
                for text in missing:
                    self._known[text] = found[text].copy()
                while len(self._known) > self._capacity:
                    self._known.popitem(last=False)
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        stacked: Vectors = np.stack([found[text] for text in texts])
        return stacked


def unit_rows(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Scale the rows of (n, d) to length 1, as float32; a row of nothing but zeros stays."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: Vectors = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return units
