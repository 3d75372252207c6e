"""What is wrong with rules that are well written: never to fire, or to fire all the time.

Only what follows from the rules alone is called wrong; what is merely unlikely is warned of.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from stream.gate.rules.ruleset import Condition, Rule

__all__ = ["SHARE_STEPS", "Finding", "impossible", "unlikely", "unreachable"]

SHARE_STEPS = 10_000
"""Parts that shoppers are divided into for a rule's share."""

_FASTEST_MS = 50
_WITHOUT_ITEM = frozenset({"search", "image_search"})
_MOST_COUNTS = 10


class Finding(NamedTuple):
    """What is wrong with a rule, and at which of its fields."""

    field: tuple[str | int, ...]
    what: str


def impossible(rule: Rule) -> Iterator[Finding]:
    """Why ``rule`` contradicts itself or can never fire."""
    if round(rule.share * SHARE_STEPS) == 0:
        yield Finding(
            ("share",), f"can never fire: a share of {rule.share:g} is nobody; the least is {1 / SHARE_STEPS}"
        )
    conditions = rule.when.all or ()
    counted = [condition for condition in conditions if condition.count is not None]
    for place, limit in enumerate(conditions):
        if limit.at_most is None:
            continue
        least = _least(limit, counted)
        if least > limit.at_most:
            yield Finding(
                ("when", "all", place, "at_most"),
                f"can never fire: at most {limit.at_most} of {', '.join(limit.types)} are allowed here, but the "
                f"conditions beside it need {least} of them in a window that lies within this one",
            )


def unlikely(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Finding]]:
    """What is allowed but rarely meant: firing on every event, impossible haste, rules twice."""
    seen: dict[object, str] = {}
    for rule in rules:
        yield from ((rule, finding) for finding in _always(rule))
        for place, condition in enumerate(rule.when.conditions):
            field = ("when", "all" if rule.when.all is not None else "any", place)
            count = condition.count or 1
            if count > 1 and condition.within / (count - 1) < _FASTEST_MS:
                yield (
                    rule,
                    Finding(
                        (*field, "within"),
                        f"{count} events within {condition.within} ms are faster than a shopper can act; it will "
                        "hardly ever fire",
                    ),
                )
            if condition.per == "category" and _WITHOUT_ITEM.issuperset(condition.types):
                yield (
                    rule,
                    Finding(
                        (*field, "per"),
                        f"events of type {', '.join(condition.types)} have no category: all of them count together",
                    ),
                )
        meaning = rule.model_dump_json(exclude={"id", "about"})
        if meaning in seen:
            yield rule, Finding(("when",), f"says the same as rule {seen[meaning]}: each shopper fires both")
        seen.setdefault(meaning, rule.id)


def unreachable(rule: Rule, types: Collection[str]) -> Iterator[Finding]:
    """Why ``rule`` can never fire where only events of ``types`` arrive."""
    needed = [condition for condition in rule.when.conditions if condition.count is not None]
    blocked = [condition for condition in needed if not set(condition.types) & set(types)]
    every = rule.when.all is not None
    if blocked and (every or len(blocked) == len(needed)):
        kinds = ", ".join(blocked[0].types)
        yield Finding(
            ("when",), f"can never fire: no topic is configured for events of type {kinds} (stream.kafka)"
        )


def _always(rule: Rule) -> Iterator[Finding]:
    if rule.cooldown or rule.min_gap:
        return
    counted = [condition for condition in rule.when.conditions if condition.count is not None]
    kinds: set[str] = set()
    if rule.when.any is not None:
        for condition in counted:
            kinds |= set(condition.types) if condition.count == 1 else set()
    elif all(condition.count == 1 for condition in counted):
        kinds = set.intersection(*(set(condition.types) for condition in counted))
    if kinds:
        yield Finding(
            ("when",),
            f"fires on every event of type {', '.join(sorted(kinds))}; give it a `cooldown` or a higher `count`",
        )


def _least(limit: Condition, counted: Sequence[Condition]) -> int:
    """How many events that ``limit`` counts must be there whenever all of ``counted`` hold."""
    inside = [condition for condition in counted if _covers(limit, condition)][:_MOST_COUNTS]
    least = 0
    for size in range(1, len(inside) + 1):
        for group in combinations(inside, size):
            if all(_apart(one, other) for one, other in combinations(group, 2)):
                least = max(least, sum(condition.count or 0 for condition in group))
    return least


def _covers(wide: Condition, narrow: Condition) -> bool:
    """Whether every event that ``narrow`` counts is one that ``wide`` counts, and as long."""
    if not set(narrow.types) <= set(wide.types) or narrow.within > wide.within:
        return False
    if wide.per not in {"user", narrow.per}:
        return False
    if wide.scene is not None:
        return narrow.scene == wide.scene
    if wide.scene_not is not None:
        return narrow.scene_not == wide.scene_not or narrow.scene not in {None, wide.scene_not}
    return True


def _apart(one: Condition, other: Condition) -> bool:
    """Whether no event counts for both."""
    if not set(one.types) & set(other.types):
        return True
    if one.scene is not None:
        return other.scene not in {None, one.scene} or other.scene_not == one.scene
    return one.scene_not is not None and other.scene == one.scene_not
