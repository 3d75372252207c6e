from __future__ import annotations

from typing import Any

from stream.settings import GateSettings
from stream.shoppers import Beginning, Population, ShopperRule, beginnings
from tests.stream.shoppers.test_population import CATALOG, START

_CATEGORIES = {row["item_id"]: row["category"] for row in CATALOG}


def _population(**changed: Any) -> Population:
    return Population(CATALOG, **({"shoppers": 30, "days": 28.0, "start": START, "seed": 3} | changed))


def _begun(**changed: Any) -> list[Beginning]:
    return beginnings(_population(**changed), GateSettings(), _CATEGORIES)


def test_a_beginning_shows_the_first_two_events_of_a_new_intent_and_nothing_later() -> None:
    found = _begun()
    assert len(found) > 20
    truth: dict[Any, Any] = {}
    events = list(_population().events(intents=truth))
    order = {event["event_id"]: at for at, event in enumerate(events)}
    for one in found:
        assert one.intent.new
        whole = truth[one.intent.user, one.intent.number]
        assert [act.event_id for act in one.signs] == whole.events[:2]
        assert one.trigger.event_id == whole.events[1]
        assert max(order[act.event_id] for act in one.trigger.recent) == order[whole.events[1]]
        assert {act.event_id for act in one.signs} <= {act.event_id for act in one.session}


def test_a_visit_is_one_session_up_to_the_moment() -> None:
    session = {event["event_id"]: event["session_id"] for event in _population().events()}
    for one in _begun():
        mine = session[one.trigger.event_id]
        assert {session[act.event_id] for act in one.session} == {mine}
        same = [act for act in one.trigger.recent if session[act.event_id] == mine]
        assert list(one.session) == same


def test_the_snapshot_is_what_the_gate_would_remember() -> None:
    few = beginnings(_population(), GateSettings(recent_events=8), _CATEGORIES)
    assert {len(one.trigger.recent) for one in few} <= set(range(2, 9))
    assert max(len(one.trigger.recent) for one in few) == 8
    buyers = _begun(rule=ShopperRule(cart_share=1.0, order_share=1.0))
    assert any(one.trigger.ledger for one in buyers)
    assert {entry.category for one in buyers for entry in one.trigger.ledger} <= set(_CATEGORIES.values())


def test_each_shopper_has_one_beginning_and_the_seed_decides_which() -> None:
    found = _begun()
    assert len({one.intent.user for one in found}) == len(found)
    assert found == _begun()
    other = beginnings(_population(), GateSettings(), _CATEGORIES, seed=9)
    assert {one.intent.user for one in other} == {one.intent.user for one in found}
    assert other != found


def test_where_nothing_new_begins_there_is_no_beginning() -> None:
    assert _begun(rule=ShopperRule(new_share=0.0)) == []
    assert beginnings(_population(), GateSettings(), _CATEGORIES, signs=400) == []
