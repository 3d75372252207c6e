"""Products of arrays that are mostly zeros, by scipy; learning from purchases needs it, serving does not."""

from __future__ import annotations

from typing import Any

from index.errors import CatalogError

__all__ = ["sparse_rows"]


def sparse_rows(values: Any, shape: tuple[int, int] | None = None) -> Any:
    """A ``scipy.sparse.csr_array``; ``@`` with a dense array gives a dense one.

    Args:
        values: A dense array, or ``(values, (rows, columns))``.
        shape: Where it cannot be told from the values.

    Raises:
        CatalogError: If scipy is not installed.
    """
    try:
        from scipy.sparse import csr_array  # noqa: PLC0415 - serving does without it
    except ImportError as error:
        raise CatalogError(
            "Learning from purchases needs scipy.", way_out="Install nearline[learn]."
        ) from error
    return csr_array(values, shape=shape)
