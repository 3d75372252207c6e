from hypothesis import given
from hypothesis import strategies as st

from agents.judge.terms import overlap, share, terms


def test_only_words_that_say_what_is_wanted_remain() -> None:
    assert terms("Set of 3 Cake Tins, pantry design") == {"cake", "tin", "pantry"}


def test_a_share_counts_words_by_their_weight() -> None:
    assert share({"cake", "tin"}, {"cake"}, {"cake": 1.0, "tin": 3.0}) == 0.25
    assert share(set(), {"cake"}, {}) == 0.0


@given(st.frozensets(st.text(max_size=3)), st.frozensets(st.text(max_size=3)))
def test_overlap_is_symmetric_and_one_only_for_equal_sets(one: frozenset[str], other: frozenset[str]) -> None:
    value = overlap(one, other)
    assert value == overlap(other, one)
    assert 0.0 <= value <= 1.0
    assert (value == 1.0) == (one == other and bool(one))
