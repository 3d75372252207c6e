"""``nearline eval demand``: demands in words against what shoppers bought next."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import Annotated

import typer

from console.verbs.evaluation.demand_forms import Agent, HistoryForm
from console.verbs.evaluation.options import AsJson, Catalog, Cutoff, Events, Seed, Student, telling

__all__ = ["demand"]


def demand(
    events: Events,
    cutoff: Cutoff,
    student: Student = None,
    catalog: Catalog = None,
    queries: Annotated[int, typer.Option(min=1, max=40, help="Most demands of a shopper.")] = 40,
    shoppers: Annotated[
        int | None,
        typer.Option(min=2, help="Only so many test shoppers, drawn by the seed; all if not given."),
    ] = None,
    thin: Annotated[bool, typer.Option(help="Also histories cut to the last 1, 3 and 5 products.")] = True,
    history: Annotated[
        list[HistoryForm] | None,
        typer.Option(
            help="How the past is told: newest titles (as served), raw year, or compressed. Repeat to compare; the first is measured in all ways."
        ),
    ] = None,
    agent: Annotated[
        list[Agent] | None,
        typer.Option(
            "--with",
            help="An agent that takes part for a prompted model: compression, portrait, preference, trends (of what began to sell), judge. Repeat for more.",
        ),
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(help="A student of an earlier cutoff, to learn from how to fuse. Repeat for more."),
    ] = None,
    form: Annotated[
        int, typer.Option(min=0, help="Answers that a student writes unconstrained, to count the valid ones.")
    ] = 0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """HR, recall and NDCG of demands answered by the hybrid channel, beside behaviour, content and a swap."""
    from console.output import print_json  # noqa: PLC0415
    from console.verbs.evaluation.demand_report import show  # noqa: PLC0415
    from console.verbs.evaluation.demand_study import Study  # noqa: PLC0415

    with telling(quiet=as_json) as tell:
        study = Study.open(
            events,
            catalog,
            cutoff,
            student,
            queries=queries,
            shoppers=shoppers,
            forms=history or [HistoryForm.NEWEST],
            agents=agent or [],
            seed=seed,
            tell=tell,
        )
        report = study.report(thin=thin, form=form, earlier=earlier or [])
    if as_json:
        print_json(report)
        return
    show(report, f"{events.name}, cutoff {cutoff}")
