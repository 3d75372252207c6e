"""A change of rules between two events: what is kept, what begins anew, and that it is a function of both."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from stream.events import EventDecoder
from stream.gate.gate import Arrival, Bounds, Gate, Partition
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.in_force import Boundary, begin, follow, generation_at
from stream.gate.rules.ruleset import RuleSet
from stream.gate.state.activity import Activity
from stream.triggers import decode_trigger

START = 1_700_000_000_000 // 86_400_000 * 86_400_000
_decode = EventDecoder().decode


def compiled(number: int, *rules: dict[str, Any]) -> CompiledRules:
    return CompiledRules(RuleSet.model_validate({"rules": list(rules)}), number)


def views(count: int, name: str = "views", **more: Any) -> dict[str, Any]:
    return {"id": name, "when": {"types": ["view"], "count": count, "within": "1h", **more}}


class Shop:
    """One partition under changing rules."""

    def __init__(self, rules: CompiledRules) -> None:
        self.partition = Partition(0)
        self.partition.rules, self.partition.in_force = rules, begin(rules)
        self.gate = Gate(rules, Bounds(86_400_000, 24, 53, 600), {"i": "shoes", "j": "hats"})
        self.offset = 0
        self.triggers: list[Any] = []

    def change(self, rules: CompiledRules) -> None:
        assert self.partition.in_force is not None
        self.partition.in_force = follow(self.partition.in_force, rules)
        self.partition.rules = rules

    def happen(self, kind: str = "view", minute: float = 0, user: str = "u", **more: Any) -> list[str]:
        fields = {"event_id": f"e{self.offset}", "user_id": user, "type": kind, "item_id": "i", "query": "q"}
        event = _decode(
            msgspec.json.encode({**fields, "ts": START + round(minute * 60_000), **more}), START + 10**9
        )
        arrival = Arrival((0, 0), "views", self.offset, event, b"", 0)
        self.offset += 1
        found = [decode_trigger(value) for _, value in self.gate.apply(self.partition, [arrival], 0).triggers]
        self.triggers += found
        return [f"{trigger.rule} by {trigger.rules.partition(':')[0]}" for trigger in found]

    def reload(self, user: str = "u") -> None:
        """As after a restart: the shopper comes from what the checkpoint has."""
        activity = self.partition.users[user]
        assert self.partition.rules is not None
        self.partition.users[user] = Activity.decode(activity.encode(), user)


def test_lowering_a_count_fires_at_the_next_event_of_whoever_has_enough() -> None:
    shop = Shop(compiled(1, views(5)))
    assert [shop.happen(minute=n) for n in range(3)] == [[], [], []]
    shop.change(compiled(2, views(3)))
    assert shop.happen("search", minute=3) == []
    assert shop.happen(minute=4) == ["views by 2"]


def test_raising_a_count_goes_on_from_what_was_there() -> None:
    shop = Shop(compiled(1, views(4)))
    for n in range(3):
        shop.happen(minute=n)
    shop.change(compiled(2, views(5)))
    assert shop.happen(minute=3) == []
    assert shop.happen(minute=4) == ["views by 2"]


def test_a_rule_that_did_not_change_keeps_its_counts_and_its_cooldown() -> None:
    kept = {**views(3, per="session"), "cooldown": "10m"}
    shop = Shop(compiled(1, kept))
    for n in range(2):
        shop.happen(minute=n, session_id="s")
    shop.change(compiled(2, kept, views(2, "other", scene="home")))
    assert shop.happen(minute=2, session_id="s") == ["views by 2"]
    shop.change(compiled(3, {**kept, "cooldown": "20m"}))
    assert [shop.happen(minute=n, session_id="s") for n in (10, 11, 12, 13)] == [[], [], [], []]
    assert shop.happen(minute=23, session_id="s") == ["views by 3"]
    assert [trigger.seq for trigger in shop.triggers] == [1, 2]
    assert len({trigger.id for trigger in shop.triggers}) == 2


def test_a_new_rule_counts_what_is_recent_within_its_window() -> None:
    shop = Shop(compiled(1, views(99)))
    for minute in (0, 100, 110):
        shop.happen(minute=minute)
    shop.change(compiled(2, views(4, "new"), views(3, "fits")))
    assert shop.happen(minute=120) == ["fits by 2"]


def test_what_a_rule_has_fired_on_does_not_count_again_after_a_change() -> None:
    shop = Shop(compiled(1, views(3)))
    assert [shop.happen(minute=n) for n in range(3)][-1] == ["views by 1"]
    shop.change(compiled(2, views(2)))
    assert shop.happen(minute=3) == []
    assert shop.happen(minute=4) == ["views by 2"]
    assert shop.partition.users["u"].fired["views"][0] == 2


def test_what_must_be_rare_is_counted_from_recent_events_too() -> None:
    rare = {
        "id": "rare",
        "when": {
            "all": [
                {"types": ["search"], "count": 1, "within": "1h"},
                {"types": ["view"], "at_most": 1, "within": "1h", "scene": "home"},
            ]
        },
    }
    shop = Shop(compiled(1, views(99)))
    shop.happen(minute=0, scene="home")
    shop.happen(minute=1)
    shop.change(compiled(2, rare))
    assert shop.happen("search", minute=2) == ["rare by 2"]
    shop.change(compiled(3, views(99)))
    shop.happen(minute=3, scene="home")
    shop.change(compiled(4, rare))
    assert shop.happen("search", minute=4) == []


def test_counts_per_category_are_made_from_recent_events() -> None:
    shop = Shop(compiled(1, views(99)))
    for n, item in enumerate("ijj"):
        shop.happen(minute=n, item_id=item)
    shop.change(compiled(2, views(3, per="category")))
    assert shop.happen(minute=4, item_id="i") == []
    assert shop.happen(minute=5, item_id="j") == ["views by 2"]


def test_counts_per_session_begin_anew() -> None:
    shop = Shop(compiled(1, views(99)))
    for n in range(3):
        shop.happen(minute=n, session_id="s")
    shop.change(compiled(2, views(3, per="session")))
    assert [shop.happen(minute=n, session_id="s") for n in (3, 4, 5)] == [[], [], ["views by 2"]]


def test_a_rule_that_went_and_came_back_counts_what_was_recent() -> None:
    there, gone = compiled(1, views(3)), compiled(2, views(99, "other"))
    shop = Shop(there)
    shop.happen(minute=0)
    shop.change(gone)
    shop.happen(minute=1)
    shop.change(there)
    assert shop.happen(minute=2) == ["views by 1"]


@pytest.mark.parametrize("seed", range(8))
def test_when_a_shopper_is_written_out_and_read_again_changes_nothing(seed: int) -> None:
    versions = [
        compiled(1, views(3), {**views(4, "slow"), "cooldown": "5m"}),
        compiled(2, views(2), views(3, "cat", per="category")),
        compiled(3, views(3), {**views(4, "slow"), "cooldown": "1m"}, views(5, "cat", per="category")),
    ]

    def run(reload: float) -> Shop:
        dice, aside = random.Random(seed), random.Random(seed + 1)
        shop, minute = Shop(versions[0]), 0.0
        for _ in range(300):
            minute += dice.random() * 3
            if dice.random() < 0.05:
                shop.change(dice.choice(versions))
            kind, item = dice.choice(["view", "view", "search"]), dice.choice("ij")
            shop.happen(kind, minute, item_id=item)
            if aside.random() < reload:
                shop.reload()
        shop.reload()
        return shop

    plain, disturbed = run(0.0), run(0.3)
    assert plain.triggers == disturbed.triggers
    assert len(plain.triggers) > 20
    assert plain.partition.users["u"].encode() == disturbed.partition.users["u"].encode()


def test_a_shopper_of_before_any_change_costs_no_byte_more() -> None:
    shop = Shop(compiled(1, views(3)))
    shop.happen()
    before = shop.partition.users["u"].encode()
    shop.change(compiled(2, views(4)))
    assert shop.partition.users["u"].encode() == before
    shop.happen(minute=1)
    assert Activity.decode(shop.partition.users["u"].encode(), "u").built == 1


def test_the_generation_of_an_event_is_the_last_whose_boundary_it_does_not_lie_before() -> None:
    boundaries = [
        Boundary(0, 0, "a", {}, 1),
        Boundary(1, 1, "b", {"views": 10}, 2),
        Boundary(2, 2, "c", {"views": 20, "orders": 5}, 3),
    ]
    assert [generation_at(boundaries, "views", n) for n in (0, 9, 10, 19, 20)] == [0, 0, 1, 1, 2]
    # A topic that the boundary does not name had not been read at all.
    assert generation_at(boundaries, "orders", 0) == 1
    assert generation_at(boundaries, "orders", 5) == 2
    assert generation_at([], "views", 7) == 0
