"""Trigger rules as data: the model of a rules file, and its loading with errors that name the line.

The words of a rule are explained in ``rules.default.yaml``, which is also the default. What a rule
does with a shopper's activity is in :mod:`stream.gate.rules.conditions`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from stream.errors import RulesError
from stream.events import EVENT_TYPES
from stream.gate.rules.checks import impossible, unlikely

__all__ = ["DEFAULT_RULES", "Condition", "Rule", "RuleSet", "When", "load_rules", "parse_rules", "read_rules"]

DEFAULT_RULES = Path(__file__).with_name("rules.default.yaml")

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_MAX_WINDOW_MS = 366 * 86_400_000


def _milliseconds(value: object) -> object:
    """``"30m"`` as milliseconds. A bare number has no unit and is refused."""
    if isinstance(value, str):
        text = value.replace(" ", "")
        parts = _DURATION.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return round(sum(float(number) * _UNITS_MS[unit] for number, unit in parts))
    msg = f"expected a duration with its unit, such as 90s, 30m, 12h or 7d, not {value!r}"
    raise ValueError(msg)


def _hours(value: object) -> object:
    """``"8-22"`` as the tuple of hours it covers; the end is not covered."""
    match = re.fullmatch(r"\s*(\d{1,2})\s*-\s*(\d{1,2})\s*", value) if isinstance(value, str) else None
    if match:
        start, end = int(match[1]), int(match[2])
        if start <= 23 and end <= 24 and start != end:  # hours of a day
            return tuple(range(start, end)) if start < end else (*range(start, 24), *range(end))
    msg = f'expected hours of the day (UTC) such as "8-22", not {value!r}'
    raise ValueError(msg)


Duration = Annotated[int, BeforeValidator(_milliseconds)]
Hours = Annotated[tuple[int, ...], BeforeValidator(_hours)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Model):
    """So many events of these types in this window. Windows are in milliseconds of event time."""

    types: tuple[str, ...] = Field(min_length=1, description="Event types that count.")
    count: int | None = Field(default=None, ge=1, le=1000, description="At least this many.")
    at_most: int | None = Field(default=None, ge=0, le=1000, description="At most this many.")
    within: Duration = Field(description="Window back from the event, e.g. 30m.")
    per: Literal["user", "category", "session"] = Field(default="user", description="Counted per what.")
    scene: str | None = Field(default=None, description="Only events of this scene.")
    scene_not: str | None = Field(default=None, description="Only events of other scenes.")

    @field_validator("types")
    @classmethod
    def _known_types(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for kind in types:
            if kind not in EVENT_TYPES:
                msg = f"unknown event type {kind!r}, expected some of {', '.join(sorted(EVENT_TYPES))}"
                raise ValueError(msg)
        return tuple(sorted(set(types)))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.count is None) == (self.at_most is None):
            msg = "expected either `count` (at least) or `at_most`, and not both"
            raise ValueError(msg)
        if self.scene is not None and self.scene_not is not None:
            msg = "expected either `scene` or `scene_not`, and not both"
            raise ValueError(msg)
        if not 0 < self.within <= _MAX_WINDOW_MS:
            msg = "`within` must be more than nothing and at most 366d"
            raise ValueError(msg)
        return self


class When(_Model):
    """Conditions that must hold together (``all``) or of which one must hold (``any``)."""

    all: tuple[Condition, ...] | None = Field(default=None, min_length=1, description="All must hold.")
    any: tuple[Condition, ...] | None = Field(default=None, min_length=1, description="One must hold.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.all is None) == (self.any is None):
            msg = "expected one of `all` and `any`"
            raise ValueError(msg)
        if all(condition.count is None for condition in self.conditions):
            msg = "at least one condition needs `count`: a rule fires on an event that counts"
            raise ValueError(msg)
        if self.any is not None and any(condition.count is None for condition in self.any):
            msg = "`at_most` stands under `all`: what is rare holds almost always, so one of `any` would"
            raise ValueError(msg)
        return self

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions, whichever way they are joined."""
        return self.all or self.any or ()


class Rule(_Model):
    """One trigger rule."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Its name in triggers and metrics.")
    about: str = Field(default="", max_length=500, description="What it is for, in words.")
    when: When = Field(description="What must have happened.")
    cooldown: Duration = Field(default=0, description="Not again for this shopper within this time.")
    min_gap: Duration = Field(default=0, description="Not within this time of any trigger of the shopper.")
    share: float = Field(default=1.0, gt=0, le=1, description="Share of shoppers it is on for.")
    hours: Hours | None = Field(default=None, description="Hours of the day (UTC) it is on.")

    @model_validator(mode="before")
    @classmethod
    def _single_condition(cls, data: Any) -> Any:
        """A rule with one condition may write it without ``all:``."""
        if isinstance(data, dict) and isinstance(data.get("when"), dict):
            when = data["when"]
            if when and not {"all", "any"} & set(when):
                return {**data, "when": {"all": [when]}}
        return data

    @property
    def digest(self) -> str:
        """Hash of what the rule means: its conditions. Counts are kept under it."""
        text = msgspec.json.encode(self.when.model_dump(mode="json"), order="sorted")
        return hashlib.blake2b(text, digest_size=4).hexdigest()


class RuleSet(_Model):
    """A rules file."""

    version: Literal[1] = Field(default=1, description="Version of the file's format.")
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=200, description="The rules.")

    @model_validator(mode="after")
    def _unique(self) -> Self:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                msg = f"two rules are called {rule.id!r}; a rule's id must be its own"
                raise ValueError(msg)
            seen.add(rule.id)
        return self

    @property
    def digest(self) -> str:
        """Hash of the whole set; a trigger carries it as the version of the rules it came from."""
        text = msgspec.json.encode(self.model_dump(mode="json", exclude={"rules": {"__all__": {"about"}}}))
        return hashlib.blake2b(text, digest_size=6).hexdigest()

    def warnings(self) -> list[str]:
        """What is allowed but rarely meant."""
        return [f"rule {rule.id}: {finding.what}" for rule, finding in unlikely(self.rules)]


def load_rules(path: Path | None = None) -> RuleSet:
    """The rules in ``path``, or the default ones.

    Raises:
        RulesError: naming file, line, rule, field and what was expected.
    """
    source = path or DEFAULT_RULES
    return parse_rules(read_rules(source), str(source))


def read_rules(path: Path) -> str:
    """The text of a rules file.

    Raises:
        RulesError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError(
            f"Rules file {path} cannot be read: {error}.", way_out="Name a readable YAML file."
        ) from error


def parse_rules(text: str, source: str, *, strict: bool = True) -> RuleSet:
    """The rules in ``text``; ``source`` is what errors call it. See :func:`load_rules`.

    Rules that were in force once are read with ``strict`` off: without looking for contradictions.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}, line {mark.line + 1}" if mark else source
        problem = getattr(error, "problem", None) or str(error)
        raise RulesError(f"{where}: not YAML: {problem}.", way_out="Correct the line.") from error
    except RecursionError as error:
        raise RulesError(
            f"{source}: nested too deeply.", way_out="A rules file is four levels deep."
        ) from error
    except ValueError as error:  # what looks like a date or a number and is none
        raise RulesError(
            f"{source}: a value cannot be read: {error}.", way_out="Put it in quotes, or correct it."
        ) from error
    if not isinstance(data, dict):
        raise RulesError(
            f"{source}: expected a mapping with `version` and `rules`, found {type(data).__name__}.",
            way_out=f"Start from {DEFAULT_RULES.name}: `nearline rules show --default`.",
        )
    try:
        rules = RuleSet.model_validate(data)
    except ValidationError as error:
        problems = error.errors()
        inner = {problem["loc"][:depth] for problem in problems for depth in range(len(problem["loc"]))}
        lines = [_explain(problem, tree, data, source) for problem in problems if problem["loc"] not in inner]
        raise RulesError(
            "\n".join(lines), way_out="Nothing was changed; correct the file and check again."
        ) from error
    if strict:
        _refuse_impossible(rules, tree, data, source)
    return rules


def _refuse_impossible(rules: RuleSet, tree: yaml.Node | None, data: Any, source: str) -> None:
    found = [
        {"loc": ("rules", place, *finding.field), "msg": finding.what, "type": "value_error"}
        for place, rule in enumerate(rules.rules)
        for finding in impossible(rule)
    ]
    if found:
        lines = [_explain(problem, tree, data, source) for problem in found]
        raise RulesError("\n".join(lines), way_out="Nothing was changed; correct the file and check again.")


def _explain(problem: Any, tree: yaml.Node | None, data: Any, source: str) -> str:
    """``FILE, line N: rule R, field F: what was expected``."""
    path = _as_spelled(problem["loc"], data)
    line = _line_of(tree, path)
    names = []
    if len(path) > 1 and path[0] == "rules" and isinstance(path[1], int):
        rule = data["rules"][path[1]]
        name = rule.get("id") if isinstance(rule, dict) else None
        names.append(f"rule {name}" if isinstance(name, str) else f"rule number {path[1] + 1}")
        path = path[2:]
    field = ".".join(str(part) for part in path)
    if field:
        names.append(f"field {field}")
    what = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    if problem["type"] != "value_error" and isinstance(given, str | int | float | bool):
        what = f"{what}, not {str(given)[:60]!r}"
    return f"{source}, line {line}: {', '.join(names)}{': ' if names else ''}{what}."


def _as_spelled(path: Any, data: Any) -> list[Any]:
    """``path`` as the file spells it: a lone condition stands there without ``all`` and its index."""
    spelled: list[Any] = []
    lone = False
    for part in path:
        if part == "all" and isinstance(data, dict) and "all" not in data:
            lone = True
            continue
        if lone and isinstance(part, int):
            lone = False
            continue
        spelled.append(part)
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
    return spelled


def _line_of(node: yaml.Node | None, path: list[Any]) -> int:
    """Line of the deepest node on ``path`` that exists."""
    line = node.start_mark.line + 1 if node else 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if entry is None:
                continue  # a field that is missing, or one that the shorthand leaves out
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
