"""A simulation counts firings, shoppers, overlap and change, whatever the batches."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.settings import AgentSettings
from stream.datasets import open_dataset
from stream.datasets.errors import DatasetError
from stream.gate.rules.ruleset import RuleSet, parse_rules
from stream.settings import EventTopic, GateSettings, KafkaSettings
from stream.simulate import CostMeter, FileHistory, Firing, HistoryBatch, Rates, Report, Simulation, simulate
from stream.simulate.cost import NoTitles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

HOUR = 3_600_000
START = 1_746_000_000_000 // HOUR * HOUR

THREE_VIEWS = "{id: three-views, when: {types: [view], count: 3, within: 1h}}"
TWO_VIEWS = "{id: two-views, when: {types: [view], count: 2, within: 1h}}"
ANY_ORDER = "{id: an-order, when: {types: [order], count: 1, within: 1h}, cooldown: 1m}"


def rules(*each: str) -> RuleSet:
    return parse_rules(f"version: 1\nrules: [{', '.join(each)}]", "test")


def view(user: str, minute: float, number: int | str) -> dict[str, Any]:
    ts = START + int(minute * 60_000)
    return {"event_id": f"{user}-{number}", "user_id": user, "type": "view", "ts": ts, "item_id": "i1"}


def meter(**rates: float) -> CostMeter:
    return CostMeter(Rates(**rates), AgentSettings(), NoTitles())  # type: ignore[arg-type]


def write(path: Path, events: Sequence[Any]) -> Path:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wb") as out:
        for event in events:
            out.write((event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n")
    return path


def run(
    path: Path,
    new: RuleSet,
    old: RuleSet | None = None,
    kafka: KafkaSettings | None = None,
    told: list[Firing] | None = None,
) -> Report:
    simulation = Simulation(
        (new, meter()),
        GateSettings(),
        against=(old, meter()) if old else None,
        told=told.append if told is not None else None,
    )
    history = FileHistory(open_dataset(str(path)), kafka or KafkaSettings(), GateSettings())
    return asyncio.run(simulate(simulation, history))


@pytest.fixture
def shopping(tmp_path: Path) -> Path:
    """u1 views six times in the first hour and twice in the third, u2 twice, u3 once."""
    events = [view("u1", n, n) for n in range(6)] + [view("u2", 10 + n, n) for n in range(2)]
    events += [view("u3", 30, 0), view("u1", 125, "a"), view("u1", 126, "b"), view("u1", 127, "c")]
    return write(tmp_path / "events.jsonl", events)


def test_firings_are_counted_by_rule_hour_and_shopper(shopping: Path) -> None:
    report = run(shopping, rules(THREE_VIEWS, TWO_VIEWS))
    three, two = report.per_rule
    assert (three.rule, three.firings, three.users, three.only_here) == ("three-views", 3, 1, 0)
    assert three.hours == {START: 2, START + 2 * HOUR: 1}
    assert (three.peak, three.peak_hour) == (2, START)
    assert (two.rule, two.firings, two.users, two.only_here) == ("two-views", 5, 2, 1)
    assert (report.users, report.reached) == (3, 2)
    assert report.per_rule[0].per_hour == pytest.approx(3 / (127 / 60), abs=0.001)


def test_rules_overlap_in_shoppers_and_in_events_that_fire_both(shopping: Path) -> None:
    (overlap,) = run(shopping, rules(THREE_VIEWS, TWO_VIEWS)).overlaps
    assert overlap.rules == ("three-views", "two-views")
    assert (overlap.users, overlap.triggers) == (1, 1)  # the sixth view completes a pair and a triple


def test_against_other_rules_gained_and_lost_firings_are_told_by_rule_shopper_and_event(
    shopping: Path,
) -> None:
    changed = THREE_VIEWS.replace("count: 3", "count: 2")
    whole, rule = run(shopping, rules(changed), rules(THREE_VIEWS)).changes
    assert (rule.rule, rule.before, rule.after) == ("three-views", 3, 5)
    # Before it fired on u1's views 2, 5 and c; now on 1, 3, 5, b and on u2's view 1.
    assert (rule.gained, rule.lost) == (4, 2)
    assert (rule.users_before, rule.users_after, rule.users_gained, rule.users_lost) == (1, 2, 1, 0)
    assert (whole.rule, whole.before, whole.after, whole.gained, whole.lost) == ("*", 3, 5, 4, 2)


def test_a_rule_that_is_gone_has_lost_all_its_firings(shopping: Path) -> None:
    changes = {c.rule: c for c in run(shopping, rules(ANY_ORDER), rules(THREE_VIEWS)).changes}
    assert (changes["three-views"].before, changes["three-views"].after, changes["three-views"].lost) == (
        3,
        0,
        3,
    )
    assert changes["an-order"].after == 0


def test_against_the_same_rules_nothing_changes(shopping: Path) -> None:
    same = rules(THREE_VIEWS, TWO_VIEWS)
    for change in run(shopping, same, same).changes:
        assert (change.gained, change.lost, change.users_gained, change.users_lost) == (0, 0, 0, 0)
        assert change.before == change.after > 0


def test_what_is_wrong_with_events_is_accounted_for(tmp_path: Path) -> None:
    good = view("u1", 1, 1)
    path = write(
        tmp_path / "e.jsonl",
        [
            good,
            good,
            b"{broken",
            b"[]",
            b"",
            {**good, "event_id": "x", "ts": "soon"},
            view("u1", -2000, "old"),
        ],
    )
    counts = run(path, rules(THREE_VIEWS)).accounting
    assert (counts.received, counts.applied, counts.duplicate, counts.late, counts.dead) == (6, 1, 1, 1, 3)
    assert counts.balanced


def test_a_file_without_events_gives_an_empty_report(tmp_path: Path) -> None:
    report = run(write(tmp_path / "e.jsonl", []), rules(THREE_VIEWS), rules(TWO_VIEWS))
    assert (report.first, report.last, report.users, report.cost.calls) == (None, None, 0, 0)
    assert report.per_rule[0].peak_hour is None


def test_lines_read_undecoded_give_what_the_dataset_gives(tmp_path: Path, shopping: Path) -> None:
    told: list[list[Firing]] = [[], [], []]
    lines = shopping.read_bytes().splitlines()
    lines += [b'  {"user_id": "u9", "event_id": "no type", "ts": %d, "item_id": "1"}  ' % START, b"\xff"]
    lines += [b'{"event_id": "long", "x": "%s"}' % (b"y" * 70_000)]
    path = write(tmp_path / "a.jsonl", lines)
    zipped = write(tmp_path / "a.jsonl.gz", lines)
    # A mapping of fields that changes nothing sends every line the long way, as dictionaries.
    topics = [
        EventTopic(topic=t.topic, type=t.type, fields={"user_id": "user_id"})
        for t in KafkaSettings().event_topics
    ]
    reports = [
        run(path, rules(TWO_VIEWS), told=told[0]),
        run(zipped, rules(TWO_VIEWS), told=told[1]),
        run(path, rules(TWO_VIEWS), kafka=KafkaSettings(event_topics=topics), told=told[2]),
    ]
    for report, firings in zip(reports, told, strict=True):
        assert report.accounting == reports[0].accounting
        assert [f.id for f in firings] == [f.id for f in told[0]]
    assert reports[0].accounting.dead == 2
    assert len(told[0]) == 5


def test_a_damaged_archive_is_named(tmp_path: Path, shopping: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(shopping.read_bytes())[:-20])
    with pytest.raises(DatasetError, match=r"cut\.jsonl\.gz.*cannot be read to its end"):
        run(path, rules(TWO_VIEWS))


class _Cut:
    """A history in batches of given sizes."""

    name = "cut"
    notes: list[str] = []  # noqa: RUF012  # the protocol's

    def __init__(self, arrivals: Sequence[Any], sizes: Sequence[int]) -> None:
        self._arrivals, self._sizes = arrivals, sizes

    async def batches(self) -> AsyncIterator[HistoryBatch]:
        at = 0
        for size in self._sizes:
            yield HistoryBatch(0, self._arrivals[at : at + size])
            at += size
        yield HistoryBatch(0, self._arrivals[at:], last=True)


async def _all(history: FileHistory) -> list[Any]:
    return [arrival async for batch in history.batches() for arrival in batch.arrivals]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=6))
def test_how_events_are_cut_into_batches_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    events = [view(f"u{n % 3}", n, n) for n in range(14)]
    path = write(tmp_path_factory.mktemp("cut") / "e.jsonl", events)
    whole = FileHistory(open_dataset(str(path)), KafkaSettings(), GateSettings())
    arrivals = asyncio.run(_all(whole))
    reports = []
    for history in (_Cut(arrivals, []), _Cut(arrivals, sizes)):
        simulation = Simulation(
            (rules(THREE_VIEWS, TWO_VIEWS), meter()), GateSettings(), against=(rules(TWO_VIEWS), meter())
        )
        report = asyncio.run(simulate(simulation, history))
        report.seconds = report.events_per_second = 0
        reports.append(msgspec.json.encode(report))
    assert reports[0] == reports[1]
