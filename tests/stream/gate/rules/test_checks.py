"""Rules that contradict themselves or can never fire are refused; those that nearly always fire are told."""

from __future__ import annotations

import pytest

from stream.errors import RulesError
from stream.gate.rules.checks import unreachable
from stream.gate.rules.ruleset import RuleSet, parse_rules


def rules(when: str, rest: str = "") -> str:
    return f"version: 1\nrules:\n  - id: mine\n    when: {when}\n{rest}"


def parsed(when: str, rest: str = "") -> RuleSet:
    return parse_rules(rules(when, rest), "my.yaml")


def both(*conditions: str) -> str:
    return "{all: [" + ", ".join("{" + condition + "}" for condition in conditions) + "]}"


VIEWS_3 = "types: [view], count: 3, within: 1h"


@pytest.mark.parametrize(
    "when",
    [
        both(VIEWS_3, "types: [view], at_most: 2, within: 1h"),
        both(VIEWS_3, "types: [view], at_most: 0, within: 7d"),
        both(VIEWS_3, "types: [view, click], at_most: 2, within: 2h"),
        both(f"{VIEWS_3}, scene: home", "types: [view], at_most: 2, within: 1h"),
        both(f"{VIEWS_3}, scene: home", "types: [view], at_most: 2, within: 1h, scene: home"),
        both(f"{VIEWS_3}, scene: home", "types: [view], at_most: 2, within: 1h, scene_not: cart"),
        both(f"{VIEWS_3}, scene_not: home", "types: [view], at_most: 2, within: 1h, scene_not: home"),
        both(f"{VIEWS_3}, per: category", "types: [view], at_most: 2, within: 1h"),
        both(f"{VIEWS_3}, per: session", "types: [view], at_most: 2, within: 1h, per: session"),
        both(VIEWS_3, "types: [order], count: 2, within: 1h", "types: [view, order], at_most: 4, within: 1h"),
        both(
            f"{VIEWS_3}, scene: home",
            "types: [view], count: 2, within: 1h, scene_not: home",
            "types: [view], at_most: 4, within: 1h",
        ),
    ],
)
def test_conditions_that_can_never_hold_together_are_refused_with_line_and_reason(when: str) -> None:
    with pytest.raises(RulesError) as caught:
        parsed(when)
    said = caught.value.message
    assert said.startswith("my.yaml, line 4: rule mine, field when.all.")
    assert "at_most: can never fire: at most" in said
    assert caught.value.way_out


@pytest.mark.parametrize(
    "when",
    [
        both(VIEWS_3, "types: [view], at_most: 3, within: 1h"),
        both(VIEWS_3, "types: [view], at_most: 2, within: 59m"),
        both(VIEWS_3, "types: [click], at_most: 0, within: 1h"),
        both("types: [view, click], count: 3, within: 1h", "types: [view], at_most: 0, within: 1h"),
        both(f"{VIEWS_3}, scene: home", "types: [view], at_most: 0, within: 1h, scene: cart"),
        both(f"{VIEWS_3}, scene: home", "types: [view], at_most: 0, within: 1h, scene_not: home"),
        both(f"{VIEWS_3}, scene_not: home", "types: [view], at_most: 0, within: 1h, scene: home"),
        both(VIEWS_3, "types: [view], at_most: 0, within: 1h, per: category"),
        both(f"{VIEWS_3}, per: category", "types: [view], at_most: 0, within: 1h, per: session"),
        both(VIEWS_3, "types: [view], count: 2, within: 1h", "types: [view], at_most: 4, within: 1h"),
        both(VIEWS_3, "types: [order], count: 2, within: 1h", "types: [view, order], at_most: 5, within: 1h"),
    ],
)
def test_conditions_that_can_hold_together_are_good(when: str) -> None:
    assert len(parsed(when).rules) == 1


def test_a_share_that_rounds_to_nobody_is_refused() -> None:
    with pytest.raises(RulesError, match=r"line 5: rule mine, field share: can never fire: a share of 1e-05"):
        parsed(f"{{{VIEWS_3}}}", "    share: 0.00001\n")
    assert parsed(f"{{{VIEWS_3}}}", "    share: 0.0001\n").warnings() == []


def test_all_contradictions_of_a_file_are_told_at_once() -> None:
    text = rules(both(VIEWS_3, "types: [view], at_most: 2, within: 1h"), "    share: 0.00001\n")
    text += text.partition("rules:\n")[2].replace("id: mine", "id: other")
    with pytest.raises(RulesError) as caught:
        parse_rules(text, "my.yaml")
    assert [line.split(":")[0] for line in caught.value.message.splitlines()] == [
        "my.yaml, line 5",
        "my.yaml, line 4",
        "my.yaml, line 8",
        "my.yaml, line 7",
    ]


def test_rules_that_were_in_force_once_are_read_without_looking_for_contradictions() -> None:
    text = rules(both(VIEWS_3, "types: [view], at_most: 2, within: 1h"))
    assert [rule.id for rule in parse_rules(text, "old", strict=False).rules] == ["mine"]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("{types: [view], count: 1, within: 1h}", "fires on every event of type view"),
        ("{any: [{types: [view, cart], count: 1, within: 1h}]}", "fires on every event of type cart, view"),
        (
            both("types: [view, click], count: 1, within: 1h", "types: [view, cart], count: 1, within: 2h"),
            "fires on every event of type view",
        ),
        ("{types: [view], count: 100, within: 2s}", "faster than a shopper can act"),
        ("{types: [search], count: 5, within: 1h, per: category}", "have no category"),
    ],
)
def test_what_is_rarely_meant_is_warned_of(when: str, said: str) -> None:
    (warning,) = parsed(when).warnings()
    assert warning.startswith("rule mine: ")
    assert said in warning


def test_two_rules_that_say_the_same_are_warned_of() -> None:
    text = rules(f"{{{VIEWS_3}}}") + f"  - id: again\n    about: words\n    when: {{{VIEWS_3}}}\n"
    (warning,) = parse_rules(text, "my.yaml").warnings()
    assert warning == "rule again: says the same as rule mine: each shopper fires both"


@pytest.mark.parametrize(
    ("when", "types", "found"),
    [
        ("{types: [view, cart], count: 1, within: 1h}", {"view"}, 0),
        ("{types: [view], count: 1, within: 1h}", {"cart"}, 1),
        (
            "{any: [{types: [view], count: 1, within: 1h}, {types: [cart], count: 1, within: 1h}]}",
            {"cart"},
            0,
        ),
        (both(VIEWS_3, "types: [cart], count: 1, within: 1h"), {"cart"}, 1),
        (both(VIEWS_3, "types: [cart], at_most: 1, within: 1h"), {"view"}, 0),
    ],
)
def test_a_rule_whose_events_arrive_on_no_topic_is_found(when: str, types: set[str], found: int) -> None:
    assert len(list(unreachable(parsed(when).rules[0], types))) == found
