"""What changed between two versions, in the words of a rules file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.gate.rules.changes import RuleChange, changed_lines, changes, describe, duration
from stream.gate.rules.ruleset import RuleSet, load_rules

VIEW = {"types": ["view"], "count": 5, "within": "30m"}


def ruleset(*rules: dict[str, object]) -> RuleSet:
    return RuleSet.model_validate({"rules": list(rules)})


def test_added_removed_and_changed_rules_are_told_with_their_fields() -> None:
    old = ruleset({"id": "a", "when": VIEW, "cooldown": "1h"}, {"id": "b", "when": VIEW})
    new = ruleset({"id": "c", "when": VIEW}, {"id": "a", "when": {**VIEW, "count": 3}, "share": 0.5})
    assert changes(old, new) == [
        RuleChange("c", "added"),
        RuleChange(
            "a",
            "changed",
            {
                "when": ("5 or more view within 30m", "3 or more view within 30m"),
                "cooldown": ("1h", ""),
                "share": ("", "0.5"),
            },
        ),
        RuleChange("b", "removed"),
    ]


def test_equal_rules_have_no_changes() -> None:
    assert changes(load_rules(), load_rules()) == []


def test_a_rule_is_described_as_the_file_says_it() -> None:
    (rule,) = ruleset(
        {
            "id": "a",
            "about": "why",
            "when": {
                "all": [
                    {**VIEW, "scene_not": "cart", "per": "category"},
                    {"types": ["order", "cart"], "at_most": 0, "within": "1w", "scene": "home"},
                ]
            },
            "cooldown": "1h 30m",
            "hours": "22-6",
        }
    ).rules
    assert describe(rule) == {
        "when": "5 or more view within 30m per category outside scene cart and "
        "at most 0 cart/order within 1w in scene home",
        "cooldown": "1h 30m",
        "hours": "22-6",
        "about": "why",
    }


@pytest.mark.parametrize("hours", ["8-22", "22-6", "0-24", "23-24", "18-24"])
def test_hours_are_described_as_they_were_written(hours: str) -> None:
    (rule,) = ruleset({"id": "a", "when": VIEW, "hours": hours}).rules
    assert describe(rule)["hours"] == hours


@given(st.integers(min_value=1, max_value=366 * 86_400_000))
def test_a_duration_in_words_is_read_back_as_the_same(ms: int) -> None:
    (rule,) = ruleset({"id": "a", "when": {**VIEW, "within": duration(ms)}}).rules
    assert rule.when.conditions[0].within == ms


def test_lines_that_changed_are_a_unified_diff() -> None:
    lines = changed_lines("a\nb\nc\n", "a\nB\nc\n", "version 1", "version 2")
    assert lines == ["--- version 1", "+++ version 2", "@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]
