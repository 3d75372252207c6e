"""``nearline eval discovery``: what a guaranteed share of discovery costs, and what it brings."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated

import typer

from console.errors import ConsoleError
from console.verbs.evaluation.options import (
    AsJson,
    Catalog,
    Cutoff,
    Events,
    Seed,
    of_training,
    telling,
)
from console.verbs.evaluation.purchases import moment_of, read_purchases

if TYPE_CHECKING:
    from index.evaluate.discovery import AtShare

_SHARES = (0.0, 0.05, 0.1, 0.2)


def discovery(
    events: Events,
    cutoff: Cutoff,
    share: Annotated[
        list[float] | None,
        typer.Option(
            help="Share of all places kept for discovery; repeat for more. The first is compared with."
        ),
    ] = None,
    catalog: Catalog = None,
    seed: Seed = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Draw cost and exposure to this file (.png, .svg, .pdf).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Loss, breadth, coverage, exposure and novelty of slates of new items by the share kept for discovery."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.verbs.evaluation.discovery_plot import draw  # noqa: PLC0415
    from index.evaluate.discovery import at_shares  # noqa: PLC0415
    from index.evaluate.slate import split  # noqa: PLC0415
    from index.ranking.features import Knowledge  # noqa: PLC0415
    from index.ranking.learned import Fused, train  # noqa: PLC0415
    from index.ranking.lessons import gather  # noqa: PLC0415
    from stream.simulate.plot import check_plot  # noqa: PLC0415

    shares = share or list(_SHARES)
    for one in shares:
        if not 0.0 <= one <= 1.0:
            raise ConsoleError(f"The share {one} is not from 0 to 1.", way_out="Give one such as 0.1.")
    if plot is not None:
        check_plot(plot)  # before minutes of work, not after
    moment = moment_of(cutoff)
    bought = read_purchases(events, catalog, known_before=moment)
    cut = split(bought.log, moment)
    task = cut.task("novel")
    vectors = bought.vectors()
    with telling(quiet=as_json) as tell:
        samples = gather(cut.history, moment, ["novel"], vectors, progress=of_training(tell))
        fused = Fused(Knowledge(cut.history, moment, vectors), train(samples["novel"], "novel"))
        tell("making slates")
        names = [bought.log.users[user] for user in task.users]
        report = at_shares(fused, task, shares, names=names, category=bought.category, seed=seed)
    title = f"NOVEL, {events.name}, cutoff {cutoff}: {len(task.users):,} shoppers"
    if plot is not None:
        draw(report, title, plot)
    if as_json:
        print_json(
            {
                "events": str(events),
                "cutoff": cutoff,
                "shoppers": len(task.users),
                "shares": [asdict(one) for one in report],
                "rejected": dict(bought.rejects),
            }
        )
        return
    _show(report, title)
    for reason, count in bought.rejects.items():
        console.print(f"left out: {count:,} orders with {reason}", markup=False)


def _show(report: list[AtShare], title: str) -> None:
    from rich.table import Table  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415

    kept = Table(title=title, title_justify="left")
    for name in ("share", "met", "farthest", "NDCG@20", "loss of NDCG@20", "HR@50"):
        kept.add_column(name, justify="right")
    for one in report:
        kept.add_row(
            f"{one.share:.0%}",
            f"{one.met:.2%}",
            f"{100 * one.farthest:.2f} pp",
            f"{one.ndcg_20.mean:.4f}",
            f"{one.loss.mean:+.1%} [{one.loss.low:+.1%}, {one.loss.high:+.1%}]",
            f"{one.hr_50.mean:.4f}",
        )
    console.print(kept)
    shown = Table(title="what is shown, of all places", title_justify="left")
    for name in ("share", *report[0].exposure, "coverage", "categories", "novelty"):
        shown.add_column(name, justify="right")
    for one in report:
        shown.add_row(
            f"{one.share:.0%}",
            *(f"{value:.1%}" for value in one.exposure.values()),
            f"{one.coverage_50:.3f}",
            "" if math.isnan(one.categories) else f"{one.categories:.1f}",
            f"{one.novelty:.2f}",
        )
    console.print(shown)
    for one in report:
        if one.short:
            console.print(
                f"{one.share:.0%}: {one.short:,} slates came up short, with too few candidates of these kinds."
            )
