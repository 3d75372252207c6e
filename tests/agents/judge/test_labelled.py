import random
from collections import Counter

import pytest

from agents import Act, Shopper
from agents.errors import CalibrationError
from agents.judge.faults import copied, leaked, titles_with, wrong_attribute
from agents.judge.labelled import FAULTS, Person, faults_of, label, withhold
from agents.judge.phrase import shortened
from agents.judge.terms import terms

COLOURS = ("red", "blue", "green", "ivory", "pink")
THEMES = tuple(
    f"{first}{second}" for first in ("owl", "fox", "elk", "wren", "lynx", "toad") for second in "abcdefghij"
)
THINGS = (
    "mug", "tray", "purse", "lantern", "bunting", "umbrella", "clock", "apron", "doormat", "candle", "vase", "plate",
    "stool", "cushion", "frame", "kettle", "basket", "mirror", "hook", "jar",
)  # fmt: skip
TITLES = {
    f"{t}-{k}": f"{COLOURS[(t + k) % 5]} {theme} {THINGS[(3 * t + k) % 20]}"
    for t, theme in enumerate(THEMES)
    for k in range(3)
}


def _people(count: int = 40) -> list[Person]:
    """Each shopper buys of six themes, two things of each before the moment and one after it."""
    people = []
    for number in range(count):
        themes = random.Random(number).sample(range(60), 6)
        before = [f"{t}-{k}" for t in themes for k in (0, 1)]
        after = tuple(f"{t}-2" for t in themes)
        acts = tuple(Act(str(at), "order", at, TITLES[item], "", item) for at, item in enumerate(before))
        ever = frozenset((*before, *after))
        people.append(Person(Shopper(str(number), 99, acts), frozenset(before), after, ever))
    return people


SHOWN = ("parmesan cheese", "garlic bread", "salad dressing", "hamburger buns")
RULES = "A shop's assistant writes four searches for what the shopper will want next."


def _made(n: int = 60, seed: int = 3):
    withheld = withhold(TITLES, seed=1, share=0.1)
    return withheld, label(TITLES, withheld, _people(), SHOWN, RULES, n=n, seed=seed)


def test_half_is_good_and_each_fault_is_a_tenth() -> None:
    _, demands = _made()
    counts = Counter(one.fault for one in demands)
    assert counts == {"": 30, **dict.fromkeys(FAULTS, 6)}


def test_the_same_seed_makes_the_same_set_and_another_a_different_one() -> None:
    assert _made() == _made()
    assert _made()[1] != _made(seed=4)[1]


def test_a_good_demand_is_of_a_later_purchase_and_stands_on_an_earlier_one() -> None:
    people = _people()
    withheld, demands = _made()
    for one in demands:
        if not one.fault:
            person = people[one.person]
            assert one.source in person.after
            assert one.source not in withheld
            earlier = frozenset().union(*(terms(TITLES[item]) for item in person.before))
            assert terms(one.query) & earlier


def test_anothers_demand_stands_on_nothing_the_shopper_ever_bought() -> None:
    people = _people()
    counts = Counter(word for title in TITLES.values() for word in terms(title))
    for one in _made()[1]:
        if one.fault == "other shopper":
            ever = frozenset().union(*(terms(TITLES[item]) for item in people[one.person].ever))
            telling = {word for word in terms(one.query) if counts[word] < 0.03 * len(TITLES)}
            assert not telling & ever


def test_an_absent_product_has_a_word_that_no_item_left_has() -> None:
    withheld, demands = _made()
    left = frozenset().union(*(terms(title) for item, title in TITLES.items() if item not in withheld))
    absent = [one for one in demands if one.fault == "absent product"]
    assert absent
    for one in absent:
        assert terms(one.query) - left


def test_no_title_left_answers_a_wrong_attribute() -> None:
    withheld, demands = _made()
    for one in demands:
        if one.fault == "wrong attribute":
            asked = terms(one.query)
            assert not any(asked <= terms(title) for item, title in TITLES.items() if item not in withheld)


def test_too_few_shoppers_are_refused_by_the_kind_that_is_short() -> None:
    with pytest.raises(CalibrationError, match="demands could be made"):
        label(TITLES, {}, _people(1), SHOWN, RULES, n=600, seed=1)


def test_a_withheld_kind_is_withheld_whole() -> None:
    withheld = withhold(TITLES, seed=5, share=0.1)
    assert len(withheld) >= 0.1 * len(TITLES)
    for word in set(withheld.values()):
        assert all(item in withheld for item, title in TITLES.items() if word in terms(title))


def test_a_shortened_title_keeps_a_needed_word_and_no_new_one() -> None:
    for seed in range(50):
        query = shortened("Vintage garden lantern zinc heart", random.Random(seed), needed={"lantern"})
        assert "lantern" in terms(query)
        assert terms(query) <= terms("Vintage garden lantern zinc heart")
        assert 2 <= len(query.split()) <= 4


def test_a_wrong_attribute_changes_a_value_of_the_same_kind() -> None:
    held = titles_with(["red owl mug", "blue owl mug"])
    spoilt = {wrong_attribute("red owl mug", held, random.Random(seed)) for seed in range(20)}
    assert None not in spoilt
    assert "blue owl mug" not in spoilt
    assert all(one.endswith(" owl mug") for one in spoilt if one)


def test_a_copy_has_only_words_of_its_source_and_a_leak_only_the_prompts() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        assert terms(copied("Big red owl mug set gift", chance)) <= terms("Big red owl mug set gift")
        allowed = terms(" ".join((*SHOWN, RULES, "usual bought viewed searched added")))
        assert terms(leaked(SHOWN, RULES, chance)) <= allowed


def test_the_rules_that_faults_are_made_by_find_them_again() -> None:
    withheld, demands = _made()
    left = {item: title for item, title in TITLES.items() if item not in withheld}
    found = faults_of(left, _people(), [(one.person, one.query) for one in demands], SHOWN)
    named = Counter((one.fault, fault) for one, fault in zip(demands, found, strict=True))
    # Fewer titles are left, so a few words change from common to distinguishing.
    assert named["", ""] >= 27
    assert named["other shopper", "other shopper"] >= 5
    assert named["absent product", "absent product"] == 6
    assert named["wrong attribute", "absent product"] == 6
    assert named["copy", ""] == 0
