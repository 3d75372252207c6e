"""``nearline rules`` as two operators use it, on a real Valkey."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from console.errors import ConsoleError
from console.verbs.rules import app
from stream.errors import RulesConflictError, RulesError
from stream.gate.rules.ruleset import DEFAULT_RULES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def text(count: int, rest: str = "") -> str:
    return f"rules:\n  - id: a\n    when: {{types: [view], count: {count}, within: 5m}}\n{rest}"


@pytest.fixture
def rules(valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARLINE_STREAM__REDIS__URL", valkey)
    monkeypatch.setenv("LOGNAME", "ann")

    def run(*argv: str) -> Result:
        return CliRunner().invoke(app, list(argv))

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(content: str, name: str = "mine.yaml") -> str:
        (tmp_path / name).write_text(content)
        return str(tmp_path / name)

    return write


def good(result: Result) -> str:
    assert result.exception is None, (result.exception, result.output)
    return result.stdout


def read(result: Result) -> Any:
    return json.loads(good(result))


@pytest.mark.real
def test_rules_are_set_listed_compared_and_taken_back(rules: Any, file: Any) -> None:
    assert read(rules("list", "--json"))["number"] == 0
    assert "the rules file" in good(rules("list"))
    assert "book of rules is empty" in good(rules("history"))
    assert "Version 1" in good(rules("set", file(text(5)), "--note", "begin"))
    second = read(rules("set", file(text(3, "    cooldown: 1h\n")), "--note", "sooner", "--json"))
    assert (second["number"], second["author"], second["note"], second["base"]) == (2, "ann", "sooner", 1)
    listed = read(rules("list", "--json"))
    assert (listed["number"], listed["digest"]) == (2, second["digest"])
    assert listed["rules"] == [{"id": "a", "when": "3 or more view within 5m", "cooldown": "1h"}]
    said = good(rules("diff"))
    assert "a: changed" in said
    assert "when: 5 or more view within 5m -> 3 or more view within 5m" in said
    assert "-    when: {types: [view], count: 5, within: 5m}" in said
    compared = read(rules("diff", "0", "1", "--json"))
    assert {change["change"] for change in compared["rules"]} == {"added", "removed"}
    assert good(rules("diff", "2", "2")) == "No difference.\n"
    assert "Version 3" in good(rules("rollback", "1", "--note", "too many"))
    newest = read(rules("show", "--json"))
    assert (newest["number"], newest["text"]) == (3, text(5))
    assert newest["note"] == "back to version 1: too many"
    assert [(v["number"], v["author"]) for v in read(rules("history", "--json"))] == [
        (3, "ann"),
        (2, "ann"),
        (1, "ann"),
    ]
    good(rules("rollback", "0", "--note", "as it was"))
    assert read(rules("show", "--json"))["text"] == DEFAULT_RULES.read_text()


@pytest.mark.real
def test_the_second_of_two_operators_is_told_about_the_first(rules: Any, file: Any) -> None:
    good(rules("set", file(text(5)), "--note", "begin"))
    shown = good(rules("show"))
    assert shown.startswith("# nearline rules, version 1 by ann, ")
    ann, bob = file(shown.replace("count: 5", "count: 4"), "a"), file(shown.replace("5m", "9m"), "b")
    good(rules("set", ann, "--note", "sooner", "--author", "ann"))
    refused = rules("set", bob, "--note", "longer", "--author", "bob")
    assert isinstance(refused.exception, RulesConflictError)
    said = str(refused.exception)
    assert "You began from version 1" in said
    assert "version 2 is in force: by ann" in said
    assert '"sooner"' in said
    assert "when: 5 or more view within 5m -> 4 or more view within 5m" in refused.stderr
    assert read(rules("list", "--json"))["number"] == 2
    assert "Version 3" in good(rules("set", bob, "--note", "longer", "--author", "bob", "--base", "2"))
    assert read(rules("show", "2", "--json"))["text"] == text(4)


@pytest.mark.real
def test_who_does_not_say_where_they_began_cannot_replace_what_another_wrote(rules: Any, file: Any) -> None:
    good(rules("set", file(text(5)), "--note", "begin", "--author", "ann"))
    refused = rules("set", file(text(4)), "--note", "mine", "--author", "bob")
    assert isinstance(refused.exception, ConsoleError)
    assert "Version 1 is in force, by ann" in str(refused.exception)
    assert "--base 1" in str(refused.exception)
    assert read(rules("list", "--json"))["number"] == 1
    good(rules("set", file(text(4)), "--note", "mine", "--author", "ann"))


@pytest.mark.real
def test_rules_with_warnings_are_set_only_with_yes(rules: Any, file: Any) -> None:
    refused = rules("set", file(text(1)), "--note", "all of them")
    assert isinstance(refused.exception, ConsoleError)
    assert "fires on every event of type view" in str(refused.exception)
    assert read(rules("history", "--json")) == []
    good(rules("set", file(text(1)), "--note", "all of them", "--yes"))


@pytest.mark.real
def test_a_wrong_line_is_named_as_it_stands_in_the_file(rules: Any, file: Any) -> None:
    wrong = "# nearline rules, version 0, the rules file\n" + text(5).replace("view", "leer")
    refused = rules("set", file(wrong), "--note", "n")
    assert isinstance(refused.exception, RulesError)
    assert "mine.yaml, line 4: rule a, field when.types" in str(refused.exception)


@pytest.mark.real
def test_events_that_arrive_on_no_topic_are_a_reason_to_refuse(
    rules: Any, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__EVENT_TOPICS", '[{"topic": "orders", "type": "order"}]')
    for verb in (("check",), ("set", "--note", "n")):
        refused = rules(*verb, file(text(5)))
        assert isinstance(refused.exception, RulesError)
        assert "no topic is configured for events of type view" in str(refused.exception)


@pytest.mark.real
def test_a_version_that_is_not_there_is_named(rules: Any) -> None:
    for verb in (("show", "7"), ("rollback", "7", "--note", "n"), ("diff", "7", "8")):
        assert "has no version" in str(rules(*verb).exception)


def test_the_default_rules_are_shown_without_any_server() -> None:
    result = CliRunner().invoke(app, ["show", "--default"])
    assert good(result) == DEFAULT_RULES.read_text()
