"""A report as a picture: firings over time by rule, and how rules share shoppers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from stream.errors import StreamError
from stream.simulate.tally import HOUR_MS

if TYPE_CHECKING:
    from pathlib import Path

    from stream.simulate.report import Report

__all__ = ["check_plot", "draw"]

_MOST_POINTS = 400
_MOST_RULES = 10
_DPI = 120


def check_plot(path: Path) -> None:
    """Return if a plot can be drawn to ``path``.

    Raises:
        StreamError: matplotlib is missing, or the file's name or folder will not do.
    """
    if find_spec("matplotlib") is None:
        raise StreamError(
            "A plot needs matplotlib, which is not installed.", way_out="Install nearline[plot]."
        )
    if path.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise StreamError(f"{path}: not a kind of picture.", way_out="Name a .png, .svg or .pdf file.")
    if not path.absolute().parent.is_dir():
        raise StreamError(f"{path}: its folder does not exist.", way_out="Create it first.")


def draw(report: Report, path: Path) -> None:
    """Draw ``report`` to ``path``: firings per hour over event time, and firings before and after.

    More than 400 hours are drawn in steps of several hours, as the mean per hour of each. At most the
    ten rules that fired most have a line of their own.

    Raises:
        StreamError: see :func:`check_plot`; or the file cannot be written.
    """
    check_plot(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)  # no window, and no state shared with other figures
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    first, last = report.first or 0, report.last or 0
    hours = max(1, (last - first) // HOUR_MS + 1)
    step = -(-hours // _MOST_POINTS)
    start = first - first % HOUR_MS
    loudest = sorted(report.per_rule, key=lambda rule: -rule.firings)[:_MOST_RULES]
    for rule in loudest:
        bins: Counter[int] = Counter()
        for hour, count in rule.hours.items():
            bins[(hour - start) // (HOUR_MS * step)] += count
        places = range(-(-hours // step))
        times = [datetime.fromtimestamp((start + p * step * HOUR_MS) / 1000, tz=UTC) for p in places]
        above.plot(times, [bins[p] / step for p in places], label=_plain(rule.rule), linewidth=1)
    above.set_ylabel("firings per hour" + (f" (mean of {step} h)" if step > 1 else ""))
    above.set_title(_plain(f"Rules {report.rules} over {report.source}"), fontsize=10)
    above.legend(fontsize=8)
    _bars(report, below)
    try:
        figure.savefig(path, dpi=_DPI)
    except OSError as error:
        raise StreamError(f"{path}: cannot be written ({error}).", way_out="Choose another place.") from error


def _bars(report: Report, axes: object) -> None:
    """Firings by rule; before and after where there are two sets."""
    draw_to = axes.barh  # type: ignore[attr-defined]  # matplotlib has no types that mypy may follow
    if report.changes:
        changes = [change for change in report.changes if change.rule != "*"]
        names = [_plain(change.rule) for change in changes]
        places = range(len(names))
        draw_to(
            [p - 0.2 for p in places], [c.before for c in changes], 0.4, label=f"before ({report.against})"
        )
        draw_to([p + 0.2 for p in places], [c.after for c in changes], 0.4, label=f"after ({report.rules})")
        axes.set_yticks(list(places), names)  # type: ignore[attr-defined]  # see above
        axes.legend(fontsize=8)  # type: ignore[attr-defined]  # see above
    else:
        draw_to([_plain(rule.rule) for rule in report.per_rule], [rule.firings for rule in report.per_rule])
    axes.invert_yaxis()  # type: ignore[attr-defined]  # see above
    axes.set_xlabel("firings")  # type: ignore[attr-defined]  # see above


def _plain(text: str) -> str:
    """``text`` without what matplotlib reads as mathematics."""
    return text.replace("$", r"\$")
