import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import Act, Shopper
from agents.judge import Case
from agents.judge.features import ANSWERABLE, GROUNDED, NEW, Measured, measure
from agents.shopper import Background

DAY = 86_400_000


def _shopper(*acts: Act) -> Shopper:
    return Shopper("u", 10 * DAY, acts)


LUNCH = Act("e1", "order", 5 * DAY, "Red retrospot lunch bag", "bags", "i1")


def _of(found: Measured, name: str, row: int = 0) -> float:
    for names, values in ((ANSWERABLE, found.answerable), (GROUNDED, found.grounded), (NEW, found.new)):
        if name in names:
            return float(values[row, names.index(name)])
    raise AssertionError(name)


def test_a_demand_that_a_title_answers_is_covered_and_one_with_an_unknown_word_is_not(shop) -> None:
    found = measure([Case(_shopper(LUNCH), ("polkadot lunch bag", "polkadot umbrella"))], shop)
    assert (_of(found, "cover"), _of(found, "missing"), _of(found, "unknown")) == (1.0, 0.0, 0.0)
    assert _of(found, "cover", 1) < 0.6
    assert _of(found, "missing", 1) == 1.0
    assert _of(found, "unknown", 1) > 0.4
    assert found.best[0] == "Pink polkadot lunch bag"


def test_what_was_bought_together_speaks_for_a_demand(shop) -> None:
    found = measure([Case(_shopper(LUNCH), ("polkadot lunch bag", "zinc plant pot"))], shop)
    assert _of(found, "affinity") > 0.8
    assert _of(found, "affinity", 1) == 0.0


def test_a_shop_that_learnt_nothing_leaves_affinity_open(blind_shop) -> None:
    found = measure([Case(_shopper(LUNCH), ("polkadot lunch bag",))], blind_shop)
    assert math.isnan(_of(found, "affinity"))
    assert _of(found, "seen") > 0.3


def test_words_of_the_shoppers_own_acts_are_seen(shop) -> None:
    found = measure([Case(_shopper(LUNCH), ("pink lunch bag", "garden pot"))], shop)
    assert 0 < _of(found, "seen") < 1
    assert _of(found, "lift") > 0
    assert _of(found, "seen", 1) == 0.0
    assert _of(found, "category") > _of(found, "category", 1)


def test_that_nothing_speaks_for_a_demand_says_more_of_a_shopper_who_did_more(shop) -> None:
    acts = [Act(str(at), "view", at, "Zinc plant pot", "", "i7") for at in range(50)]
    for name in ("unseen", "unmet", "apart"):
        few, many = (
            _of(measure([Case(_shopper(*acts[:n]), ("paper napkins",))], shop), name) for n in (1, 50)
        )
        assert 0 < few < many == 0.5


def test_an_offered_trend_is_ground_for_a_demand_and_no_input_to_copy(shop) -> None:
    shopper = Shopper("u", 1, (LUNCH,), background=Background(trends=("zinc plant pot",)))
    found = measure([Case(shopper, ("zinc plant pot",))], shop)
    assert (_of(found, "seen"), _of(found, "together"), _of(found, "alike")) == (1.0, 1.0, 1.0)
    assert _of(found, "copy") == 0.0


def test_a_copy_overlaps_with_its_act_wholly_and_a_general_query_holds_little_of_it(shop) -> None:
    found = measure([Case(_shopper(LUNCH), ("lunch bag red retrospot", "bag"))], shop)
    assert (_of(found, "copy"), _of(found, "held")) == (1.0, 1.0)
    assert _of(found, "held", 1) == 0.25


def test_what_the_prompt_shows_and_says_is_known(shop) -> None:
    case = Case(
        _shopper(LUNCH),
        ("parmesan cheese", "four searches shopper"),
        ("parmesan cheese",),
        "Four searches a shopper",
    )
    found = measure([case], shop)
    assert (_of(found, "leak"), _of(found, "shown"), _of(found, "foreign")) == (1.0, 1.0, 1.0)
    assert _of(found, "told", 1) == 1.0


def test_what_was_bought_within_a_day_is_known_and_what_was_bought_before_that_is_not(shop) -> None:
    lately = Act("e2", "order", 10 * DAY - 1, "Ceramic cake stand", "kitchen", "i3")
    found = measure([Case(_shopper(LUNCH, lately), ("ceramic cake stand", "retrospot lunch bag"))], shop)
    assert _of(found, "bought") == 1.0
    assert _of(found, "bought", 1) == 0.0


def test_all_cases_are_searched_for_in_one_call_and_stay_in_order(shop) -> None:
    found = measure(
        [Case(_shopper(), ("zinc pot",)), Case(_shopper(), ()), Case(_shopper(), ("cake tin",))], shop
    )
    assert shop.asked == 1
    assert found.best == ("Zinc plant pot", "Wooden cake tin")


@settings(max_examples=50)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_can_be_measured(query: str, act: str) -> None:
    from tests.agents.judge.conftest import WordShop

    found = measure([Case(_shopper(Act("e", "search", 1, act)), (query,), (act,), act)], WordShop())
    for values in (found.answerable, found.grounded, found.new):
        assert values.shape[0] == 1
        assert not np.isinf(values).any()
