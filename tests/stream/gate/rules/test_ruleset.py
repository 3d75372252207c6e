"""Rules files: what is good, and errors that name file, line, rule, field and what was expected."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import RulesError
from stream.gate.rules.ruleset import DEFAULT_RULES, load_rules, parse_rules

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
version: 1
rules:
  - id: views
    about: Five views.
    when: {types: [view], count: 5, within: 30m}
    cooldown: 1h 30m
    min_gap: 90s
    share: 0.25
    hours: "22-6"
  - id: both
    when:
      all:
        - {types: [search, order], count: 4, within: 7d, scene_not: recommendation}
        - {types: [view], at_most: 1, within: 1w, scene: recommendation}
  - id: either
    when:
      any:
        - {types: [cart], count: 1, within: 500ms, per: session}
        - {types: [view], count: 3, within: 1.5h, per: category}
    cooldown: 1d
"""


def rule(body: str) -> str:
    return f"version: 1\nrules:\n  - id: mine\n{body}"


def error(text: str) -> str:
    with pytest.raises(RulesError) as caught:
        parse_rules(text, "my.yaml")
    assert caught.value.way_out
    return caught.value.message


def test_a_good_file_says_what_it_says() -> None:
    views, both, either = parse_rules(GOOD, "good.yaml").rules
    assert views.when.conditions[0].within == 1_800_000
    assert (views.cooldown, views.min_gap, views.share) == (5_400_000, 90_000, 0.25)
    assert views.hours == (22, 23, 0, 1, 2, 3, 4, 5)
    assert both.when.all is not None
    assert [c.within for c in both.when.all] == [604_800_000, 604_800_000]
    assert both.when.all[0].types == ("order", "search")
    assert either.when.any is not None
    assert [c.per for c in either.when.any] == ["session", "category"]
    assert [c.within for c in either.when.any] == [500, 5_400_000]


def test_the_default_rules_are_good_and_without_warnings() -> None:
    rules = load_rules()
    assert [r.id for r in rules.rules] == ["five-views", "search", "global-behaviour"]
    assert rules.warnings() == []
    assert rules == parse_rules(DEFAULT_RULES.read_text(), "default")


def test_a_lone_condition_means_the_same_as_one_under_all() -> None:
    short = parse_rules(rule("    when: {types: [view], count: 2, within: 1m}\n"), "a")
    long = parse_rules(rule("    when:\n      all:\n        - {types: [view], count: 2, within: 60s}\n"), "b")
    assert short.digest == long.digest
    assert short.rules[0].digest == long.rules[0].digest


def test_words_about_a_rule_do_not_change_its_version_and_conditions_do() -> None:
    base = parse_rules(rule("    when: {types: [view], count: 2, within: 1m}\n"), "a")
    about = parse_rules(rule("    about: why\n    when: {types: [view], count: 2, within: 1m}\n"), "a")
    other = parse_rules(rule("    when: {types: [view], count: 3, within: 1m}\n"), "a")
    cooled = parse_rules(rule("    when: {types: [view], count: 2, within: 1m}\n    cooldown: 1m\n"), "a")
    assert base.digest == about.digest
    assert len({base.digest, other.digest, cooled.digest}) == 3
    assert base.rules[0].digest == cooled.rules[0].digest != other.rules[0].digest


WHEN = "    when: {types: [view], count: 2, within: 1m}\n"


@pytest.mark.parametrize(
    ("text", "line", "names", "expected"),
    [
        ("version: 2\nrules:\n  - id: mine\n" + WHEN, 1, "field version", "1"),
        ("version: 1\nrules: []\n", 2, "field rules", "at least 1"),
        ("version: 1\n", 1, "field rules", "Field required"),
        ("version: 1\nrules: 7\n", 2, "field rules", "tuple"),
        ("version: 1\nrules:\n  - 7\n", 3, "rule number 1", "dictionary"),
        ("version: 1\nrools: []\nrules:\n  - id: mine\n" + WHEN, 2, "field rools", "not permitted"),
        ("version: 1\nrules:\n  - about: x\n" + WHEN, 3, "rule number 1, field id", "required"),
        ("version: 1\nrules:\n  - id: Not Good\n" + WHEN, 3, "rule Not Good, field id", "pattern"),
        (rule("    about: x\n"), 3, "rule mine, field when", "required"),
        (rule("    when: soon\n"), 4, "rule mine, field when", "'soon'"),
        (rule("    when: {}\n"), 4, "rule mine, field when", "expected one of `all` and `any`"),
        (rule("    when: {types: [view], count: 2}\n"), 4, "field when.within", "required"),
        (rule("    when:\n      types: [view]\n      count: 2\n      within: 30\n"), 7, "field when.within", "30m"),
        (rule("    when: {types: [view], count: 2, within: 3 parsecs}\n"), 4, "field when.within", "'3 parsecs'"),
        (rule("    when: {types: [view], count: 2, within: 0s}\n"), 4, "field when", "366d"),
        (rule("    when: {types: [view], count: 2, within: 367d}\n"), 4, "field when", "366d"),
        (rule("    when: {types: [view], count: 0, within: 1m}\n"), 4, "field when.count", "greater"),
        (rule("    when: {types: [view], count: 2000, within: 1m}\n"), 4, "field when.count", "1000"),
        (rule("    when: {types: [view], count: lots, within: 1m}\n"), 4, "field when.count", "'lots'"),
        (rule("    when: {types: [view], at_most: 2, within: 1m}\n"), 4, "field when", "needs `count`"),
        (rule("    when:\n      any:\n        - {types: [view], at_most: 2, within: 1m}\n        - {types: [view], count: 2, within: 1m}\n"), 4, "field when", "under `all`"),
        (rule("    when: {types: [view], count: 2, at_most: 2, within: 1m}\n"), 4, "field when", "not both"),
        (rule("    when: {types: [view], count: 2, within: 1m, scene: a, scene_not: b}\n"), 4, "field when", "not both"),
        (rule("    when: {types: [], count: 2, within: 1m}\n"), 4, "field when.types", "at least 1"),
        (rule("    when: {types: [leer], count: 2, within: 1m}\n"), 4, "field when.types", "'leer'"),
        (rule("    when: {types: [view], count: 2, within: 1m, per: planet}\n"), 4, "field when.per", "'planet'"),
        (rule("    when: {types: [view], count: 2, within: 1m, often: 1}\n"), 4, "field when.often", "not permitted"),
        (rule("    when:\n      all:\n        - {types: [view], count: 2, within: 1m}\n        - {types: [view], count: 2}\n"), 7, "field when.all.1.within", "required"),
        (rule("    when:\n      all: []\n"), 5, "field when.all", "at least 1"),
        (rule("    when:\n      all:\n        - {types: [view], count: 2, within: 1m}\n      any:\n        - {types: [view], count: 2, within: 1m}\n"), 4, "field when", "one of"),
        (rule(WHEN + "    cooldown: 10\n"), 5, "field cooldown", ["10m,", "12h", "or", "7d"][-1]),
        (rule(WHEN + "    share: 0\n"), 5, "field share", "greater"),
        (rule(WHEN + "    share: 1.5\n"), 5, "field share", "less"),
        (rule(WHEN + "    hours: 8-25\n"), 5, "field hours", "8-22"),
        (rule(WHEN + "    hours: 8-8\n"), 5, "field hours", "8-22"),
        (rule(WHEN + "    hours: always\n"), 5, "field hours", "'always'"),
        (rule(WHEN + "    colour: red\n"), 5, "field colour", "not permitted"),
    ],
)  # fmt: skip
def test_an_error_names_file_line_rule_field_and_what_was_expected(
    text: str, line: int, names: str, expected: str
) -> None:
    message = error(text)
    assert message.startswith(f"my.yaml, line {line}: "), message
    assert names in message
    assert expected in message
    if text.startswith("version: 1\nrules:\n  - id: mine"):
        assert "rule mine" in message


def test_every_error_of_a_file_is_told_at_once() -> None:
    message = error(rule("    when: {types: [leer], count: 0, within: 3}\n    share: 7\n"))
    assert len(message.splitlines()) == 4


def test_two_rules_of_one_name_are_refused() -> None:
    message = error("rules:\n  - id: a\n" + WHEN + "  - id: a\n" + WHEN)
    assert "two rules are called 'a'" in message


@pytest.mark.parametrize(
    "text",
    [
        "rules: [\n",
        "a: b: c\n",
        "rules:\n\t- id: x\n",
        "&a *b\n",
        "!!python/object/apply:os.system ['true']\n",
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(text: str) -> None:
    assert "my.yaml, line " in error(text)


@pytest.mark.parametrize("text", ["", "7", "- a\n- b\n", "just words"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert "expected a mapping" in error(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9))
        + "rules: *j\n",
        "&a rules: *a\n",
        "rules: &a [*a]\n",
        "rules: &a\n  - *a\n",
        "rules: [{id: x, when: &w {all: [*w]}}]\n",
        "rules: " + "[" * 20_000,
        "rules: " + "[" * 900 + "]" * 900 + "\n",
        "rules: " + "{a: " * 5000,
        "\n".join(" " * n + "a:" for n in range(3000)),
        "? {a: 1}\n: rules\n",
        "? [rules]\n: 1\n",
        "1: 2\nrules: []\n",
        "rules:\n  - {id: x, 3: 4}\n",
        "rules:\n  - {id: [1], when: 2}\n",
        "version: 1e400\nrules: [1]\n",
        'rules: [{id: "\\uD800"}]\n',
        "rules: [{id: 2001-02-30}]\n",
        "version: 2001-02-30\nrules: []\n",
        "version: 0b_\nrules: []\n",
        "\x00",
        "rules: \u0007\n",
        "<<: [1]\nrules: []\n",
        "rules: [{<<: {id: x}, when: 1}]\n",
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_quickly_and_nothing_else(text: str) -> None:
    began = time.process_time()
    assert len(error(text)) < 20_000
    assert time.process_time() - began < 20  # a search that goes back at each step would take hours


@given(st.text(max_size=200))
def test_any_text_is_rules_or_a_rules_error(text: str) -> None:
    try:
        parse_rules(text, "any.yaml")
    except RulesError as refused:
        assert "any.yaml" in refused.message  # noqa: PT017  # good rules are no failure


@pytest.mark.parametrize(
    ("when", "warned"),
    [
        ("{types: [view], count: 1, within: 1m}", True),
        ("{types: [view], count: 2, within: 1m}", False),
        ("{any: [{types: [view], count: 1, within: 1m}, {types: [order], count: 9, within: 1m}]}", True),
        ("{all: [{types: [view], count: 1, within: 1m}, {types: [order], at_most: 0, within: 1m}]}", True),
        ("{all: [{types: [view], count: 1, within: 1m}, {types: [order], count: 1, within: 1m}]}", False),
    ],
)
def test_a_rule_that_fires_on_every_event_is_warned_of(when: str, warned: bool) -> None:
    found = parse_rules(rule(f"    when: {when}\n"), "a").warnings()
    assert bool(found) == warned
    assert parse_rules(rule(f"    when: {when}\n    cooldown: 1h\n"), "a").warnings() == []


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"nowhere\.yaml"):
        load_rules(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"rules: \xe9\xff")
    with pytest.raises(RulesError, match=r"latin\.yaml"):
        load_rules(tmp_path / "latin.yaml")
