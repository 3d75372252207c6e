"""Searches mended by a catalogue's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import Act, AgentSettings, Ladder, Shopper
from agents.explicit import explicit
from agents.spelling import Spelling
from agents.words import words
from tests.agents.test_ladder import Answers

_TITLES = (
    "Vintage Tea Pot", "Paper Lantern Red", "Lunch Bag Owl", "Christmas Decoration Star", "Sweet Sauce 250 ml", "Saucer Rose",
    "GTX1080 Graphics Card", "Чайник керамический", "陶瓷茶杯 红色", "Wall Clock", "Well Bucket", "Candle Holder",
)  # fmt: skip
_SPELLING = Spelling(_TITLES)


@pytest.mark.parametrize(
    ("search", "meant"),
    [
        ("vintge", "vintage"),  # a letter too few
        ("lanntern", "lantern"),  # one too many
        ("lamtern", "lantern"),  # another
        ("lantren", "lantern"),  # two that changed places
        ("LANTERNES", "lantern"),  # plural of another language, and capitals
        ("christams", "christmas"),
        ("chrismas decration", "christmas decoration"),
        ("decoratoin starr", "decoration starr"),  # four letters are too few to tell
        ("чайнник", "чайник"),
    ],
)
def test_a_slip_away_from_one_word_is_that_word(search: str, meant: str) -> None:
    assert _SPELLING.mend(search) == meant


@pytest.mark.parametrize(
    "search",
    [
        "lanterns",  # known, but for the plural
        "christams decorations", "vintage teapto",  # one word is known: the search finds something
        "gtx1070",  # another model is another thing
        "陶瓷茶林",  # one character is one word
        "owll", "pote",  # short
        "wantern",  # another first letter
        "saucex",  # sauce or saucer
        "teeth whitening", "cadeau de mariage", "подарок", "هدية",  # near nothing
        "", "  ", "123 456", "x" * 5_000, "😀",
    ],
)  # fmt: skip
def test_what_is_known_or_near_none_or_near_several_stays(search: str) -> None:
    assert _SPELLING.mend(search) is None


def test_words_that_came_later_are_known_and_mended_to() -> None:
    spelling = Spelling(["Paper Lantern"])
    assert spelling.mend("hammok") is None
    spelling.add(["Garden Hammock"])
    assert spelling.mend("hammok") == "hammock"
    assert spelling.mend("hammock") is None


@given(st.text(max_size=60))
def test_whatever_is_typed_what_comes_back_has_a_word_of_the_catalogue(search: str) -> None:
    mended = _SPELLING.mend(search)
    if mended is not None:
        assert set(words(mended)) & {word for title in _TITLES for word in words(title)}
        assert _SPELLING.mend(mended) is None


def _searched(*texts: str) -> Shopper:
    return Shopper(
        "u", 10_000, tuple(Act(f"e{at}", "search", 9_000 + at, text) for at, text in enumerate(texts))
    )


def test_a_mended_search_is_one_demand_with_the_right_one_and_the_typed_one_stays_on_record() -> None:
    (only,) = explicit(_searched("lantern", "LANTREN"), 4, 48, _SPELLING.mend)
    assert (only.query, only.asked, only.evidence) == ("lantern", "LANTREN", ("e0", "e1"))
    one, other = explicit(_searched("lantren", "candle"), 4, 48, _SPELLING.mend)
    assert [(each.query, each.asked) for each in (one, other)] == [("candle", ""), ("lantern", "lantren")]


async def test_the_ladder_serves_the_mended_search() -> None:
    ladder = Ladder(Answers('{"queries":["cheese board"]}'), AgentSettings(), mend=_SPELLING.mend)
    (result,) = await ladder.infer([_searched("lantren")])
    assert [(one.query, one.asked) for one in result.demands] == [
        ("lantern", "lantren"),
        ("cheese board", ""),
    ]
