"""Counts of firings, by rule and hour, by shopper, and of rules that fire together."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HOUR_MS", "Tally"]

HOUR_MS = 3_600_000


class Tally:
    """What the rules of one set did. Memory goes with shoppers and hours, not with events.

    Attributes:
        firings: rule to its number of firings.
        users: rule to the shoppers it reached.
        hours: rule to firings by hour of event time (milliseconds of the hour's start).
        together: pair of rules to the events that fired both.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self.firings: Counter[str] = Counter(dict.fromkeys(rules, 0))
        self.users: dict[str, set[str]] = {rule: set() for rule in rules}
        self.hours: dict[str, Counter[int]] = {rule: Counter() for rule in rules}
        self.together: Counter[tuple[str, str]] = Counter()

    def add(self, user: str, ts: int, rules: Sequence[str]) -> None:
        """One event at ``ts`` of ``user`` fired ``rules``, in the order of the rules file."""
        hour = ts - ts % HOUR_MS
        for rule in rules:
            self.firings[rule] += 1
            self.users[rule].add(user)
            self.hours[rule][hour] += 1
        if len(rules) > 1:
            self.together.update(combinations(sorted(rules), 2))

    def reached(self) -> set[str]:
        """Every shopper that any rule reached."""
        return set().union(*self.users.values())
