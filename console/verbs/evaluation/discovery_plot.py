"""Discovery as a picture: what a share costs, and what shoppers are shown for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.errors import ConsoleError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from index.evaluate.discovery import AtShare

__all__ = ["draw"]

_DPI = 120


def draw(report: Sequence[AtShare], title: str, path: Path) -> None:
    """Draw to ``path``: NDCG@20 by the share that was met, with its interval; and exposure by kind.

    Raises:
        ConsoleError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # no window, and no state shared with other figures
    figure.suptitle(title)
    cost, exposure = figure.subplots(1, 2)
    met = [100 * one.met for one in report]
    best = [one.ndcg_20 for one in report]
    cost.errorbar(
        met,
        [one.mean for one in best],
        yerr=([one.mean - one.low for one in best], [one.high - one.mean for one in best]),
        marker="o",
        capsize=3,
    )
    cost.set(xlabel="places kept for discovery, %", ylabel="NDCG@20", ylim=(0, None))
    kinds = list(report[0].exposure)
    width = 0.8 / len(report)
    for number, one in enumerate(report):
        places = [place + number * width for place in range(len(kinds))]
        exposure.bar(places, [100 * one.exposure[kind] for kind in kinds], width, label=f"{one.share:.0%}")
    exposure.set_xticks([place + 0.4 - width / 2 for place in range(len(kinds))], kinds)
    exposure.set(ylabel="of all places, %")
    exposure.legend(title="share")
    try:
        figure.savefig(path, dpi=_DPI)
    except OSError as error:
        raise ConsoleError(f"{path} cannot be written ({error}).", way_out="Choose another place.") from error
