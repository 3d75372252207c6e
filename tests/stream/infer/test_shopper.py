"""From a trigger's snapshot to what the agents know of a shopper."""

from __future__ import annotations

import pytest

from agents.demand import Demand
from stream.gate.state.ledger import DAY_MS, LedgerEntry, week_of
from stream.gate.state.recent import Recent
from stream.infer.shopper import bought_items, categories_by_weight, shopper_of, taken_items
from stream.triggers import Trigger

NOW = 1_735_689_600_000  # Wednesday 2025-01-01


class Shelf:
    """Three items, by row."""

    items = ("milk", "bread", "soap")
    categories = ("Dairy", "Bakery", "Household")

    def row(self, item_id: str) -> int | None:
        return self.items.index(item_id) if item_id in self.items else None

    def short_title(self, row: int) -> str:
        return f"Fresh {self.items[row]}"

    def category(self, row: int) -> str:
        return self.categories[row]


def trigger(*recent: Recent, ledger: tuple[LedgerEntry, ...] = ()) -> Trigger:
    return Trigger("ab", "five-views", "r", "u", 1, "e", NOW, NOW, NOW, list(recent), list(ledger))


def act(kind: str, item: str = "", query: str = "", ts: int = NOW) -> Recent:
    return Recent(f"{kind}-{item}{query}-{ts}", kind, ts, item, query=query)


def test_ids_become_titles_and_searches_stay_in_the_shoppers_words() -> None:
    found = shopper_of(trigger(act("search", query="oat milk"), act("view", "milk")), Shelf())
    assert [(a.type, a.text, a.category) for a in found.recent] == [
        ("search", "oat milk", ""),
        ("view", "Fresh milk", "Dairy"),
    ]


def test_what_has_no_words_is_left_out() -> None:
    found = shopper_of(trigger(act("view", "gone"), act("image_search"), act("view", "milk")), Shelf())
    assert [a.text for a in found.recent] == ["Fresh milk"]


def test_weeks_of_the_ledger_are_named_by_their_monday() -> None:
    entry = LedgerEntry(week_of(NOW), "Dairy", 1250, 3, 2)
    line = shopper_of(trigger(ledger=(entry,)), Shelf()).ledger[0]
    assert (line.week, line.category, line.amount, line.quantity) == ("241230", "Dairy", 12.5, 3)


def test_what_a_shopper_orders_weighs_more_than_what_they_look_at_and_late_acts_more_than_early_ones() -> (
    None
):
    bought = trigger(act("order", "bread"), act("view", "milk"), act("view", "milk"))
    assert categories_by_weight(bought, Shelf()) == ("Bakery", "Dairy")
    looked = trigger(act("view", "bread"), act("view", "milk"))
    assert categories_by_weight(looked, Shelf()) == ("Dairy", "Bakery")


def test_what_was_only_shown_is_no_interest() -> None:
    assert categories_by_weight(trigger(act("impression", "soap")), Shelf()) == ()


@pytest.mark.parametrize(("age_days", "left_out"), [(1, True), (29, True), (31, False)])
def test_what_was_bought_lately_is_left_out_of_the_slate(age_days: int, left_out: bool) -> None:
    bought = trigger(act("order", "milk", ts=NOW - age_days * DAY_MS), act("view", "bread"))
    assert bought_items(bought, 30) == (frozenset({"milk"}) if left_out else frozenset())


def test_cached_demands_are_handed_on() -> None:
    cached = (Demand("garlic bread", "llm", (), 0.5),)
    assert shopper_of(trigger(), Shelf(), cached).cached == cached


def test_what_was_taken_weighs_by_the_act_and_by_its_age() -> None:
    found = taken_items(
        trigger(
            act("order", "soap", ts=NOW - 14 * DAY_MS),
            act("view", "milk"),
            act("view", "milk", ts=NOW - 7 * DAY_MS),
            act("impression", "bread"),
            act("search", query="tea"),
        )
    )
    assert list(found) == ["milk", "soap"]
    assert found["milk"] == 1.0
    assert found["soap"] == pytest.approx(5 / 4 / 1.5)
    assert taken_items(trigger(act("impression", "bread"))) == {}
