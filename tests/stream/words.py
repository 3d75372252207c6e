"""An encoder that counts words, so that tests need no model."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from index.encoders.encoder import unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.encoders.encoder import Vectors


class Words:
    """Each word is a direction of its own; the cosine of two texts is the share of words that both have."""

    name = "words"
    dimensions = 256
    fingerprint = "words"

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, zlib.crc32(word.encode()) % self.dimensions] = 1.0
        return unit_rows(vectors)
