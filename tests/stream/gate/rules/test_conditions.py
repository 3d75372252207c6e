"""Conditions against a slow, obvious second writing of the rules, on random sequences of events."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import EventDecoder
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.ruleset import Rule, RuleSet
from stream.gate.state.activity import Activity
from stream.gate.state.recent import fingerprint

S = 1000
START = 1_700_000_000_000 // 86_400_000 * 86_400_000  # midnight, so that hours are easy to tell
_decode = EventDecoder().decode


def event(place: int, ts: int, kind: str = "view", **more: Any) -> Any:
    fields = {"event_id": f"e{place}", "user_id": "u", "type": kind, "ts": ts, "item_id": "i", "query": "q"}
    return _decode(msgspec.json.encode({**fields, **more}), START + 10**9)


def ruleset(*rules: dict[str, Any]) -> RuleSet:
    return RuleSet.model_validate({"rules": list(rules)})


class Reference:
    """All events are kept for ever and everything is counted anew at each."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules.rules
        self.newest = 0
        # per rule and condition: what counted and has not been used up by a firing
        self.seen: dict[tuple[str, int], list[tuple[str, int]]] = {}
        self.fired: list[tuple[str, int]] = []

    @staticmethod
    def _counts(condition: Any, e: Any) -> bool:
        if e.type not in condition.types:
            return False
        if condition.scene is not None and e.scene != condition.scene:
            return False
        return not (condition.scene_not is not None and e.scene == condition.scene_not)

    @staticmethod
    def _group(condition: Any, e: Any, category: str) -> str:
        return {"user": "", "category": category, "session": e.session_id or ""}[condition.per]

    def observe(self, e: Any, category: str) -> list[str]:
        self.newest = max(self.newest, e.ts)
        for rule in self.rules:
            for n, condition in enumerate(rule.when.conditions):
                if self._counts(condition, e):
                    self.seen.setdefault((rule.id, n), []).append((self._group(condition, e, category), e.ts))
        fired = []
        for rule in self.rules:
            if self._met(rule, e, category) and self._free(rule, e):
                fired.append(rule.id)
                self.fired.append((rule.id, e.ts))
                for n, condition in enumerate(rule.when.conditions):
                    if condition.count is not None:
                        group = self._group(condition, e, category)
                        kept = [(g, ts) for g, ts in self.seen.get((rule.id, n), []) if g != group]
                        self.seen[rule.id, n] = kept
        return fired

    def _met(self, rule: Rule, e: Any, category: str) -> bool:
        holding, fires = [], False
        for n, condition in enumerate(rule.when.conditions):
            group = self._group(condition, e, category)
            within = [
                ts
                for g, ts in self.seen.get((rule.id, n), [])
                if g == group and self.newest - ts <= condition.within
            ]
            if condition.count is None:
                holding.append(len(within) <= (condition.at_most or 0))
                continue
            holding.append(len(within) >= condition.count)
            fires |= holding[-1] and self._counts(condition, e)
        return fires and (all(holding) or rule.when.any is not None)

    def _free(self, rule: Rule, e: Any) -> bool:
        mine = [ts for name, ts in self.fired if name == rule.id]
        if rule.cooldown and mine and e.ts - max(mine) < rule.cooldown:
            return False
        if rule.min_gap and self.fired and e.ts - max(ts for _, ts in self.fired) < rule.min_gap:
            return False
        if rule.hours is not None and e.ts // 3_600_000 % 24 not in rule.hours:
            return False
        return zlib.crc32(f"{rule.id}\0{e.user_id}".encode()) % 10_000 < round(rule.share * 10_000)


def fires(rules: RuleSet, events: list[tuple[Any, str]]) -> list[list[str]]:
    compiled, activity = CompiledRules(rules), Activity()
    found = []
    for e, category in events:
        found.append([firing.rule for firing in compiled.observe(activity, e, category)])
        activity.last_ts = max(activity.last_ts, e.ts)
    return found


conditions = st.fixed_dictionaries(
    {
        "types": st.lists(st.sampled_from(["view", "search", "order"]), min_size=1, max_size=2),
        "within": st.sampled_from(["1s", "5s", "20s", "1h"]),
        "per": st.sampled_from(["user", "user", "category", "session"]),
    },
    optional={"scene": st.sampled_from(["here", "there"])},
)


@st.composite
def counted(draw: st.DrawFn) -> dict[str, Any]:
    return {**draw(conditions), "count": draw(st.integers(1, 4))}


@st.composite
def rare(draw: st.DrawFn) -> dict[str, Any]:
    condition = {**draw(conditions), "at_most": draw(st.integers(0, 3))}
    if "scene" in condition and draw(st.booleans()):
        condition["scene_not"] = condition.pop("scene")
    return condition


@st.composite
def rules(draw: st.DrawFn, name: str) -> dict[str, Any]:
    way = draw(st.sampled_from(["all", "any"]))
    others = counted() | rare() if way == "all" else counted()
    rule: dict[str, Any] = {"id": name, "when": {way: [draw(counted()), *draw(st.lists(others, max_size=2))]}}
    rule["cooldown"] = draw(st.sampled_from(["0s", "0s", "3s", "1m"]))
    rule["min_gap"] = draw(st.sampled_from(["0s", "0s", "2s"]))
    rule["share"] = draw(st.sampled_from([1, 1, 1, 0.5]))
    if draw(st.booleans()):
        rule["hours"] = draw(st.sampled_from(["0-1", "23-1", "5-6"]))
    return rule


moves = st.tuples(
    st.sampled_from([0, 1, 300, 1000, 1001, 4000, 5000, 21_000, 3_600_000, -1, -2000, -30_000]),
    st.sampled_from(["view", "search", "order", "click"]),
    st.sampled_from([None, "here", "there"]),
    st.sampled_from([None, "s1"]),
    st.sampled_from(["", "tea"]),
)


def sequence(steps: list[tuple[int, str, str | None, str | None, str]]) -> list[tuple[Any, str]]:
    ts, events = START, []
    for place, (step, kind, scene, session, category) in enumerate(steps):
        ts += step
        events.append((event(place, ts, kind, scene=scene, session_id=session), category))
    return events


@settings(max_examples=150, deadline=None)
@given(st.tuples(rules("one"), rules("two")), st.lists(moves, max_size=25))
def test_rules_fire_where_the_obvious_count_says(
    given_rules: tuple[dict[str, Any], ...], steps: list[tuple[int, str, str | None, str | None, str]]
) -> None:
    chosen, events = ruleset(*given_rules), sequence(steps)
    reference = Reference(chosen)
    assert fires(chosen, events) == [reference.observe(e, category) for e, category in events]


@settings(max_examples=80, deadline=None)
@given(st.tuples(rules("one"), rules("two")), st.lists(moves, max_size=25), st.data())
def test_forgetting_what_no_longer_matters_changes_no_firing(
    given_rules: tuple[dict[str, Any], ...],
    steps: list[tuple[int, str, str | None, str | None, str]],
    data: st.DataObject,
) -> None:
    compiled = CompiledRules(ruleset(*given_rules))
    never, often = Activity(), Activity()
    for e, category in sequence(steps):
        firings = compiled.observe(never, e, category)
        assert compiled.observe(often, e, category) == firings
        for activity in (never, often):
            activity.remember(e, 0, fingerprint(e.event_id), 8)
        if data.draw(st.booleans()):
            often.sweep(compiled.windows)
    for activity in (never, often):
        activity.sweep(compiled.windows)
    assert never.counts == often.counts


@settings(max_examples=80, deadline=None)
@given(st.tuples(rules("one"), rules("two")), st.lists(moves, max_size=25), st.data())
def test_when_and_how_often_it_is_written_down_changes_neither_firings_nor_the_bytes(
    given_rules: tuple[dict[str, Any], ...],
    steps: list[tuple[int, str, str | None, str | None, str]],
    data: st.DataObject,
) -> None:
    compiled = CompiledRules(ruleset(*given_rules))
    never, often = Activity(), Activity()
    for e, category in sequence(steps):
        firings = compiled.observe(never, e, category)
        assert compiled.observe(often, e, category) == firings
        for activity in (never, often):
            activity.remember(e, 0, fingerprint(e.event_id), 8)
        if data.draw(st.booleans()):
            often = Activity.decode(often.encode(), "u")
    assert never.encode() == often.encode()


def views(*times: float, **more: Any) -> list[tuple[Any, str]]:
    return [(event(n, START + int(t * S), "view", **more), "") for n, t in enumerate(times)]


FIVE = {"id": "five", "when": {"types": ["view"], "count": 5, "within": "30m"}}


def test_the_fifth_view_in_half_an_hour_fires_and_counts_start_anew() -> None:
    fired = fires(ruleset(FIVE), views(*range(0, 110, 10)))
    assert [n for n, names in enumerate(fired, 1) if names] == [5, 10]


def test_a_window_includes_its_last_millisecond_and_no_more() -> None:
    rules = ruleset({**FIVE, "when": {"types": ["view"], "count": 2, "within": "10s"}})
    assert fires(rules, views(0, 10)) == [[], ["five"]]
    assert fires(rules, views(0, 10.001)) == [[], []]


def test_a_cooldown_holds_until_its_time_is_over_and_the_counts_that_it_held_back_stay() -> None:
    rules = ruleset(
        {"id": "search", "when": {"types": ["view"], "count": 1, "within": "1m"}, "cooldown": "10s"}
    )
    assert fires(rules, views(0, 5, 9.999, 10, 11)) == [["search"], [], [], ["search"], []]


def test_a_gap_counts_from_the_last_trigger_of_any_rule() -> None:
    rules = ruleset(
        {"id": "loud", "when": {"types": ["view"], "count": 1, "within": "1m"}, "cooldown": "8s"},
        {"id": "shy", "when": {"types": ["view"], "count": 1, "within": "1m"}, "min_gap": "5s"},
    )
    assert fires(rules, views(0, 4, 6, 9, 12)) == [["loud"], [], ["shy"], ["loud"], []]


def test_hours_are_in_utc_and_in_event_time() -> None:
    rules = ruleset({"id": "night", "when": {"types": ["view"], "count": 1, "within": "1m"}, "hours": "22-2"})
    hours = [0, 1.99, 2, 21.99, 22, 23.9]
    assert [bool(f) for f in fires(rules, views(*(h * 3600 for h in hours)))] == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_share_is_of_shoppers_and_always_the_same_ones(share: float) -> None:
    rules = ruleset({"id": "canary", "when": {"types": ["view"], "count": 1, "within": "1m"}, "share": share})
    users = [f"user-{n}" for n in range(2000)]

    def chosen() -> set[str]:
        return {user for user in users if any(fires(rules, views(0, user_id=user)))}

    first = chosen()
    assert abs(len(first) / len(users) - share) < 0.02
    assert chosen() == first


def test_what_must_be_rare_stays_counted_after_the_rule_has_fired() -> None:
    rules = ruleset(
        {
            "id": "global",
            "when": {
                "all": [
                    {"types": ["search"], "count": 2, "within": "1h", "scene_not": "recommendation"},
                    {"types": ["view"], "at_most": 1, "within": "1h", "scene": "recommendation"},
                ]
            },
        }
    )
    kinds = ["view", "search", "search", "view", "search", "search"]
    events = [
        (event(n, START + n, kind, scene="recommendation" if kind == "view" else "search"), "")
        for n, kind in enumerate(kinds)
    ]
    assert fires(rules, events) == [[], [], ["global"], [], [], []]
    unseen = [(e, c) for e, c in events if e.type == "search"]
    assert fires(rules, unseen) == [[], ["global"], [], ["global"]]
