from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.factors.tokens import LONGEST_TITLE, key_of, occurs, tokens


def test_words_keep_their_place_in_the_title() -> None:
    title = "Set of 3 T-LIGHT Holders"
    assert [title[token.start : token.end] for token in tokens(title)] == [
        "Set",
        "of",
        "3",
        "T-LIGHT",
        "Holders",
    ]


def test_scripts_without_spaces_are_read_by_character_and_the_others_by_word() -> None:
    assert [token.key for token in tokens("木制相框 Wooden рамки")] == [
        "木",
        "制",
        "相",
        "框",
        "wooden",
        "рамки",
    ]


@pytest.mark.parametrize(
    ("value", "source", "stands"),
    [
        ("cake tin", "Set of 3 CAKE TINS pantry design", True),
        ("tin cake", "cake tins", False),
        ("cake pantry", "cake tins pantry", False),
        ("相框", "木制相框", True),
        ("框相", "木制相框", False),
        ("", "anything", False),
        ("!!", "!!", False),
        ("steel", "", False),
    ],
)
def test_a_value_stands_in_a_source_only_word_by_word_and_in_order(
    value: str, source: str, stands: bool
) -> None:
    assert occurs(value, source) is stands


def test_a_title_of_a_megabyte_is_read_no_further_than_its_beginning() -> None:
    assert tokens("tea " * 300_000)[-1].end <= LONGEST_TITLE


@given(st.text(max_size=80))
def test_any_text_has_words_that_lie_within_it_and_do_not_overlap(text: str) -> None:
    found = tokens(text)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert all(one.end <= then.start for one, then in pairwise(found))
    assert key_of(text) == key_of(f"  {text}  ")
