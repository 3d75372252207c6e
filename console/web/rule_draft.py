"""A draft of the rules: what is wrong with it, what it would change. Nothing here writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from console.reachable import refuse_unreachable
from stream.errors import RulesError
from stream.gate.rules.changes import changed_lines, changes, describe
from stream.gate.rules.ruleset import DEFAULT_RULES, parse_rules, read_rules

if TYPE_CHECKING:
    from stream.gate.rules.book import RuleBook, Version
    from stream.gate.rules.changes import RuleChange
    from stream.gate.rules.ruleset import RuleSet
    from stream.settings import KafkaSettings, StreamSettings

__all__ = ["Draft", "InForceText", "Problem", "check_draft", "described", "diff_rows", "in_force", "text_of"]

_LINE = re.compile(r"^rules, line (\d+): ")
_SOURCE = "rules"


class Problem(NamedTuple):
    """What is wrong with a draft; ``line`` is 0 where it is not of one line."""

    line: int
    what: str


class Draft(NamedTuple):
    """A draft, looked at. ``rules`` is None where it has problems."""

    rules: RuleSet | None
    problems: list[Problem]
    warnings: list[str]
    changes: list[RuleChange]
    same: bool


class InForceText(NamedTuple):
    """A text of rules and the version it is; None for the rules file, which counts while the book is empty."""

    text: str
    version: Version | None

    @property
    def number(self) -> int:
        """The version's number; 0 for the rules file."""
        return self.version.number if self.version else 0


class DiffRow(NamedTuple):
    """A line of a difference and what it is: ``add``, ``del``, ``hunk`` or ``same``."""

    kind: str
    text: str


def check_draft(text: str, current: str, kafka: KafkaSettings) -> Draft:
    """Look at a draft beside the rules in force, as ``nearline rules check`` and ``set`` do."""
    try:
        rules = parse_rules(text, _SOURCE)
        refuse_unreachable(rules, _SOURCE, kafka)
    except RulesError as error:
        return Draft(None, [_problem(line) for line in error.message.split("\n")], [], [], same=False)
    before = parse_rules(current, "the rules in force", strict=False)
    return Draft(rules, [], rules.warnings(), changes(before, rules), same=text == current)


def described(rules: RuleSet) -> list[dict[str, str]]:
    """Each rule in words: ``id`` and the parts of :func:`stream.gate.rules.changes.describe`."""
    return [{"id": rule.id, "on": f"{rule.share:.2%}", **describe(rule)} for rule in rules.rules]


def diff_rows(old: str, new: str, old_name: str, new_name: str) -> list[DiffRow]:
    """The lines that differ between two texts, with those around them."""
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    lines = changed_lines(old, new, old_name, new_name)
    heads = [DiffRow("hunk", line) for line in lines[:2]]
    return heads + [DiffRow(kinds.get(line[:1], "same"), line) for line in lines[2:]]


async def in_force(book: RuleBook, settings: StreamSettings) -> InForceText:
    """The rules in force."""
    version = await book.current()
    return InForceText(version.text, version) if version else InForceText(_file(settings), None)


async def text_of(number: int, book: RuleBook, settings: StreamSettings) -> InForceText:
    """A version; 0 is the rules file.

    Raises:
        RulesError: there is no such version.
    """
    if number == 0:
        return InForceText(_file(settings), None)
    version = await book.version(number)
    return InForceText(version.text, version)


def _file(settings: StreamSettings) -> str:
    return read_rules(settings.gate.rules or DEFAULT_RULES)


def _problem(line: str) -> Problem:
    match = _LINE.match(line)
    return Problem(int(match[1]), line[match.end() :]) if match else Problem(0, line.removeprefix("rules: "))
