from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import CatalogError
from index.ranking.diversity import FLOOR, HEAD, STRENGTH
from index.ranking.slate import Pool, arrange, coarse, rank

if TYPE_CHECKING:
    from index.ranking.slate import Position


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    many = draw(st.integers(0, 60))
    vectors = random.normal(size=(many, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Pool(
        {"behaviour": random.random(many), "demand": random.random(many) / 2},
        vectors if draw(st.booleans()) else None,
        {"category": random.integers(-1, 6, many)},
        random.random(many) < draw(st.floats(0, 1)),
    )


def check(slate: list[Position], pool: Pool) -> None:
    assert len({one.at for one in slate}) == len(slate)
    for one in slate:
        assert one.score == sum(one.parts.values())
        assert one.parts["likeness"] <= 0 <= one.parts["discovery"]
    assert all(later.score <= former.score + 1e-9 for former, later in pairwise(slate))
    for one in slate:
        assert not one.discovery or (pool.discovery is not None and pool.discovery[one.at])


@given(pools(), st.integers(0, 40), st.integers(1, 5), st.integers(0, 10))
def test_scores_are_sums_and_fall_and_caps_and_shares_hold(
    pool: Pool, limit: int, cap: int, places: int
) -> None:
    places = min(places, limit)
    slate = arrange(pool, limit, caps={"category": cap}, places=places)
    check(slate, pool)
    groups = pool.groups["category"][[one.at for one in slate]]
    assert all((groups == one).sum() <= cap for one in range(6))
    if limit and len(slate) < min(limit, len(pool)):
        full = [one for one in range(6) if (groups == one).sum() == cap]
        left = np.setdiff1d(np.arange(len(pool)), [one.at for one in slate])
        assert set(pool.groups["category"][left].tolist()) <= set(full)


@given(pools(), st.integers(1, 40), st.integers(0, 10))
def test_places_for_discovery_are_filled_evenly_as_far_as_there_are_candidates(
    pool: Pool, limit: int, places: int
) -> None:
    limit = min(limit, len(pool))
    places = min(places, limit)
    slate = arrange(pool, limit, places=places)
    assert pool.discovery is not None
    eligible = int(pool.discovery.sum())
    got = np.cumsum([one.discovery for one in slate]) if slate else np.zeros(1)
    assert got[-1] == min(places, eligible)
    for place in range(1, limit + 1):
        assert got[place - 1] >= min(place * places // limit, eligible)


@given(pools(), st.integers(1, 40))
def test_without_caps_and_discovery_the_order_is_that_of_marginal_relevance(pool: Pool, limit: int) -> None:
    if pool.vectors is None or not len(pool):
        return
    likeness = STRENGTH * np.maximum(pool.vectors @ pool.vectors.T - FLOOR, 0.0)
    chosen: list[int] = []
    for one in arrange(pool, limit):
        near = likeness[chosen].max(axis=0) if len(chosen) >= HEAD else np.zeros(len(pool))
        value = pool.relevance - near
        value[chosen] = -np.inf
        assert one.at == value.argmax()
        assert one.score == pytest.approx(value[one.at], abs=1e-6)
        chosen.append(one.at)
    assert len(chosen) == min(limit, len(pool))


@given(pools(), st.integers(1, 40), st.integers(0, 5))
def test_two_stages_choose_as_one_where_nothing_is_cut_off(pool: Pool, limit: int, places: int) -> None:
    places = min(places, limit)
    slate = rank(pool, limit, places=places, fine=60, arranged=60)
    assert slate == arrange(pool, limit, places=places)
    check(rank(pool, limit, places=places, fine=20, arranged=10), pool)


def test_an_item_of_discovery_survives_the_first_stage_and_is_lifted() -> None:
    relevance = np.linspace(1.0, 0.1, 500)
    wanted = np.zeros(500, dtype=bool)
    wanted[499] = True
    slate = rank(Pool({"behaviour": relevance}, discovery=wanted), 10, places=1)
    assert slate[-1].at == 499
    assert slate[-1].discovery
    assert slate[-1].parts["discovery"] == pytest.approx(relevance[9] - 0.1)


def test_channels_are_on_one_scale_and_what_is_unknown_counts_nothing() -> None:
    parts = coarse(
        {"ease": np.array([3.0, np.nan, 1.5]), "knn": np.array([10.0, 100.0, -5.0])},
        {"ease": 3.0, "knn": 1.0},
    )
    np.testing.assert_allclose(parts["ease"], [0.75, 0.0, 0.375])
    np.testing.assert_allclose(parts["knn"], [0.025, 0.25, 0.0])


def test_channels_without_a_weight_and_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(CatalogError, match="has a weight"):
        coarse({"ease": np.ones(2)}, {"other": 1.0})
    with pytest.raises(CatalogError, match="no finite number"):
        arrange(Pool({"ease": np.array([1.0, np.nan])}), 2)
