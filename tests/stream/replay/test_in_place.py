"""A capture replayed in place gives the same triggers, demands and slates every time, in event time alone."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from index.built.catalog import Catalog
from stream.gate.gate import Bounds, Gate, Partition
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.in_force import Boundary
from stream.gate.rules.ruleset import parse_rules
from stream.replay.errors import CaptureError, RunError
from stream.replay.fired import Changed, Fired, Firings
from stream.replay.in_place import InPlace
from stream.replay.order import arrivals_of
from stream.replay.rules_kept import RulesKept
from stream.replay.run import RunWriter, Told, read_run, rows_of
from stream.settings import GateSettings
from stream.triggers import decode_trigger
from tests.stream.replay import shop
from tests.stream.replay.captures import START, event, write_capture

if TYPE_CHECKING:
    from pathlib import Path

    from stream.replay.capture import Capture
    from stream.replay.in_place import Thinking
    from stream.replay.run import Run

RULES = "version: 1\nrules:\n  - {id: views, when: {types: [view], count: %d, within: 12h}, cooldown: 10m}\n"
THREE = parse_rules(RULES % 3, "three")
TWO = parse_rules(RULES % 2, "two")


def firings(capture: Capture, **more: Any) -> Firings:
    given: dict[str, Any] = {"rules": THREE, "kept": RulesKept(), "otherwise": THREE, **more}
    return Firings(capture, given.pop("gate", GateSettings()), **given)


def replay(capture: Capture, folder: Path, thinking: Thinking | None, **more: Any) -> Run:
    chains = more.pop("chains", False)
    with RunWriter(folder) as writer:
        went = firings(capture, did=lambda acts: writer.add("acts", acts), **more)
        told = Told(name=folder.name, capture=str(capture.folder), capture_sha256=capture.sha256, rules="r")
        return asyncio.run(InPlace(went, thinking, writer, chains=chains).run(told))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop.build(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return write_capture(tmp_path / "c", shop.history(600))


def test_two_replays_are_the_same_byte_for_byte_whatever_the_day(
    capture: Capture, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replay(capture, tmp_path / "one", shop.thinking_of(catalog))
    later = time.time() + 400 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    second = replay(capture, tmp_path / "two", shop.thinking_of(catalog))
    assert first.hashes == second.hashes
    assert first.triggers > 20
    assert first.rungs["llm"] > 0
    for table in ("triggers", "demands", "slates", "acts"):
        name = f"{table}.parquet"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_triggers_are_those_of_the_live_gate_made_at_the_time_of_their_events(
    capture: Capture, tmp_path: Path
) -> None:
    found = [one.trigger for one in firings(capture).stream() if isinstance(one, Fired)]
    live = []
    for number, parts in capture.parts().items():
        partition, gate = Partition(number), Gate(CompiledRules(THREE), Bounds.of(GateSettings()))
        for batch in arrivals_of(capture, parts, GateSettings()):
            live += [decode_trigger(value) for _, value in gate.apply(partition, batch, 7).triggers]
    key = lambda trigger: trigger.id  # noqa: E731
    assert [msgspec.structs.replace(t, made_at=7) for t in sorted(found, key=key)] == sorted(live, key=key)
    assert all(trigger.made_at == trigger.ts for trigger in found)
    assert [t.sent_at for t in found] == sorted(t.sent_at for t in found)


def test_shoppers_put_on_the_shelf_for_want_of_memory_change_nothing(capture: Capture) -> None:
    roomy = list(firings(capture).stream())
    tight = list(firings(capture, gate=GateSettings(max_memory_mb=0.01)).stream())
    assert roomy == tight


def test_only_the_chosen_shoppers_are_replayed_and_as_they_are_among_all(
    capture: Capture, catalog: Path, tmp_path: Path
) -> None:
    everyone = replay(capture, tmp_path / "all", shop.thinking_of(catalog))
    few = replay(
        capture, tmp_path / "few", shop.thinking_of(catalog), users=frozenset({"u1", "u2", "nobody"})
    )
    columns = ("user", "trigger")
    wanted = [row for row in rows_of(tmp_path / "all", "triggers", columns) if row[0] in {"u1", "u2"}]
    assert list(rows_of(tmp_path / "few", "triggers", columns)) == wanted
    assert 0 < few.triggers < everyone.triggers
    assert few.told.notes == ["There is no event of nobody."]
    with pytest.raises(CaptureError, match="no event to replay"):
        replay(capture, tmp_path / "none", None, users=frozenset({"nobody"}))
    assert not (tmp_path / "none").exists()


def test_rules_switch_at_their_recorded_offsets(tmp_path: Path) -> None:
    events = [event(n * 700, "a") for n in range(12)]
    capture = write_capture(tmp_path / "c", events, partitions=1)
    kept = RulesKept(
        texts={THREE.digest: RULES % 3, TWO.digest: RULES % 2},
        boundaries={"0": [Boundary(0, 1, THREE.digest, {}, 0), Boundary(1, 2, TWO.digest, {"views": 6}, 0)]},
    )
    found = [
        (one.trigger.event_id, one.trigger.rules)
        for one in firings(capture, rules=None, kept=kept).stream()
        if isinstance(one, Fired)
    ]
    assert {rules for event_id, rules in found if int(event_id[1:]) < 6 * 700} == {f"1:{THREE.digest}"}
    assert {rules for event_id, rules in found if int(event_id[1:]) >= 6 * 700} == {f"2:{TWO.digest}"}
    del kept.texts[TWO.digest]
    with pytest.raises(CaptureError, match="does not have their text"):
        list(firings(capture, rules=None, kept=kept).stream())


def test_changes_of_the_catalogue_take_effect_between_the_triggers_they_fell_between(
    catalog: Path, tmp_path: Path
) -> None:
    events = [event(n * 1_000, "a", item_id=str(n)) for n in range(20)]
    new = {"op": "upsert", "item_id": "new", "title": "fresh milk bread soap tea rice", "category": "Food"}
    changes = [
        (START + 8_500_000, new),
        (START + 13_500_000, {"op": "remove", "item_id": "new"}),
        (START + 14_000_000, {"op": "nonsense", "item_id": "x"}),
    ]
    capture = write_capture(tmp_path / "c", events, partitions=1, changes=changes)
    run = replay(capture, tmp_path / "run", shop.thinking_of(catalog), rules=TWO)
    shown = {}
    for (ts,), (slate,) in zip(
        rows_of(tmp_path / "run", "triggers", ("ts",)),
        rows_of(tmp_path / "run", "slates", ("slate",)),
        strict=True,
    ):
        shown[ts - START] = "new" in {one["item"] for one in json.loads(slate)["candidates"]}
    assert any(found for ts, found in shown.items() if 8_500_000 < ts < 13_500_000)
    assert not any(found for ts, found in shown.items() if not 8_500_000 < ts < 13_500_000)
    assert run.told.notes == ["1 records of the catalog topic are no change."]
    known = firings(capture, rules=TWO, known={"catalog:0": 1}).stream()
    assert len([one for one in known if isinstance(one, Changed)]) == 1


def test_a_slate_and_its_chain_are_made_at_the_time_of_the_event(
    capture: Capture, catalog: Path, tmp_path: Path
) -> None:
    replay(capture, tmp_path / "run", shop.thinking_of(catalog), chains=True)
    for (ts,), (slate, chain) in zip(
        rows_of(tmp_path / "run", "triggers", ("ts",)),
        rows_of(tmp_path / "run", "slates", ("slate", "chain")),
        strict=True,
    ):
        made, whole = json.loads(slate), json.loads(chain)
        assert made["made_at"] == whole["made_at"] == whole["fired"]["made_at"] == ts
        assert [one["item"] for one in made["candidates"]] == [one["item"] for one in whole["candidates"]]


def test_an_unfinished_run_leaves_nothing_and_a_finished_one_is_not_overwritten(
    capture: Capture, tmp_path: Path
) -> None:
    def stop(acts: object) -> None:
        raise KeyboardInterrupt

    told = Told(name="run", capture="c", capture_sha256="", rules="r")
    with RunWriter(tmp_path / "run") as writer:
        stopped = InPlace(firings(capture, did=stop), None, writer)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(stopped.run(told))
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    run = replay(capture, tmp_path / "run", None)
    assert read_run(tmp_path / "run") == run
    assert run.accounting.received == run.events == 600
    with pytest.raises(RunError, match="there already"):
        RunWriter(tmp_path / "run")
    with pytest.raises(RunError, match="holds no run"):
        read_run(tmp_path / "other")


def test_without_a_catalogue_and_a_model_the_triggers_alone_are_kept(
    capture: Capture, tmp_path: Path
) -> None:
    run = replay(capture, tmp_path / "run", None)
    assert run.triggers == len(list(rows_of(tmp_path / "run", "triggers", ("id",)))) > 0
    assert list(rows_of(tmp_path / "run", "slates", ("place",))) == []
    assert {kind for (kind,) in rows_of(tmp_path / "run", "acts", ("type",))} == {"click", "order"}


def test_a_catalogue_that_the_gate_knows_gives_items_their_category(capture: Capture, catalog: Path) -> None:
    known = Catalog.open(catalog).category_of_item()
    went = firings(capture, categories=known)
    assert sum(1 for one in went.stream() if isinstance(one, Fired))
    assert went.counts.balanced
    assert went.counts.fields_dropped == 0
