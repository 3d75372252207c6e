from __future__ import annotations

import numpy as np
import pytest

from index.channels.behaviour import ease_weights
from index.errors import CatalogError
from index.ranking.closed_form import quick_ease


def test_the_quick_weights_are_those_of_the_channel_and_nought_where_nothing_was_bought() -> None:
    random = np.random.default_rng(4)
    bought = (random.random((200, 40)) < 0.2).astype(np.float32)
    bought[:, 7] = 0.0
    counts = bought.T @ bought
    quick = quick_ease(counts, 30.0)
    np.testing.assert_allclose(quick, ease_weights(counts, 30.0), atol=1e-5)
    assert not quick[7].any()
    assert not quick[:, 7].any()


def test_a_matrix_that_cannot_be_solved_says_so() -> None:
    with pytest.raises(CatalogError, match="cannot be solved"):
        quick_ease(np.array([[1.0, 9.0], [9.0, 1.0]], dtype=np.float32), 1.0)


def test_no_purchases_give_no_weights() -> None:
    assert not quick_ease(np.zeros((3, 3), dtype=np.float32), 1.0).any()
