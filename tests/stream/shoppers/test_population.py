from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.datasets.errors import DatasetError
from stream.events import EVENT_TYPES, EventDecoder
from stream.shoppers import Population, ShopperRule, Wants

START = 1_735_689_600_000
WORDS = ["amber", "birch", "cedar", "dahlia", "elder", "fern", "ginger", "hazel", "iris", "juniper"]
CATALOG = [
    {
        "item_id": f"i{number}",
        "title": f"{WORDS[number % 10]} {WORDS[(number // 10) % 10]} lamp {number}",
        "category": f"Shelf {number % 6}",
        "popularity": number,
    }
    for number in range(600)
]


def population(**changed: Any) -> Population:
    given_ = {"shoppers": 30, "days": 28.0, "start": START, "seed": 3} | changed
    return Population(CATALOG, **given_)


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    events = list(population().events())
    assert events == list(population().events())
    assert events != list(population(seed=4).events())


def test_events_come_in_order_of_time_and_the_gate_takes_every_one() -> None:
    decoder = EventDecoder()
    events = list(population().events())
    assert len(events) > 1_000
    for before, after in pairwise(events):
        assert before["ts"] <= after["ts"]
    import msgspec

    for event in events:
        decoder.decode(msgspec.json.encode(event), event["ts"])
        assert event["synthetic"] is True
    assert len({event["event_id"] for event in events}) == len(events)
    assert (
        {"search", "view", "click", "cart", "order"}
        == {event["type"] for event in events}
        <= set(EVENT_TYPES)
    )


def test_a_shopper_is_the_same_alone_and_among_others() -> None:
    whole = [event for event in population().events() if event["user_id"] == "sim-000007"]
    assert whole == list(population().events(users={"sim-000007"}))
    assert whole == list(population(shoppers=8).events(users={"sim-000007"}))


def test_the_truth_names_what_served_an_intent_and_what_answers_it() -> None:
    intents: dict[Any, Any] = {}
    events = {event["event_id"]: event for event in population().events(intents=intents)}
    served = Counter(event_id for intent in intents.values() for event_id in intent.events)
    assert set(served.values()) == {1}
    noise = len(events) - len(served)
    assert 0.08 < noise / len(events) < 0.2  # ShopperRule.noise of the steps, less what ends a session
    titles = {row["item_id"]: row for row in CATALOG}
    new = 0
    for (user, number), intent in intents.items():
        assert (user, number) == (intent.user, intent.number)
        new += intent.new
        for item in intent.items:
            assert intent.words in titles[item]["title"]
            assert titles[item]["category"] == intent.category
        for event_id in intent.events:
            event = events[event_id]
            assert event["user_id"] == user
            assert event["type"] == "search" or event["item_id"] in intent.items
    assert new > 20


def test_a_new_intent_lasts_one_session_and_a_habit_comes_back() -> None:
    intents: dict[Any, Any] = {}
    events = {event["event_id"]: event for event in population(days=120.0).events(intents=intents)}
    sessions = defaultdict(set)
    for intent in intents.values():
        sessions[intent.new].add(len({events[one]["session_id"] for one in intent.events}))
    assert sessions[True] == {1}
    assert max(sessions[False]) > 3


@pytest.mark.parametrize(
    ("changed", "absent"),
    [({"search_share": 0.0}, "search"), ({"cart_share": 0.0}, "cart"), ({"order_share": 0.0}, "order")],
)
def test_what_is_switched_off_does_not_happen(changed: dict[str, float], absent: str) -> None:
    events = population(rule=ShopperRule(**changed)).events()
    assert absent not in {event["type"] for event in events}


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 50),
    st.builds(
        ShopperRule,
        sessions_per_week=st.floats(0.1, 60),
        habits=st.integers(1, 9),
        new_share=st.floats(0, 1),
        drift=st.floats(0, 1),
        noise=st.floats(0, 1),
        events=st.floats(2, 40),
    ),
)
def test_no_shoppers_events_cross_whatever_the_rule(seed: int, rule: ShopperRule) -> None:
    last: dict[str, int] = {}
    for event in population(shoppers=3, days=10.0, seed=seed, rule=rule).events():
        assert event["ts"] > last.get(event["user_id"], 0)
        last[event["user_id"]] = event["ts"]


def test_a_catalogue_of_ten_items_without_categories_is_enough() -> None:
    rows = [{"item_id": str(number), "title": f"{word} cup"} for number, word in enumerate(WORDS)]
    events = list(Population(rows, shoppers=5, days=14.0, start=START).events())
    assert {event["item_id"] for event in events if "item_id" in event} <= {row["item_id"] for row in rows}


def test_a_catalogue_of_which_nothing_can_be_wanted_is_refused() -> None:
    with pytest.raises(DatasetError, match="Nothing can be wanted"):
        Wants([{"item_id": "1", "title": "42"}])
