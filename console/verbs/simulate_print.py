"""The report of a simulation, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from console.output import console

if TYPE_CHECKING:
    from pathlib import Path

    from stream.simulate import Change, Cost, Report

__all__ = ["print_report"]

_COST_LINES = (
    "triggers",
    "superseded by a newer one of the shopper",
    "without text to think about (by the sample)",
    "calls of the model",
    "prompt tokens",
    "  of one call: shared + own",
    "output tokens",
    "seconds of the model",
)


def print_report(report: Report, plot: Path | None) -> None:
    """Print the report as tables."""
    counts = report.accounting
    console.print(Text(f"Rules {report.rules} over {report.source}", "bold"))
    span = f", event times {_when(report.first)} to {_when(report.last)}" if report.first is not None else ""
    console.print(
        Text(
            f"{counts.received:,} events of {report.users:,} shoppers{span}: applied {counts.applied:,}, duplicate "
            f"{counts.duplicate:,}, late {counts.late:,}, dead {counts.dead:,}; warm-up {report.warm_up:,} events. "
            f"{report.seconds:.1f} s, {report.events_per_second:,.0f} events/s."
        )
    )
    _rules(report)
    if report.overlaps:
        table = _table("Overlap", "rules", "shoppers of both", "events that fire both")
        for overlap in report.overlaps:
            _row(table, " + ".join(overlap.rules), f"{overlap.users:,}", f"{overlap.triggers:,}")
        console.print(table)
    if report.changes:
        _changes(report)
    _cost(report)
    for note in report.notes:
        console.print(Text(f"note: {note}"))
    if plot is not None:
        console.print(Text(f"Plot: {plot}"))


def _rules(report: Report) -> None:
    table = _table("Firings", "rule", "firings", "/hour", "peak", "peak hour", "shoppers", "share", "only it")
    for rule in report.per_rule:
        _row(
            table,
            rule.rule,
            f"{rule.firings:,}",
            f"{rule.per_hour:,.2f}",
            f"{rule.peak:,}",
            _when(rule.peak_hour) if rule.peak_hour is not None else "",
            f"{rule.users:,}",
            f"{rule.users / report.users:.1%}" if report.users else "",
            f"{rule.only_here:,}",
        )
    share = f"{report.reached / report.users:.1%}" if report.users else ""
    total = f"{sum(rule.firings for rule in report.per_rule):,}"
    _row(table, "all", total, "", "", "", f"{report.reached:,}", share, "")
    console.print(table)


def _changes(report: Report) -> None:
    table = _table(
        f"Against {report.against}", "rule", "before", "after", "gained", "lost", "shoppers", "gained", "lost"
    )
    for change in report.changes:
        _row(table, *_change(change))
    console.print(table)


def _change(change: Change) -> tuple[str, ...]:
    return (
        "events that fire any" if change.rule == "*" else change.rule,
        f"{change.before:,}",
        f"{change.after:,}",
        f"+{change.gained:,}",
        f"-{change.lost:,}",
        f"{change.users_before:,} to {change.users_after:,}",
        f"+{change.users_gained:,}",
        f"-{change.users_lost:,}",
    )


def _cost(report: Report) -> None:
    costs = [cost for cost in (report.cost_against, report.cost) if cost is not None]
    heads = ["before", "after"] if len(costs) > 1 else ["these rules"]
    table = _table("Cost", "", *heads)
    rows = [_cost_cells(cost) for cost in costs]
    for line, name in enumerate(_COST_LINES):
        _row(table, name, *(cells[line] for cells in rows))
    console.print(table)
    _basis(report.cost)


def _cost_cells(cost: Cost) -> tuple[str, ...]:
    """The cells of one rule set, in the order of ``_COST_LINES``."""
    return (
        f"{cost.triggers:,}",
        f"{cost.superseded:,}",
        f"{cost.unreadable:,}",
        f"{cost.calls:,}",
        f"{cost.prompt_tokens:,}",
        f"{cost.static_tokens:,.0f} + {cost.own_tokens:,.0f}",
        f"{cost.output_tokens:,}",
        f"{cost.model_seconds:,.0f}",
    )


def _basis(cost: Cost) -> None:
    rates = cost.rates
    console.print(
        Text(
            f"Calls: of a shopper's triggers within {rates.together_s:g} s of event time one is thought about, if their "
            f"profile has any text. Tokens: prompts rendered from {cost.sample} of the triggers, at "
            f"{rates.chars_per_token:g} characters a token (shared part {rates.static_chars_per_token:g}). Rates: "
            f"{rates.seconds_per_call:g} s and {rates.output_tokens:g} output tokens a call ({rates.source})."
        )
    )


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=place == 0)
    return table


def _row(table: Table, *cells: str) -> None:
    """Add a row of plain text: nothing is read as markup."""
    table.add_row(*(Text(cell) for cell in cells))


def _when(ts: int | None) -> str:
    """``ts`` in milliseconds, as UTC."""
    return datetime.fromtimestamp(ts / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M") if ts is not None else ""
