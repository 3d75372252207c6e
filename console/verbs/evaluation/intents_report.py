"""The figures of ``nearline eval intents`` as tables."""

from __future__ import annotations

from typing import Any, Final

from rich.table import Table

from console.output import console

__all__ = ["show"]

_METRICS: Final = ("answered@20", "answered@50", "choice@20", "choice@50", "share@20", "share@50")


def show(report: dict[str, Any], title: str) -> None:
    """Print the report."""
    writer = report["writer"]
    console.print(
        f"{title}: {report['shoppers']:,} of {report['simulated']:,} simulated shoppers began something new, "
        f"known by {report['signs']} events; {report['offered']:,} items, of which {report['answering']:.0f} "
        f"(median) answer an intent. {writer['model']} ({writer['runtime']}) wrote {writer['demands']:.1f} demands "
        f"in {writer['cpu_seconds'] * 1e3:.0f} CPU ms a shopper.",
        markup=False,
        highlight=False,
    )
    _table("all intents", report["channels"], report["shoppers"])
    mine = next(iter(report["channels"]))
    less = Table(title=f"{mine} less each of the others", title_justify="left")
    less.add_column("")
    for metric in _METRICS:
        less.add_column(metric, justify="right")
    for name, values in report["less"].items():
        row = [values[one] for one in _METRICS]
        less.add_row(name, *(f"{one.mean:+.3f} [{one.low:+.3f}, {one.high:+.3f}]" for one in row))
    console.print(less)
    for kind, part in report["kinds"].items():
        _table(kind, part["channels"], part["shoppers"])


def _table(title: str, channels: dict[str, Any], shoppers: int) -> None:
    table = Table(title=f"{title}: {shoppers:,} shoppers", title_justify="left")
    table.add_column("")
    for metric in _METRICS:
        table.add_column(metric, justify="right")
    for name, values in channels.items():
        row = [values[one] for one in _METRICS]
        table.add_row(name, *(f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in row))
    console.print(table)
