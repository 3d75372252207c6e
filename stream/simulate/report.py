"""What a simulation tells: plain data, ready for JSON, tables and plots. Times are milliseconds UTC."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import msgspec

from stream.gate.state.accounting import Accounting
from stream.simulate.cost import Cost
from stream.simulate.tally import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.simulate.tally import Tally

__all__ = ["Change", "Overlap", "Report", "RuleReport", "overlaps_of", "rules_of"]


class RuleReport(msgspec.Struct, kw_only=True):
    """One rule.

    Attributes:
        rule: its id.
        firings: how often it fired.
        users: shoppers it reached.
        only_here: shoppers that no other rule reached.
        per_hour: mean firings per hour, from the first event to the last.
        peak: most firings in one hour, ``peak_hour`` its start; None where it never fired.
        hours: firings by hour (its start), hours without any left out.
    """

    rule: str
    firings: int
    users: int
    only_here: int
    per_hour: float
    peak: int
    peak_hour: int | None
    hours: dict[int, int]


class Overlap(msgspec.Struct):
    """Two rules: the shoppers that both reached, and the events that fired both."""

    rules: tuple[str, str]
    users: int
    triggers: int


class Change(msgspec.Struct, kw_only=True):
    """One rule under the new rules, held against the rules it is compared with.

    A firing is the same if rule, shopper and event are. ``rule`` is ``*`` for the sets as a whole: then an
    event that fires any rule counts once.
    """

    rule: str
    before: int
    after: int
    gained: int
    lost: int
    users_before: int
    users_after: int
    users_gained: int
    users_lost: int


class Report(msgspec.Struct, kw_only=True):
    """The whole simulation.

    Attributes:
        source: where the events came from.
        rules: version of the rules simulated; ``against`` that of those compared with, if any.
        first, last: event times of the oldest and newest event applied, as far as they count.
        accounting: what became of the events that count.
        warm_up: events before them that only made the state.
        users: shoppers with an event that counts; ``reached`` those that any rule reached.
        per_rule: what each rule did; ``per_rule_against`` the same of the rules compared with.
        seconds: the simulation took; ``events_per_second`` is over all events read.
        notes: what to know of the figures.
    """

    source: str
    rules: str
    against: str | None
    first: int | None
    last: int | None
    accounting: Accounting
    warm_up: int
    users: int
    reached: int
    per_rule: list[RuleReport]
    per_rule_against: list[RuleReport] = []
    overlaps: list[Overlap]
    changes: list[Change]
    cost: Cost
    cost_against: Cost | None
    seconds: float
    events_per_second: float
    notes: list[str]


def rules_of(tally: Tally, span_ms: int) -> list[RuleReport]:
    """Every rule's part of the report, in the order of the rules file."""
    hours = max(1.0, span_ms / HOUR_MS)
    found = []
    for rule, firings in tally.firings.items():
        others = set().union(*(users for other, users in tally.users.items() if other != rule))
        # The earliest of the hours with the most.
        peak_hour = max(
            tally.hours[rule], key=lambda hour: (tally.hours[rule][hour], -hour), default=None
        )  # called here
        found.append(
            RuleReport(
                rule=rule,
                firings=firings,
                users=len(tally.users[rule]),
                only_here=len(tally.users[rule] - others),
                per_hour=round(firings / hours, 3),
                peak=tally.hours[rule][peak_hour] if peak_hour is not None else 0,
                peak_hour=peak_hour,
                hours=dict(sorted(tally.hours[rule].items())),
            )
        )
    return found


def overlaps_of(tally: Tally) -> list[Overlap]:
    """Every pair of rules that reached a shopper both."""
    found = []
    for first, second in combinations(sorted(tally.firings), 2):
        users = len(tally.users[first] & tally.users[second])
        if users:
            found.append(Overlap((first, second), users, tally.together[first, second]))
    return found


def changes_of(
    new: Tally, old: Tally, gained: Mapping[str, int], lost: Mapping[str, int], events: tuple[int, int]
) -> list[Change]:
    """Every rule of either set, and ``*`` for the sets as a whole. ``events`` fired any rule: (old, new)."""
    before, after = old.reached(), new.reached()
    found = [_change("*", events[0], events[1], gained, lost, before, after)]
    for rule in dict.fromkeys([*new.firings, *old.firings]):
        found.append(  # noqa: PERF401  # a comprehension of seven arguments reads worse
            _change(
                rule,
                old.firings.get(rule, 0),
                new.firings.get(rule, 0),
                gained,
                lost,
                old.users.get(rule, set()),
                new.users.get(rule, set()),
            )
        )
    return found


def _change(
    rule: str,
    before: int,
    after: int,
    gained: Mapping[str, int],
    lost: Mapping[str, int],
    users_before: set[str],
    users_after: set[str],
) -> Change:
    return Change(
        rule=rule,
        before=before,
        after=after,
        gained=gained.get(rule, 0),
        lost=lost.get(rule, 0),
        users_before=len(users_before),
        users_after=len(users_after),
        users_gained=len(users_after - users_before),
        users_lost=len(users_before - users_after),
    )
