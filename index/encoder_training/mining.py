"""Hard negatives: what a model ranks high for a question although it does not belong to it.

The published recipe of iterative mining (Xiong and others, "Approximate Nearest Neighbor Negative Contrastive
Learning", ICLR 2021): a model M0 is trained on D0 (chance negatives), its own mistakes make D1, and M1 is trained on D1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.channels.purchases import Ints
    from index.encoders.encoder import Vectors

__all__ = ["belongs", "mine"]

_BLOCK: Final = 1_024


def belongs(codes: Ints, positives: Ints) -> npt.NDArray[np.bool_]:
    """Whether each of some codes ``question * n + text``, in any shape, is among the rising (x,) ``positives``."""
    if not len(positives):
        return np.zeros(codes.shape, dtype=bool)
    at = np.minimum(np.searchsorted(positives, codes), len(positives) - 1)
    found: npt.NDArray[np.bool_] = positives[at] == codes
    return found


def mine(asked: Vectors, texts: Vectors, positives: Ints, *, depth: int = 100, keep: int = 16) -> Ints:
    """The ``keep`` texts nearest to each question that do not belong to it.

    Args:
        asked: (q, d) vectors of the questions.
        texts: (n, d) vectors of the texts.
        positives: (x,) rising, ``question * n + text`` of what belongs together.
        depth: How many nearest texts to look at.
        keep: How many to keep.

    Returns:
        (q, keep) numbers of texts, nearest first; -1 where all that are near belong to the question.
    """
    n = len(texts)
    depth = min(depth, n)
    found = np.full((len(asked), keep), -1, dtype=np.int64)
    for start in range(0, len(asked), _BLOCK):
        cosines = asked[start : start + _BLOCK] @ texts.T
        near = np.argpartition(-cosines, depth - 1, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(cosines, near, axis=1), axis=1, kind="stable")
        near = np.take_along_axis(near, order, axis=1)
        wrong = ~belongs(np.arange(start, start + len(near))[:, None] * n + near, positives)
        # Stable by place: first all that are wrong, nearest first, then the others.
        first = np.argsort(~wrong, axis=1, kind="stable")[:, :keep]
        part = np.where(np.take_along_axis(wrong, first, axis=1), np.take_along_axis(near, first, axis=1), -1)
        found[start : start + len(near), : part.shape[1]] = part
    return found
