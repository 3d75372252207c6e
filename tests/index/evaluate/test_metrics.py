import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.evaluate.metrics import bootstrap, coverage, per_shopper


def test_a_list_is_measured_by_hand() -> None:
    rows = np.array([[5, 1, 7, 2]])
    found = per_shopper(rows, [np.array([1, 2, 9])], (2, 4))
    assert found["HR@2"].tolist() == [1.0]
    assert found["Recall@4"][0] == pytest.approx(2 / 3)
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found["NDCG@4"][0] == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / ideal)


def test_the_end_of_a_list_is_never_a_hit() -> None:
    found = per_shopper(np.array([[-1, -1]]), [np.array([0])], (2,))
    assert found["HR@2"].tolist() == [0.0]


@given(st.permutations(list(range(8))), st.sets(st.integers(0, 7), min_size=1))
def test_no_order_of_the_same_items_beats_the_targets_first(order: list[int], targets: set[int]) -> None:
    best = sorted(order, key=lambda item: item not in targets)
    rows = np.array([order, best])
    ndcg = per_shopper(rows, [np.array(sorted(targets))] * 2, (8,))["NDCG@8"]
    assert ndcg[0] <= ndcg[1] + 1e-12
    assert ndcg[1] == pytest.approx(1.0)


def test_coverage_counts_different_items_on_offer() -> None:
    assert coverage(np.array([[1, 2, 3], [1, 4, -1]]), 2, 10) == pytest.approx(0.3)


def test_the_interval_narrows_with_more_shoppers_and_repeats_with_its_seed() -> None:
    values = np.random.default_rng(1).random(2_000)
    few, many = bootstrap(values[:50]), bootstrap(values)
    assert few.low < few.mean < few.high
    assert many.high - many.low < few.high - few.low
    assert bootstrap(values[:50]) == few
