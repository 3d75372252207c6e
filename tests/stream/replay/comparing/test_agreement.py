"""Measures of agreement between two slates, against worked examples and each other's limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from stream.replay.comparing.agreement import kendall, overlap, rbo

slates = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=12)


def test_the_overlap_counts_the_items_in_both_up_to_a_depth() -> None:
    assert overlap("abcd", "bcae", 2) == 0.5
    assert overlap("abcd", "bcae", 3) == 1.0
    assert overlap("ab", "abcd", 10) == 0.5
    assert overlap("", "", 10) == 1.0


@given(slates, slates)
def test_kendalls_tau_is_that_of_scipy_over_the_items_in_both(one: list[str], other: list[str]) -> None:
    common = [item for item in one if item in other]
    found = kendall(one, other)
    if len(common) < 2:
        assert found is None
    else:
        places = [other.index(item) for item in common]
        assert found == pytest.approx(kendalltau(range(len(common)), places).statistic)


def test_rank_biased_overlap_of_two_short_lists_is_as_reckoned_by_hand() -> None:
    # One item of two agrees, at the second place only: (1 - p) / p * (0 + p^2 / 2) + p^2 / 2 with p = 0.9.
    assert rbo("ab", "cb") == pytest.approx(0.1 / 0.9 * (0.81 / 2) + 0.81 / 2)
    assert rbo("abc", "abc") == pytest.approx(1.0)
    assert rbo("abc", "def") == 0.0
    # Of uneven length: the first place agrees, the second is not known in the shorter list.
    expected = 0.1 / 0.9 * (0.9 + (1 / 2 + 1 * (2 - 1) / (2 * 1)) * 0.81) + (0 / 2 + 1) * 0.81
    assert rbo("a", "ab") == pytest.approx(expected)


@given(slates, slates)
def test_rank_biased_overlap_is_symmetric_between_0_and_1_and_1_only_for_a_prefix(
    one: list[str], other: list[str]
) -> None:
    value = rbo(one, other)
    assert value == pytest.approx(rbo(other, one))
    assert -1e-9 <= value <= 1 + 1e-9
    if one == other:
        assert value == pytest.approx(1.0)
