"""What changed between two sets of rules, in words and as lines of text."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from stream.gate.rules.ruleset import Condition, Rule, RuleSet

__all__ = ["RuleChange", "changed_lines", "changes", "describe", "duration"]

_UNITS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


class RuleChange(msgspec.Struct, frozen=True):
    """One rule that was added, removed or changed; ``fields`` says from what to what."""

    rule: str
    change: str
    fields: dict[str, tuple[str, str]] = {}


def changes(old: RuleSet, new: RuleSet) -> list[RuleChange]:
    """The rules that differ, in the order of ``new``, then what was removed."""
    before = {rule.id: rule for rule in old.rules}
    after = {rule.id: rule for rule in new.rules}
    found = []
    for name, rule in after.items():
        if name not in before:
            found.append(RuleChange(name, "added"))
        elif fields := _differing(before[name], rule):
            found.append(RuleChange(name, "changed", fields))
    found += [RuleChange(name, "removed") for name in before if name not in after]
    return found


def changed_lines(old: str, new: str, old_name: str, new_name: str) -> list[str]:
    """A unified diff of two texts, line by line."""
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm=""))


def describe(rule: Rule) -> dict[str, str]:
    """The parts of a rule in the words of a rules file; parts that say nothing are left out."""
    when = rule.when
    joined = (" and " if when.all is not None else " or ").join(_condition(c) for c in when.conditions)
    parts: dict[str, str] = {"when": joined}
    if rule.cooldown:
        parts["cooldown"] = duration(rule.cooldown)
    if rule.min_gap:
        parts["min_gap"] = duration(rule.min_gap)
    if rule.share < 1:
        parts["share"] = f"{rule.share:g}"
    if rule.hours is not None:
        parts["hours"] = f"{rule.hours[0]}-{(rule.hours[-1] + 1) % 24 or 24}"
    if rule.about:
        parts["about"] = rule.about
    return parts


def duration(ms: int) -> str:
    """Milliseconds as a rules file writes them: 5400000 is 1h 30m."""
    parts = []
    for unit, size in _UNITS:
        number, ms = divmod(ms, size)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts) or "0s"


def _condition(condition: Condition) -> str:
    bound = f"{condition.count} or more" if condition.count is not None else f"at most {condition.at_most}"
    parts: list[Any] = [bound, "/".join(condition.types), "within", duration(condition.within)]
    if condition.per != "user":
        parts += ["per", condition.per]
    if condition.scene is not None:
        parts += ["in scene", condition.scene]
    if condition.scene_not is not None:
        parts += ["outside scene", condition.scene_not]
    return " ".join(parts)


def _differing(old: Rule, new: Rule) -> dict[str, tuple[str, str]]:
    before, after = describe(old), describe(new)
    return {
        name: (before.get(name, ""), after.get(name, ""))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    }
