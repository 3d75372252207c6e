"""Vectors of the catalogue's texts in single precision, many at a time.

A build keeps them in half precision. To widen one takes longer than to multiply it, and the same texts come up again and
again, so what was widened is kept, up to `MOST` bytes; a larger catalogue's are widened each time.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from index.encoders.encoder import Vectors
    from index.nearest.vectors import VectorIndex

__all__ = ["TextVectors"]

MOST: Final = 64 * 2**20


class TextVectors:
    """Safe to share between threads: two that widen the same text write the same numbers.

    Args:
        kept: (texts, d) in half precision, memory-mapped.
        index: Has the vectors of what came after the build.

    Attributes:
        index: The same.
    """

    def __init__(self, kept: Any, index: VectorIndex) -> None:
        self._kept = kept
        self.index = index
        self._wide: Vectors | None = None
        self._known = np.zeros(len(kept), dtype=np.bool_)
        if 4 * kept.size <= MOST:
            self._wide = np.empty(kept.shape, np.float32)  # of memory it takes what is written into it

    def over(self, index: VectorIndex) -> TextVectors:
        """The same over another state of the same build; what was widened is shared."""
        other = copy(self)
        other.index = index
        return other

    def of(self, texts: npt.NDArray[np.int64]) -> Vectors:
        """(m, d) the vectors of texts."""
        count = len(self._kept)
        new = texts >= count
        if not new.any():
            return self._built(texts)
        found = np.empty((len(texts), self._kept.shape[1]), np.float32)
        found[~new] = self._built(texts[~new])
        found[new] = self.index.added[texts[new] - count]
        return found

    def each(self, texts: npt.NDArray[np.int64], ends: Sequence[int]) -> Iterator[Vectors]:
        """`of` the texts from 0 to the first end, from there to the second, and so on."""
        known = not (texts >= len(self._kept)).any() and self._wide is not None
        if known:
            self._widen(texts)
        begin = 0
        for end in ends:
            mine = texts[begin:end]
            yield self._wide[mine] if known and self._wide is not None else self.of(mine)
            begin = end

    def _built(self, texts: npt.NDArray[np.int64]) -> Vectors:
        if self._wide is None:
            wide: Vectors = self._kept[texts].astype(np.float32)
            return wide
        self._widen(texts)
        return self._wide[texts]

    def _widen(self, texts: npt.NDArray[np.int64]) -> None:
        missing = texts[~self._known[texts]]
        if len(missing) and self._wide is not None:
            self._wide[missing] = self._kept[missing]
            self._known[missing] = True
