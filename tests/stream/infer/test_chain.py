"""The slate and its chain, put together."""

from __future__ import annotations

import msgspec

from agents.demand import Demand, Kind
from agents.shopper import Act
from stream.infer.chain import superseded_record, why_of
from stream.triggers import Trigger


def demand(*evidence: str) -> Demand:
    return Demand("garlic bread", Kind.COMPLEMENT, evidence, None)


ACTS = {"e1": Act("e1", "search", 1, "pasta"), "e2": Act("e2", "view", 2, "Spaghetti")}


def test_the_reason_names_the_act_that_supports_the_demand() -> None:
    assert why_of(demand("e2"), ACTS) == "after looking at “Spaghetti”"
    assert why_of(demand("e1", "e2"), ACTS) == "after searching for “pasta”"


def test_where_no_act_supports_it_the_reason_names_what_is_known_of_the_shopper() -> None:
    reasons = {
        "preference:long:garden:owl": "because you often choose “owl”",
        "preference:recent:garden:owl": "because you lately looked for “owl”",
        "preference:potential:garden:owl": "because others like you came to want “owl”",
        "trend:owl lamps": "because many ask for “owl lamps” now",
        "ledger": "after what you did lately",
    }
    assert {fact: why_of(demand(fact), ACTS) for fact in reasons} == reasons
    assert why_of(demand("trend:owl lamps", "e2"), ACTS) == "after looking at “Spaghetti”"


def test_without_a_known_act_the_reason_claims_none() -> None:
    assert why_of(demand("gone"), ACTS) == "after what you did lately"
    assert why_of(demand(), {}) == "popular in your categories"


def test_a_superseded_trigger_is_recorded_with_what_overtook_it() -> None:
    trigger = Trigger("ab", "five-views", "r", "u", 3, "e", 1, 1, 1, [], [])
    record = msgspec.json.decode(superseded_record(trigger, 5))
    assert record["trigger"] == "ab"
    assert record["outcome"] == "superseded"
    assert (record["version"], record["by_version"]) == (3, 5)
