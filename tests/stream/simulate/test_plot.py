"""A report becomes a picture, or an error that says why not."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from stream.errors import StreamError
from stream.gate.state.accounting import Accounting
from stream.simulate.cost import CostMeter, NoTitles, Rates
from stream.simulate.plot import check_plot, draw
from stream.simulate.report import Change, Report, RuleReport

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3_600_000


def report(hours: dict[int, int], changes: list[Change] | None = None, name: str = "a $rule$ {") -> Report:
    from agents.settings import AgentSettings

    rule = RuleReport(
        rule=name,
        firings=sum(hours.values()),
        users=1,
        only_here=1,
        per_hour=1.0,
        peak=max(hours.values(), default=0),
        peak_hour=None,
        hours=hours,
    )
    return Report(
        source="$_{here",
        rules="abc",
        against="def" if changes else None,
        first=min(hours, default=None),
        last=max(hours, default=None),
        accounting=Accounting(),
        warm_up=0,
        users=1,
        reached=1,
        per_rule=[rule],
        overlaps=[],
        changes=changes or [],
        cost=CostMeter(Rates(), AgentSettings(), NoTitles()).cost(),
        cost_against=None,
        seconds=1,
        events_per_second=1,
        notes=[],
    )


def change(rule: str) -> Change:
    return Change(
        rule=rule,
        before=1,
        after=2,
        gained=1,
        lost=0,
        users_before=1,
        users_after=1,
        users_gained=0,
        users_lost=0,
    )


@pytest.mark.parametrize(
    ("hours", "changes"),
    [({}, None), ({0: 3}, None), ({n * HOUR: n % 5 for n in range(9000)}, [change("*"), change("a")])],
)
def test_a_picture_is_drawn_of_no_hour_one_hour_and_a_year(
    tmp_path: Path, hours: dict[int, int], changes: Any
) -> None:
    path = tmp_path / "plot.png"
    draw(report(hours, changes), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 10_000


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.simulate.plot.find_spec", lambda name: None)
    with pytest.raises(StreamError, match=r"nearline\[plot\]"):
        check_plot(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.doc", "nowhere/a.png"])
def test_a_file_that_cannot_be_a_picture_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    assert importlib.util.find_spec("matplotlib")
    with pytest.raises(StreamError, match=name):
        check_plot(tmp_path / name)
