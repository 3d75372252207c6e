"""``nearline replay diff``: what changed between two runs of one capture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from console.errors import ConsoleError

__all__ = ["RUNS", "diff"]

RUNS = Path(".nearline/runs")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def diff(
    one: Annotated[str, typer.Argument(help="A run: its name, or its folder.")],
    other: Annotated[str, typer.Argument(help="The run to hold against it.")],
    horizon: Annotated[
        str, typer.Option(help="How long after a trigger clicks and orders count, such as 24h.")
    ] = "24h",
    shoppers: Annotated[
        int, typer.Option(min=0, max=200, help="How many of the most changed shoppers to tell of.")
    ] = 12,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with plots and the most changed shoppers to this file.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Tell what changed between two runs: triggers, demands, slates, and what shoppers really did next."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.verbs.replay_print import print_difference  # noqa: PLC0415
    from stream.replay.comparing.diff import compare  # noqa: PLC0415
    from stream.replay.report.page import check_place, write_report  # noqa: PLC0415

    folders = _folder(one, runs), _folder(other, runs)
    horizon_s = _seconds(horizon)
    if html is not None:
        check_place(html)  # before the work, not after
    found = compare(*folders, horizon_s=horizon_s, shoppers=shoppers)
    if html is not None:
        write_report(found, *folders, html)
    if as_json:
        print_json(found)
        return
    print_difference(found)
    if html is not None:
        console.print(f"Page: {html}", markup=False)


def _folder(run: str, runs: Path) -> Path:
    """The folder of a run by name or path."""
    return named if (named := runs / run).is_dir() else Path(run)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        raise ConsoleError(f"--horizon {text!r} is no duration.", way_out="Give one such as 30m, 24h or 7d.")
    return float(match[1]) * _UNITS_S[match[2]]
