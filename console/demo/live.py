"""The view while the demo runs: one table, redrawn in place; a line now and then without a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.table import Table

from console.demo.summary import STAGES, percentiles
from console.output import console

if TYPE_CHECKING:
    from types import TracebackType

    from console.demo.watch import Watch

__all__ = ["LiveView"]

_LINE_EVERY_S = 5.0
_RECENT = 200


class LiveView:
    """A context manager; call :meth:`show` as often as you like."""

    def __init__(self, watch: Watch, total: int) -> None:
        self._watch = watch
        self._total = total
        self._terminal = console.is_terminal
        self._live = Live(console=console, refresh_per_second=4, transient=True, auto_refresh=False)
        self._said = 0.0

    def __enter__(self) -> Self:
        """Begin drawing."""
        if self._terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        if self._terminal:
            self._live.stop()

    def show(self, sent: int, seconds: float, note: str = "") -> None:
        """Show the state after ``sent`` events in ``seconds``."""
        if self._terminal:
            self._live.update(self._table(sent, seconds, note), refresh=True)
        elif time.monotonic() - self._said > _LINE_EVERY_S:
            self._said = time.monotonic()
            watch = self._watch
            totals = percentiles(watch.timings.get("total", [])[-_RECENT:])
            console.print(
                f"{sent:,} of {self._total:,} events, {sent / max(seconds, 1e-9):,.0f}/s; {watch.fired} triggers; "
                f"{sum(watch.rungs.values())} slates; trigger to slate p50 {totals.get('p50', '-')} ms. {note}",
                markup=False,
            )

    def _table(self, sent: int, seconds: float, note: str) -> Table:
        watch = self._watch
        served = sum(watch.rungs.values())
        grid = Table(title=f"Nearline demo {note}", min_width=64)
        for heading in ("", "count", "per second"):
            grid.add_column(heading, justify="left" if not heading else "right")
        per_s = max(seconds, 1e-9)
        grid.add_row("events sent", f"{sent:,} of {self._total:,}", f"{sent / per_s:,.0f}")
        grid.add_row("triggers", f"{watch.fired:,}", f"{watch.fired / per_s:.1f}")
        for rule, count in sorted(watch.triggers.items()):
            grid.add_row(f"  {rule}", f"{count:,}", "")
        grid.add_row("slates in Redis", f"{served:,}", f"{served / per_s:.1f}")
        for rung, count in watch.rungs.most_common():
            grid.add_row(f"  rung {rung}", f"{count:,}", "")
        grid.add_row("waiting for a slate", f"{watch.outstanding:,}", "")
        grid.add_section()
        grid.add_row("milliseconds, last slates", "p50", "p95")
        for stage, words in STAGES.items():
            figures = percentiles(watch.timings.get(stage, [])[-_RECENT:])
            if figures:
                grid.add_row(f"  {words}", f"{figures['p50']:,.0f}", f"{figures['p95']:,.0f}")
        return grid
