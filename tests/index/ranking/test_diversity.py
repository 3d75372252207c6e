from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index.ranking.diversity import broaden


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(0, 30))
def test_the_sure_places_go_by_relevance_and_every_item_comes_once(seed: int, many: int, sure: int) -> None:
    random = np.random.default_rng(seed)
    relevance, sales = random.random(many), random.integers(0, 200, many).astype(np.float64)
    chosen = broaden(relevance, random.random(many), sales, sure=sure)
    assert sorted(chosen.tolist()) == list(range(many))
    head = min(sure, many)
    assert chosen[:head].tolist() == np.argsort(-relevance, kind="stable")[:head].tolist()


def test_of_near_equals_further_down_the_less_sold_comes_first() -> None:
    relevance, sales = np.array([0.9, 0.5, 0.49, 0.1]), np.array([50.0, 90.0, 1.0, 0.0])
    assert broaden(relevance, np.zeros(len(relevance)), sales, sure=1).tolist() == [0, 2, 1, 3]
    assert broaden(relevance, np.zeros(len(relevance)), sales, sure=2).tolist() == [0, 1, 2, 3]
    assert broaden(relevance, np.zeros(len(relevance)), sales, sure=0, breadth=0.0).tolist() == [0, 1, 2, 3]


@given(st.integers(0, 2**32 - 1))
def test_more_breadth_never_shows_more_of_what_sells_best(seed: int) -> None:
    random = np.random.default_rng(seed)
    relevance, sales = random.random(40), random.integers(0, 200, 40).astype(np.float64)
    shown = [
        np.log1p(sales[broaden(relevance, np.zeros(len(relevance)), sales, sure=5, breadth=b)[:15]]).sum()
        for b in (0, 0.1, 1.0)
    ]
    assert shown[0] >= shown[1] - 1e-9 >= shown[2] - 2e-9


def test_a_second_opinion_counts_only_further_down() -> None:
    relevance, second = np.array([0.9, 0.5, 0.4]), np.array([0.0, 0.0, 1.0])
    assert broaden(relevance, second, np.zeros(3), sure=1).tolist() == [0, 2, 1]
    assert broaden(relevance, second, np.zeros(3), sure=2).tolist() == [0, 1, 2]
    assert broaden(relevance, second, np.zeros(3), sure=0, trust=0.0).tolist() == [0, 1, 2]
