from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.channels.behaviour import Behaviour, Neighbours, cosine_weights, ease_weights, gram
from index.channels.channel import best
from index.channels.purchases import DAY_MS, Histories, Purchases
from index.errors import CatalogDamagedError, CatalogError

if TYPE_CHECKING:
    from pathlib import Path

LINES = [
    ("ann", "tea", 1),
    ("ann", "cup", 1),
    ("bob", "tea", 2),
    ("bob", "cup", 3),
    ("bob", "hat", 9),
    ("cat", "hat", 4),
]
LOG = Purchases.of((user, item, day * DAY_MS, 1, 2.0) for user, item, day in LINES)


def test_the_gram_counts_shoppers_of_both_items() -> None:
    counts = gram(LOG)
    at = {item: number for number, item in enumerate(LOG.items)}
    assert counts[at["tea"], at["cup"]] == 2
    assert counts[at["hat"], at["hat"]] == 2
    assert counts[at["hat"], at["cup"]] == 1


@given(st.integers(2, 6), st.integers(0, 1000), st.floats(0.5, 500))
def test_ease_solves_its_least_squares_problem(items: int, seed: int, regularisation: float) -> None:
    """The gradient of |X - XW|^2 + r |W|^2 vanishes off the diagonal, which is zero."""
    bought = (np.random.default_rng(seed).random((12, items)) < 0.4).astype(np.float64)
    weights = ease_weights((bought.T @ bought).astype(np.float32), regularisation).astype(np.float64)
    gradient = bought.T @ (bought @ weights - bought) + regularisation * weights
    np.fill_diagonal(gradient, 0.0)
    assert np.abs(gradient).max() < 1e-3 * max(regularisation, 1)
    assert np.diag(weights).tolist() == [0.0] * items


def test_cosines_of_items_nobody_bought_are_zero() -> None:
    counts = np.array([[4, 2, 0], [2, 1, 0], [0, 0, 0]], dtype=np.float32)
    assert cosine_weights(counts).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_older_invoice_days_weigh_less() -> None:
    bob = LOG.histories([LOG.users.index("bob")], 10 * DAY_MS)
    weights = dict(zip(LOG.items, bob.weights(3, 1.0)[0].tolist(), strict=True))
    assert weights == {"tea": 0.25, "cup": 0.5, "hat": 1.0}


def test_the_last_items_of_a_history_are_its_newest() -> None:
    both = LOG.histories([0, 1], 10 * DAY_MS).latest(1)
    assert [LOG.items[item] for item in both.item] == ["cup", "hat"] or both.count == 2
    assert len(both.item) == 2


def test_the_sparse_form_scores_as_the_whole_one_while_it_keeps_everything() -> None:
    whole = Behaviour.ease(LOG, regularisation=1.0)
    asked = LOG.histories([0, 1, 2], 10 * DAY_MS)
    np.testing.assert_allclose(whole.sparse(3).score(asked), whole.score(asked), atol=1e-6)


def test_saved_neighbours_come_back_and_a_cut_file_is_refused(tmp_path: Path) -> None:
    kept = Behaviour.item_knn(LOG).sparse(2)
    path = tmp_path / "behaviour.npz"
    kept.save(path, LOG.items)
    loaded, items = Neighbours.load(path)
    assert items == LOG.items
    assert loaded.partners.tolist() == kept.partners.tolist()
    assert loaded.half_life == kept.half_life
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CatalogDamagedError, match=r"behaviour\.npz"):
        Neighbours.load(path)


def test_regularisation_must_be_above_zero() -> None:
    with pytest.raises(CatalogError, match="regularisation"):
        ease_weights(gram(LOG), 0.0)


def test_the_best_are_the_same_however_ties_fall() -> None:
    scores = np.array([[1, 2, 2, 2, 0, -np.inf]], dtype=np.float32)
    assert best(scores, 2).rows.tolist() == [[1, 2]]
    assert best(scores, 6).rows.tolist() == [[1, 2, 3, 0, 4, -1]]


def test_a_part_of_histories_is_what_its_shoppers_have() -> None:
    whole = LOG.histories([0, 1, 2], 10 * DAY_MS)
    part: Histories = whole.part(slice(1, 3))
    np.testing.assert_array_equal(part.weights(3, None), whole.weights(3, None)[1:])
