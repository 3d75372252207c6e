import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.words import normal, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Garlic Bread", "garlic  bread!"),
        ("candles", "CANDLE"),
        ("batteries", "battery"),
        ("dishes", "dish"),
        ("baby's bibs", "Baby bib"),
        ("\uff34-light", "t light"),
    ],
)
def test_ways_of_writing_one_phrase_are_the_same(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(("one", "other"), [("glass", "gla"), ("bread", "breads roll"), ("tennis", "tenni")])
def test_different_phrases_stay_different(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@given(st.text())
def test_normalising_never_fails_and_knows_only_words(text: str) -> None:
    assert all(word and not word.isspace() for word in words(text))
    assert normal(text.upper()) == normal(text.upper().casefold())
