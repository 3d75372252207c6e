"""What a shopper says themselves, from their acts alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import Act, AgentSettings, Demand, Ladder, Rung, Shopper
from agents.demand import Kind
from agents.errors import Unreachable
from agents.explicit import EXPLICIT, explicit
from tests.agents.test_ladder import Answers

_MINUTE = 60_000
_NOW = 1_750_000_000_000


def _shopper(*acts: tuple[str, str, float], cached: tuple[Demand, ...] = ()) -> Shopper:
    """Acts as (type, text, minutes before the trigger), oldest first; their ids count from e0."""
    return Shopper(
        "u",
        _NOW,
        tuple(
            Act(f"e{at}", type_, _NOW - int(ago * _MINUTE), text)
            for at, (type_, text, ago) in enumerate(acts)
        ),
        cached=cached,
    )


def _said(*acts: tuple[str, str, float], most: int = 9) -> list[str]:
    return [one.query for one in explicit(_shopper(*acts), most, 48)]


def test_searches_and_titles_of_the_visit_are_demands_the_newest_first() -> None:
    acts = (("view", "Paper Lantern", 5), ("search", "bunting", 3), ("click", "Party Bunting, Red", 1))
    assert _said(*acts) == ["party bunting red", "bunting", "paper lantern"]


def test_what_was_said_twice_is_one_demand_with_both_events() -> None:
    shopper = _shopper(("click", "Paper Lantern", 3), ("search", "lanterns paper", 2), ("search", "cup", 1))
    cup, lantern = explicit(shopper, 9, 48)
    assert (cup.query, cup.evidence) == ("cup", ("e2",))
    assert (lantern.query, lantern.evidence) == ("lanterns paper", ("e0", "e1"))
    assert {one.kind for one in (cup, lantern)} == {EXPLICIT}
    assert {one.confidence for one in (cup, lantern)} == {1.0}


def test_a_title_of_many_words_is_a_demand_and_a_search_as_long_is_none() -> None:
    long = "set of 4 knick knack tins in the old style"
    assert _said(("view", long, 2)) == [long]
    assert _said(("search", long, 2)) == []
    assert _said(("view", long, 2), ("search", long, 1)) == [long]


def test_an_earlier_visit_says_nothing_of_this_one() -> None:
    assert _said(("search", "umbrella", 90), ("search", "bunting", 20), ("view", "Lantern", 1)) == [
        "lantern",
        "bunting",
    ]
    assert _said(("search", "umbrella", 31)) == []


def test_what_was_ordered_since_is_wanted_no_more_and_what_came_after_the_order_is() -> None:
    order = ("order", "Paper Lantern", 4)
    assert _said(("view", "Paper Lantern", 6), order, ("view", "Cup", 1)) == ["cup"]
    assert _said(order, ("search", "paper lantern", 1)) == ["paper lantern"]


def test_an_order_or_an_impression_alone_says_nothing() -> None:
    assert _said(("order", "Paper Lantern", 1), ("impression", "Cup", 1)) == []


def test_only_so_many_are_taken_and_none_where_none_are_asked_for() -> None:
    acts = tuple(("view", f"lamp {'abcdef'[at] * 3}", 6.0 - at) for at in range(6))
    assert _said(*acts, most=2) == ["lamp fff", "lamp eee"]
    assert _said(*acts, most=0) == []


def test_searches_that_are_none_are_left_out() -> None:
    assert _said(("search", "??!", 3), ("search", "x" * 60, 2), ("search", "4711", 1)) == []


@settings(deadline=None)  # the first example loads Unicode tables
@given(st.lists(st.tuples(st.sampled_from(["search", "view", "order", "cart"]), st.text(max_size=90))))
def test_whatever_was_typed_a_demand_is_short_readable_and_there_once(acts: list[tuple[str, str]]) -> None:
    found = explicit(_shopper(*((type_, text, 1.0) for type_, text in acts)), 4, 48)
    assert len(found) <= 4
    assert len({one.query for one in found}) == len(found)
    for one in found:
        assert 0 < len(one.query) <= 48
        assert one.query.isprintable()
        assert set(one.evidence) <= {f"e{at}" for at in range(len(acts))}
        assert one.evidence


async def test_the_ladder_puts_them_before_what_the_model_infers() -> None:
    ladder = Ladder(Answers('{"queries":["cheese board","party bunting"]}'), AgentSettings())
    (result,) = await ladder.infer([_shopper(("search", "party bunting", 1))])
    assert [(one.query, one.kind) for one in result.demands] == [
        ("party bunting", EXPLICIT),
        ("cheese board", Kind.COMPLEMENT),
    ]
    assert result.rung is Rung.LLM
    (without,) = await Ladder(
        Answers('{"queries":["cheese board"]}'), AgentSettings.model_validate({"explicit": 0})
    ).infer([_shopper(("search", "party bunting", 1))])
    assert [one.query for one in without.demands] == ["cheese board"]


async def test_with_the_model_away_they_stand_before_the_cached_demands_of_which_old_ones_are_left_out() -> (
    None
):
    away = Unreachable("nobody there.", way_out="Start it.")
    cached = (Demand("umbrella", EXPLICIT, ("x",), 1.0), Demand("tea pot", Kind.EXPLORE, ("x",), 0.4))
    (result,) = await Ladder(Answers(away), AgentSettings()).infer(
        [_shopper(("search", "bunting", 1), cached=cached)]
    )
    assert result.rung is Rung.CACHED
    assert [(one.query, one.kind) for one in result.demands] == [
        ("bunting", EXPLICIT),
        ("tea pot", Kind.EXPLORE),
    ]


@pytest.mark.parametrize("told", [{}, {"explicit": 0}])
async def test_a_shopper_of_whom_nothing_is_known_gets_no_demand(told: dict[str, int]) -> None:
    (result,) = await Ladder(Answers("{}"), AgentSettings.model_validate(told)).infer([_shopper()])
    assert result.demands == ()
    assert result.rung is Rung.POPULAR
