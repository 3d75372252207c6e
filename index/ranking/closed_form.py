"""EASE^R for features: single precision, by Cholesky's factors, over the items that are there.

The ranker learns from some ten moments with four kinds of weights at each, so they are to be had in a second. Against
`index.channels.behaviour.ease_weights`, which the channel itself is made by, the weights differ by less than 1e-4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from index.errors import CatalogError

if TYPE_CHECKING:
    import numpy.typing as npt

    from index.channels.channel import Scores

__all__ = ["quick_ease"]


def quick_ease(counts: npt.NDArray[np.float32], regularisation: float) -> Scores:
    """EASE^R's weights W = I - P / diag(P) with P = (XᵀX + λI)⁻¹ (Steck, WWW 2019, equation 8).

    An item without purchases has no weights, so only the others are inverted: XᵀX + λI is symmetric and positive
    definite, and LAPACK's potrf and potri need half the operations of a general inverse.

    Args:
        counts: XᵀX (items, items), as from `index.channels.behaviour.gram`.
        regularisation: λ, above 0.

    Raises:
        CatalogError: If scipy is not installed, or the matrix is not positive definite in single precision.
    """
    try:
        from scipy.linalg.lapack import spotrf, spotri  # noqa: PLC0415 - serving does without it
    except ImportError as error:
        raise CatalogError(
            "Learning from purchases needs scipy.", way_out="Install nearline[learn]."
        ) from error
    there = np.flatnonzero(counts.diagonal() > 0)
    weights = np.zeros(counts.shape, dtype=np.float32)
    if not len(there):
        return weights
    matrix = np.asfortranarray(counts[np.ix_(there, there)], dtype=np.float32)
    matrix[np.diag_indices_from(matrix)] += np.float32(regularisation)
    factor, failed = spotrf(matrix, lower=1, overwrite_a=1)
    if not failed:
        inverse, failed = spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise CatalogError(
            f"EASE^R cannot be solved with the regularisation {regularisation}.",
            way_out="Give a larger one, such as 300.",
        )
    # Only the lower half was filled.
    inverse = np.tril(inverse)
    diagonal = inverse.diagonal().copy()
    inverse += np.tril(inverse, -1).T
    inverse /= -diagonal
    np.fill_diagonal(inverse, 0.0)
    weights[np.ix_(there, there)] = inverse
    return weights
