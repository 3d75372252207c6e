from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.datasets.baskets import Basket, Line, order_events
from stream.datasets.browsing import BrowsingRule, Shelves, browse
from stream.datasets.shop import merge_baskets

ROWS = [
    {
        "item_id": f"i{number}",
        "category": f"Shelf {number % 4}",
        "popularity": number * number,
        "attributes": {"type": f"Sort {number % 7}"},
    }
    for number in range(40)
] + [{"item_id": "lonely", "category": "Alone", "popularity": 3, "attributes": {}}]
SHELVES = Shelves(ROWS)
CATEGORY = {row["item_id"]: row["category"] for row in ROWS}
RULE = BrowsingRule()

ITEMS = st.sampled_from([row["item_id"] for row in ROWS] + ["not in the catalogue"])


@st.composite
def baskets(draw: st.DrawFn, number: int | None = None) -> Basket:
    basket_id = f"b{draw(st.integers(0, 10**9)) if number is None else number}"
    ts = draw(st.integers(1_600_000_000_000, 1_600_000_500_000))
    items = draw(st.lists(ITEMS, min_size=1, max_size=60))
    lines = tuple(Line(f"{basket_id}-{n}", item, ts, 1 + n % 5, 1.5 * n) for n, item in enumerate(items))
    return Basket(basket_id, f"u{draw(st.integers(0, 5))}", lines)


@st.composite
def shops(draw: st.DrawFn) -> list[Basket]:
    count = draw(st.integers(1, 8))
    return sorted((draw(baskets(number)) for number in range(count)), key=lambda basket: basket.ts)


def stream(shop: list[Basket], seed: int) -> list[dict[str, Any]]:
    window = RULE.window_s * 1000
    return list(
        merge_baskets(
            (basket.ts - window, [*browse(basket, seed, SHELVES, RULE), *order_events(basket)])
            for basket in shop
        )
    )


@given(baskets(), st.integers(0, 2**32))
def test_all_browsing_lies_in_the_window_strictly_before_the_order_and_rises(
    basket: Basket, seed: int
) -> None:
    times = [event["ts"] for event in browse(basket, seed, SHELVES, RULE)]
    assert times == sorted(times)
    assert all(basket.ts - RULE.window_s * 1000 <= ts < basket.ts for ts in times)


@given(baskets(), st.integers(0, 2**32))
def test_every_synthetic_event_says_so_and_belongs_to_the_order_it_precedes(
    basket: Basket, seed: int
) -> None:
    for event in browse(basket, seed, SHELVES, RULE):
        assert event["synthetic"] is True
        assert (event["user_id"], event["session_id"]) == (basket.user_id, basket.basket_id)
        assert event["type"] != "order"
        assert ("query" in event) == (event["type"] == "search") != ("item_id" in event)


@given(baskets(), st.integers(0, 2**32))
def test_only_ordered_items_and_their_neighbours_are_looked_at(basket: Basket, seed: int) -> None:
    ordered = {line.item_id for line in basket.lines}
    shelves = {CATEGORY.get(item) for item in ordered}
    for event in browse(basket, seed, SHELVES, RULE):
        item = event.get("item_id")
        if item is not None and item not in ordered:
            assert CATEGORY[item] in shelves
        if event["type"] in {"cart", "favorite"}:
            assert item in ordered


@given(shops(), st.integers(0, 100))
def test_every_order_survives_unchanged_ids_are_unique_and_time_rises(shop: list[Basket], seed: int) -> None:
    before = deepcopy([event for basket in shop for event in order_events(basket)])
    events = stream(shop, seed)
    assert [event for event in events if "synthetic" not in event] == before
    assert len({event["event_id"] for event in events}) == len(events)
    times = [event["ts"] for event in events]
    assert times == sorted(times)


@given(shops(), st.integers(0, 100))
def test_a_basket_is_browsed_alike_whatever_is_generated_around_it(shop: list[Basket], seed: int) -> None:
    together = stream(shop, seed)
    for basket in reversed(shop):
        alone = browse(basket, seed, SHELVES, RULE)
        assert [e for e in together if e["session_id"] == basket.basket_id and "synthetic" in e] == alone


@given(baskets(), st.integers(0, 100))
def test_another_seed_gives_other_events_with_other_ids(basket: Basket, seed: int) -> None:
    one, other = (browse(basket, number, SHELVES, RULE) for number in (seed, seed + 1))
    assert not {event["event_id"] for event in one} & {event["event_id"] for event in other}
    if len(one) > 20:
        assert [(e["type"], e.get("item_id")) for e in one] != [(e["type"], e.get("item_id")) for e in other]


@given(baskets(), st.integers(0, 100), st.integers(0, 50))
def test_a_basket_never_has_more_browsing_than_the_cap(basket: Basket, seed: int, cap: int) -> None:
    assert len(browse(basket, seed, SHELVES, BrowsingRule(max_events=cap))) <= cap


@given(baskets(), st.integers(0, 100))
def test_a_text_is_searched_for_once_a_basket(basket: Basket, seed: int) -> None:
    texts = [event["query"] for event in browse(basket, seed, SHELVES, RULE) if event["type"] == "search"]
    assert len(texts) == len(set(texts))


@given(baskets())
def test_long_pauses_are_pressed_into_the_window(basket: Basket) -> None:
    slow = BrowsingRule(pause_s=100_000)
    events = browse(basket, 1, SHELVES, slow)
    assert all(basket.ts - slow.window_s * 1000 <= event["ts"] < basket.ts for event in events)


def test_the_shares_of_the_rule_are_met_over_many_baskets() -> None:
    rule = BrowsingRule(max_events=10_000)
    shop = [
        Basket(f"b{n}", "u", tuple(Line(f"l{n}-{k}", f"i{(n + k) % 40}", 10**12, 1, 1.0) for k in range(5)))
        for n in range(2000)
    ]
    events = [event for basket in shop for event in browse(basket, 3, SHELVES, rule)]
    lines = 5 * len(shop)

    def share(**wanted: str) -> float:
        return sum(all(event.get(k) == v for k, v in wanted.items()) for event in events) / lines

    assert share(type="cart") == pytest.approx(rule.cart_share, abs=0.02)
    assert share(type="favorite") == pytest.approx(rule.favorite_share, abs=0.01)
    assert share(type="view", scene="detail") == pytest.approx(rule.view_share + rule.similar_views, abs=0.03)
    assert share(type="impression") == pytest.approx(rule.recommended_share, abs=0.02)
    assert share(type="view", scene="recommendation") == pytest.approx(rule.recommended_share / 2, abs=0.02)


def test_an_item_without_neighbours_is_never_its_own_neighbour() -> None:
    basket = Basket("b", "u", tuple(Line(f"l{n}", "lonely", 10**12, 1, 1.0) for n in range(30)))
    events = browse(basket, 0, SHELVES, BrowsingRule(recommended_share=1, similar_views=2))
    assert not [event for event in events if event["type"] == "impression"]
    assert {event["query"] for event in events if "query" in event} == {"alone"}


def test_the_first_events_of_a_known_basket_are_the_same_on_every_machine() -> None:
    basket = Basket("b7", "u1", (Line("b7-1", "i9", 1_600_000_000_000, 2, 3.0),))
    events = browse(basket, 7, SHELVES, BrowsingRule(search_share=1, view_share=1, cart_share=1))
    assert json.loads(json.dumps(events)) == events
    assert [event["type"] for event in events][-1] == "cart"
    assert events[-1]["quantity"] == 2
    assert events[0]["event_id"] == "b7-b7-0"


def test_a_stream_holds_only_what_a_basket_yet_to_come_could_precede() -> None:
    taken = []

    def groups() -> Any:
        for number in range(1000):
            taken.append(number)
            yield number * 10, [{"ts": number * 10 + 3}]

    events = merge_baskets(groups())
    assert next(events) == {"ts": 3}
    assert len(taken) == 2
