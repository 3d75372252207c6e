"""``nearline eval judge``: does the judge find faulty demands and keep good ones?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated

import typer

from console.verbs.evaluation.labelling import Shoppers  # noqa: TC001  # as above
from console.verbs.evaluation.options import AsJson, Catalog, Cutoff, Events, telling
from console.verbs.evaluation.purchases import moment_of, read_purchases

if TYPE_CHECKING:
    from agents.judge.measures import Measures

_FAULTS_SHOWN = 3


def judge(
    events: Events,
    cutoff: Cutoff,
    catalog: Catalog = None,
    n: Annotated[int, typer.Option(min=10, help="Demands; half good, a tenth of each fault.")] = 600,
    seed: Annotated[int, typer.Option(help="Decides everything left to chance.")] = 0,
    shoppers: Annotated[
        Shoppers, typer.Option(help="The half of them that `judge fit` leaves out, the one it uses, or all.")
    ] = "unseen",
    acts: Annotated[int, typer.Option(min=1, max=200, help="Latest purchases that the judge sees.")] = 200,
    plain: Annotated[
        bool, typer.Option(help="Ask for no support of good demands, and take any of another shopper's.")
    ] = False,
    generate: Annotated[
        int,
        typer.Option(
            min=0,
            help="In place of made demands, judge those that the configured model writes for so many shoppers; "
            "what is wrong with them is told by rules from the whole log.",
        ),
    ] = 0,
    calibration: Annotated[
        Path | None, typer.Option(help="What `judge fit` wrote; the packaged one if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Precision, recall and calibration of the judge on demands with known faults."""
    from agents.judge import Calibration, Judge  # noqa: PLC0415
    from agents.judge.measures import measure_verdicts  # noqa: PLC0415
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from console.verbs.evaluation.labelling import generated_set, labelled_set  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415

    learnt = Calibration.load(calibration)
    settings = load_settings()
    moment = moment_of(cutoff)
    with telling(quiet=as_json) as tell:
        tell("reading")
        bought = read_purchases(events, catalog)
        encoder = open_encoder(settings.index.encoder)
        tell("encoding titles")
        vectors = encoder.encode([title or "-" for title in bought.titles])
        if generate:
            tell(f"the model writes for {generate:,} shoppers")
            made = generated_set(
                bought, vectors, encoder, moment, settings.agents,
                n=generate, seed=seed, shoppers=shoppers, acts=acts,
            )  # fmt: skip
        else:
            tell("making labelled demands")
            made = labelled_set(
                bought, vectors, encoder, moment,
                n=n, seed=seed, shoppers=shoppers, prompt=settings.agents.prompt, acts=acts, plain=plain,
            )  # fmt: skip
        tell("judging")
        verdicts = [one for (one,) in Judge(made.shelf, learnt).judge(made.cases())]
    found = measure_verdicts(
        [one.score for one in verdicts],
        [one.kept for one in verdicts],
        [one.fault for one in made.demands],
        [one.person for one in made.demands],
        seed=seed,
    )
    wrong = {
        name: [
            {"query": demand.query, "score": round(one.score, 3), "source": demand.source}
            for demand, one in zip(made.demands, verdicts, strict=True)
            if demand.fault == name and one.kept == bool(name)
        ][:_FAULTS_SHOWN]
        for name in found.rejected
    }
    if as_json:
        print_json(
            {
                "events": str(events),
                "cutoff": cutoff,
                "shoppers": len(made.people),
                "acts": acts,
                "plain": plain,
                "generated_by": settings.agents.runtime.value if generate else None,
                "threshold": learnt.threshold,
                "making": dict(learnt.making),
                **asdict(found),
                "judged_wrongly": wrong,
            }
        )
        return
    _show(found, f"{events.name}, cutoff {cutoff}: {found.count} demands of {len(made.people):,} shoppers")
    for name, examples in wrong.items():
        for one in examples:
            console.print(f"{name or 'good'}, judged wrongly: {one['query']} ({one['score']})", markup=False)


def _show(found: Measures, title: str) -> None:
    from rich.table import Table  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415

    table = Table(title=title, title_justify="left")
    for name in ("", "share", "95 %"):
        table.add_column(name, justify="left" if not name else "right")
    for name, (value, low, high) in {
        "faulty among the rejected (precision)": found.precision,
        "rejected among the faulty (recall)": found.recall,
        "good among the kept": found.kept_precision,
        "kept among the good": found.kept_recall,
    }.items():
        table.add_row(name, f"{value:.3f}", f"{low:.3f} to {high:.3f}")
    for fault, share in found.rejected.items():
        table.add_row(f"rejected: {fault or 'good'}", f"{share:.3f}", "")
    console.print(table)
    console.print(
        f"AUC {found.auc:.3f}, ECE {found.ece:.3f}, Brier {found.brier:.3f}; faulty demands served: "
        f"{found.cut:.1%} fewer than unjudged"
    )
    bins = Table(title="score and share that is good", title_justify="left")
    for name in ("score", "demands", "mean score", "good"):
        bins.add_column(name, justify="right")
    for row in found.reliability:
        bins.add_row(f"{row.low:.1f}-{row.high:.1f}", str(row.count), f"{row.score:.2f}", f"{row.good:.2f}")
    console.print(bins)
