"""The slate and its chain, put together."""

from __future__ import annotations

import msgspec

from agents.demand import Demand
from agents.shopper import Act, Shopper
from stream.infer.chain import superseded_record, why_of
from stream.triggers import Trigger


def demand(*evidence: str) -> Demand:
    return Demand("garlic bread", "llm", evidence, None)


SHOPPER = Shopper("u", 5, (Act("e1", "search", 1, "pasta"), Act("e2", "view", 2, "Spaghetti")))


def test_the_reason_names_the_act_that_supports_the_demand() -> None:
    assert why_of(demand("e2"), SHOPPER) == "after looking at “Spaghetti”"
    assert why_of(demand("e1", "e2"), SHOPPER) == "after searching for “pasta”"


def test_without_a_known_act_the_reason_claims_none() -> None:
    assert why_of(demand("gone"), SHOPPER) == "after what you did lately"
    assert why_of(demand(), Shopper("u", 5, ())) == "popular in your categories"


def test_a_superseded_trigger_is_recorded_with_what_overtook_it() -> None:
    trigger = Trigger("ab", "five-views", "r", "u", 3, "e", 1, 1, 1, [], [])
    record = msgspec.json.decode(superseded_record(trigger, 5))
    assert record["trigger"] == "ab"
    assert record["outcome"] == "superseded"
    assert (record["version"], record["by_version"]) == (3, 5)
