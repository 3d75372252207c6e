"""Titles by the fewest words that tell them apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.short_names import ShortNames

_TITLES = ("red retrospot mug", "red retrospot bag", "blue owl mug", "owl")


def test_a_title_is_named_by_words_that_it_alone_has() -> None:
    names = ShortNames(_TITLES)
    assert names.short("blue owl mug") == "blue"
    assert names.short("red retrospot bag") == "bag"
    assert names.short("red retrospot mug") in {"red mug", "retrospot mug"}


def test_a_title_whose_words_are_all_in_another_keeps_its_whole_name() -> None:
    assert ShortNames(_TITLES).short("owl") == "owl"


def test_what_is_not_in_the_catalogue_is_its_own_name_and_title() -> None:
    names = ShortNames(_TITLES)
    assert names.short("green hat") == "green hat"
    assert names.whole("green hat") == "green hat"


def test_of_names_with_as_many_words_the_one_of_fewest_tokens_is_taken() -> None:
    names = ShortNames(("zinc extraordinary mug", "red mug"), count=len)
    assert names.short("zinc extraordinary mug") == "zinc"


@given(
    st.sets(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5).map(" ".join), min_size=1, max_size=20)
)
def test_every_name_reads_back_as_its_title(titles: set[str]) -> None:
    names = ShortNames(sorted(titles))
    assert [names.whole(names.short(title)) for title in sorted(titles)] == sorted(titles)
