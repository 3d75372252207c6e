from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.errors import CatalogError
from index.ranking.discovery import DiscoverySettings, due, kinds, quota

SHARES = st.integers(0, 1_000).map(lambda thousandth: thousandth / 1_000)


@given(SHARES, st.integers(1, 60), st.text(max_size=8), st.integers(0, 10_000), st.integers(1, 60))
def test_any_run_of_a_shoppers_versions_is_less_than_a_place_from_the_exact_share(
    share: float, size: int, user: str, first: int, run: int
) -> None:
    got = sum(quota(share, size, user, version) for version in range(first, first + run))
    assert abs(got - round(Fraction(share) * 1_000_000) * Fraction(size * run, 1_000_000)) < 1


@settings(deadline=None, max_examples=40)
@given(SHARES, st.integers(10, 60), st.integers(0, 10**9), st.integers(0, 500), st.integers(1, 1_000))
def test_a_thousand_slates_are_within_one_percentage_point(
    share: float, size: int, first: int, version: int, shoppers: int
) -> None:
    slates = [
        quota(share, size, f"user-{first + at % shoppers}", version + at // shoppers) for at in range(1_000)
    ]
    assert abs(sum(slates) / (1_000 * size) - share) < 0.01


@given(SHARES, st.integers(0, 60), st.text(max_size=8), st.integers(0, 10_000))
def test_places_are_never_more_than_the_slate_has(share: float, size: int, user: str, version: int) -> None:
    assert 0 <= quota(share, size, user, version) <= size


@given(st.integers(0, 60), st.integers(1, 60))
def test_places_are_due_one_by_one_and_all_at_the_end(places: int, size: int) -> None:
    places = min(places, size)
    steps = np.diff([due(place, places, size) for place in range(size + 1)])
    assert steps.sum() == places
    assert set(steps.tolist()) <= {0, 1}


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"share of discovery is 1\.5"):
        quota(1.5, 10, "ann", 0)


def test_kinds_go_by_their_limits_and_nothing_is_unseen_for_a_shopper_of_no_category() -> None:
    limits = DiscoverySettings(new_days=30, rising=2, least_sales=5)
    given_items = {
        "age": np.array([1.0, 31.0, np.nan, 90.0]),
        "trend": np.array([9.0, 2.0, 1.0, 9.0]),
        "sales": np.array([4.0, 5.0, 0.0, 4.0]),
        "category": np.array([0, 1, -1, 2]),
    }
    found = kinds(limits, **given_items, seen=np.array([1]))
    assert found["new"].tolist() == [True, False, True, False]
    assert found["trending"].tolist() == [False, True, False, False]
    assert found["unseen category"].tolist() == [True, False, False, True]
    assert "unseen category" not in kinds(limits, **given_items, seen=np.array([], dtype=np.int64))
