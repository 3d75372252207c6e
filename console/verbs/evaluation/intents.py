"""``nearline eval intents``: how soon a slate answers a new intent, of simulated shoppers."""

from __future__ import annotations

from typing import Annotated

import typer

from console.verbs.evaluation.options import AsJson, Catalog, Cutoff, Events, Student, telling

__all__ = ["intents"]


def intents(
    events: Events,
    cutoff: Cutoff,
    student: Student = None,
    catalog: Catalog = None,
    shoppers: Annotated[int, typer.Option(min=2, help="How many are simulated.")] = 1_000,
    days: Annotated[float, typer.Option(min=1, help="For how long, from the cutoff on.")] = 28.0,
    signs: Annotated[int, typer.Option(min=1, max=12, help="Events of the new intent that are known.")] = 2,
    items: Annotated[
        int, typer.Option(min=10, max=30_000, help="Most items, those sold most before the cutoff.")
    ] = 8_000,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="How the shoppers behave, e.g. search_share=0.1 (repeatable)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the shoppers, and of the resampling for intervals.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Share of simulated shoppers whose slate answers a new intent after its first events, beside behaviour's."""
    from console.output import print_json  # noqa: PLC0415
    from console.verbs.evaluation.intents_report import show  # noqa: PLC0415
    from console.verbs.evaluation.intents_study import IntentStudy, Simulated  # noqa: PLC0415
    from console.verbs.shoppers import rule_of  # noqa: PLC0415

    simulated = Simulated(shoppers, days, signs, seed, rule_of(setting or []))
    with telling(quiet=as_json) as tell:
        study = IntentStudy.open(
            events, catalog, cutoff, student, items=items, simulated=simulated, tell=tell
        )
        report = study.report()
    if as_json:
        print_json(report)
        return
    show(report, f"{events.name}, cutoff {cutoff}")
