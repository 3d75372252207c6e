"""The difference of two runs is told by triggers, demands, slates and what shoppers did next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from stream.gate.rules.ruleset import parse_rules
from stream.replay.diff import compare
from stream.replay.errors import RunError
from stream.replay.fired import Firings
from stream.replay.in_place import InPlace
from stream.replay.rules_kept import RulesKept
from stream.replay.run import RunWriter, Told, rows_of
from stream.settings import GateSettings
from tests.stream.replay import shop
from tests.stream.replay.captures import write_capture

if TYPE_CHECKING:
    from pathlib import Path

    from stream.replay.capture import Capture

RULES = "version: 1\nrules:\n  - {id: views, when: {types: [view], count: %d, within: 12h}}\n"
ORDERS = "  - {id: orders, when: {types: [order], count: 1, within: 1h}}\n"


def run(capture: Capture, folder: Path, catalog: Path, rules: str, runtime: Any = None) -> None:
    parsed = parse_rules(rules, "r")
    with RunWriter(folder) as writer:
        firings = Firings(
            capture,
            GateSettings(),
            rules=parsed,
            kept=RulesKept(),
            otherwise=parsed,
            did=lambda acts: writer.add("acts", acts),
        )
        told = Told(name=folder.name, capture="c", capture_sha256=capture.sha256, rules=parsed.digest)
        asyncio.run(InPlace(firings, shop.thinking_of(catalog, runtime), writer).run(told))


class Other(shop.Next):
    """A runtime that wants something else of some shoppers."""

    async def generate(self, requests: Any, deadline: float | None = None) -> list[Any]:
        answers = await super().generate(requests, deadline)
        for answer in answers[::2]:
            object.__setattr__(answer, "text", '{"queries":["a lamp and a rope"]}')
        return answers


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    catalog = shop.build(folder)
    capture = write_capture(folder / "c", shop.history(500))
    run(capture, folder / "a", catalog, RULES % 3)
    run(capture, folder / "again", catalog, RULES % 3)
    run(capture, folder / "more", catalog, RULES % 2 + ORDERS)
    run(capture, folder / "other", catalog, RULES % 3, Other())
    run(write_capture(folder / "d", shop.history(90)), folder / "elsewhere", catalog, RULES % 3)
    return folder


def test_two_runs_of_the_same_do_not_differ(runs: Path) -> None:
    found = compare(runs / "a", runs / "again")
    assert found.same == dict.fromkeys(("triggers", "prompts", "demands", "slates", "all"), True)
    assert found.agreement.slates == found.agreement.same == found.sides[0].triggers > 0
    assert found.agreement.overlap == {10: 1.0, 20: 1.0, 50: 1.0}
    assert (found.agreement.kendall, found.agreement.rbo) == (1.0, 1.0)
    assert (found.prompts_changed, found.demands_changed) == (0, 0)
    assert found.sides[0].hits == found.sides[1].hits


def test_triggers_are_gained_and_lost_by_rule(runs: Path) -> None:
    found = compare(runs / "a", runs / "more")
    a, more = (
        {
            (user, event)
            for user, rule, event in rows_of(runs / name, "triggers", ("user", "rule", "event_id"))
            if rule == "views"
        }
        for name in ("a", "more")
    )
    by = {one.rule: one for one in found.rules}
    assert (by["views"].both, by["views"].gained, by["views"].lost) == (
        len(a & more),
        len(more - a),
        len(a - more),
    )
    assert by["views"].gained > 0
    assert (by["orders"].both, by["orders"].lost) == (0, 0)
    assert by["orders"].gained > 0
    back = {one.rule: one for one in compare(runs / "more", runs / "a").rules}
    assert (back["views"].gained, back["views"].lost) == (by["views"].lost, by["views"].gained)
    assert not found.same["triggers"]


def test_other_demands_give_other_slates_from_the_same_triggers(runs: Path) -> None:
    found = compare(runs / "a", runs / "other")
    assert found.same == {"triggers": True, "prompts": True, "demands": False, "slates": False, "all": False}
    assert 0 < found.demands_changed < found.sides[0].triggers
    assert found.agreement.same < found.agreement.slates
    assert found.agreement.overlap[10] < 1
    assert 0 < found.agreement.rbo < 1


def test_what_shoppers_did_next_is_held_against_the_slate_they_saw(runs: Path) -> None:
    import json

    horizon = 6 * 3600
    found = compare(runs / "a", runs / "other", horizon_s=horizon)
    seen: dict[str, list[tuple[int, set[str]]]] = {}
    for (user, ts), (slate,) in zip(
        rows_of(runs / "a", "triggers", ("user", "ts")),
        rows_of(runs / "a", "slates", ("slate",)),
        strict=True,
    ):
        seen.setdefault(user, []).append((ts, {one["item"] for one in json.loads(slate)["candidates"]}))
    acts, hits = {"click": 0, "order": 0}, {"click": 0, "order": 0}
    for user, ts, kind, item in rows_of(runs / "a", "acts", ("user", "ts", "type", "item")):
        before = [slate for slate in seen.get(user, []) if slate[0] < ts]
        if before and ts - before[-1][0] <= horizon * 1000:
            acts[kind] += 1
            hits[kind] += item in before[-1][1]
    assert found.sides[0].acts == found.sides[1].acts == acts
    assert found.sides[0].hits == hits
    assert sum(hits.values()) > 0
    assert found.sides[0].items > 0


def test_runs_of_different_captures_are_not_compared(runs: Path) -> None:
    with pytest.raises(RunError, match="different captures"):
        compare(runs / "a", runs / "elsewhere")
