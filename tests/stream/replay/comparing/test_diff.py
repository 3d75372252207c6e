"""The difference of two runs is told by triggers, demands, slates and what shoppers did next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stream.replay.comparing.diff import compare
from stream.replay.errors import RunError
from stream.replay.run import rows_of
from tests.stream.replay import shop
from tests.stream.replay.captures import write_capture
from tests.stream.replay.runs import ORDERS, VIEWS, Other, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    catalog = shop.build(folder)
    capture = write_capture(folder / "c", shop.history(500))
    run(capture, folder / "a", catalog, VIEWS % 3)
    run(capture, folder / "again", catalog, VIEWS % 3)
    run(capture, folder / "more", catalog, VIEWS % 2 + ORDERS)
    run(capture, folder / "other", catalog, VIEWS % 3, Other())
    run(write_capture(folder / "d", shop.history(90)), folder / "elsewhere", catalog, VIEWS % 3)
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


def test_hits_are_counted_by_depth_and_by_which_run_alone_had_them(runs: Path) -> None:
    found = compare(runs / "a", runs / "other")
    for side in found.sides:
        for kind, whole in side.hits.items():
            at = [side.hits_at[depth].get(kind, 0) for depth in (10, 20, 50)]
            assert at == sorted(at)
            assert at[-1] == whole
    for kind in found.sides[0].acts:
        one, other = (side.hits.get(kind, 0) for side in found.sides)
        only = [some.get(kind, 0) for some in found.only_hits]
        assert one - only[0] == other - only[1]
    assert sum(sum(some.values()) for some in found.only_hits) > 0


def test_the_most_changed_shoppers_are_those_who_would_have_seen_something_else(runs: Path) -> None:
    assert compare(runs / "a", runs / "again").shoppers == []
    found = compare(runs / "a", runs / "more", shoppers=50).shoppers
    assert found
    assert [one.change for one in found if None not in one.places] == sorted(
        (one.change for one in found if None not in one.places), reverse=True
    )
    slates = [dict(rows_of(runs / name, "slates", ("place", "slate"))) for name in ("a", "more")]
    users = [dict(rows_of(runs / name, "triggers", ("place", "user"))) for name in ("a", "more")]
    for one in found:
        assert 0 < one.change <= 1
        for side, place in enumerate(one.places):
            if place is not None:
                assert users[side][place] == one.user
        if None not in one.places:
            assert slates[0][one.places[0]] != slates[1][one.places[1]]
    assert len(compare(runs / "a", runs / "more", shoppers=2).shoppers) == 2


def test_triggers_over_time_and_places_by_category_add_up(runs: Path) -> None:
    found = compare(runs / "a", runs / "more")
    assert sum(found.over_time.first) == found.sides[0].triggers
    assert sum(found.over_time.second) == found.sides[1].triggers
    assert len(found.over_time.first) == len(found.over_time.second) <= 61
    places = sum(len(compare_slate) for compare_slate in _slates(runs / "a"))
    assert {one.category for one in found.categories} == {"Food", "Home"}
    assert sum(one.first for one in found.categories) == places
    assert sum(found.agreement.spread) == found.agreement.slates


def test_runs_that_stop_at_the_triggers_are_compared_by_their_triggers(runs: Path, tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "c", shop.history(500))
    run(capture, tmp_path / "three", None, VIEWS % 3)
    run(capture, tmp_path / "two", None, VIEWS % 2)
    found = compare(tmp_path / "three", tmp_path / "two")
    assert found.rules[0].gained > 0
    assert found.agreement.slates == 0
    assert found.agreement.rbo is None
    assert found.agreement.overlap == {10: None, 20: None, 50: None}
    assert (found.shoppers, found.categories) == ([], [])


def _slates(folder: Path) -> list[list[str]]:
    import json

    return [
        [one["item"] for one in json.loads(slate)["candidates"]]
        for (slate,) in rows_of(folder, "slates", ("slate",))
    ]


def test_runs_of_different_captures_are_not_compared(runs: Path) -> None:
    with pytest.raises(RunError, match="different captures"):
        compare(runs / "a", runs / "elsewhere")
