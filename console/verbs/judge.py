"""``nearline judge``: labelled demands, and what the judge learns from them."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from console.verbs.evaluation.options import Catalog, Cutoff, Events, telling
from console.verbs.evaluation.purchases import moment_of, read_purchases

if TYPE_CHECKING:
    from agents.judge.features import Measured

__all__ = ["app"]

app = typer.Typer(help="Label demands and teach the judge.", no_args_is_help=True, rich_markup_mode=None)

_MONTH_MS: Final = 31 * 86_400_000
# Inputs that the judge learns from: of shops that keep much, of a trigger as it is by default, of newcomers. A newcomer's
# demands say little of where to draw the line.
_ACTS: Final = (200, 24, 6)
_CALIBRATED: Final = (200, 24)
# Other demands than those that calibrate decide how strict to be.
_STRICTER: Final = 77


@app.callback()
def _group() -> None:
    """Label demands and teach the judge."""


@app.command()
def label(
    events: Events,
    cutoff: Cutoff,
    out: Annotated[Path, typer.Option(help="JSON Lines file to write.")],
    catalog: Catalog = None,
    n: Annotated[int, typer.Option(min=10, help="Demands; half good, a tenth of each fault.")] = 600,
    seed: Annotated[int, typer.Option(help="Decides everything left to chance.")] = 0,
    acts: Annotated[
        int, typer.Option(min=1, max=200, help="Latest purchases that are a shopper's input.")
    ] = 200,
    plain: Annotated[bool, typer.Option(help="Ask for no support of good demands in the history.")] = False,
) -> None:
    """Write demands with known faults, made from purchases before and after the cutoff."""
    from console.output import console  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from console.verbs.evaluation.labelling import labelled_set  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415
    from stream.datasets import write_json_lines  # noqa: PLC0415

    settings = load_settings()
    with telling(quiet=False) as tell:
        tell("reading")
        moment = moment_of(cutoff)
        bought = read_purchases(events, catalog)
        encoder = open_encoder(settings.index.encoder)
        tell("encoding titles")
        vectors = encoder.encode([title or "-" for title in bought.titles])
        made = labelled_set(
            bought, vectors, encoder, moment,
            n=n, seed=seed, shoppers="all", prompt=settings.agents.prompt, acts=acts, plain=plain,
        )  # fmt: skip
    lines = [
        {
            "user_id": made.people[one.person].shopper.user_id,
            "query": one.query,
            "fault": one.fault,
            "source": one.source,
            "input": [act.text for act in made.people[one.person].shopper.recent],
        }
        for one in made.demands
    ]
    write_json_lines(out, lines)
    console.print(f"{len(lines):,} labelled demands in {out}", markup=False)


@app.command()
def fit(
    events: Events,
    cutoff: Annotated[
        str,
        typer.Option(
            help="Day whose following month calibrates and sets the threshold; the months before it are learnt from."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write; name it in agents.judge.calibration.")],
    catalog: Catalog = None,
    months: Annotated[int, typer.Option(min=1, help="How many months before the cutoff.")] = 3,
    n: Annotated[int, typer.Option(min=100, help="Demands of each month.")] = 600,
    seed: Annotated[int, typer.Option(help="Decides everything left to chance.")] = 0,
) -> None:
    """Teach the judge on half of the shoppers; `nearline eval judge` measures it on the other half."""
    import numpy as np  # noqa: PLC0415

    from agents.judge import Calibration  # noqa: PLC0415
    from agents.judge.features import Measured  # noqa: PLC0415
    from console.output import console  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from console.verbs.evaluation.labelling import labelled_set, measured  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415

    settings = load_settings()
    moment = moment_of(cutoff)
    groups: dict[bool, tuple[list[Measured], list[str]]] = {True: ([], []), False: ([], [])}
    with telling(quiet=False) as tell:
        tell("reading")
        bought = read_purchases(events, catalog)
        encoder = open_encoder(settings.index.encoder)
        tell("encoding titles")
        vectors = encoder.encode([title or "-" for title in bought.titles])
        for back in range(months, -1, -1):
            for acts in _ACTS if back else _CALIBRATED:
                tell(f"learning: month {months - back + 1} of {months + 1}, inputs of {acts}")
                made = labelled_set(
                    bought, vectors, encoder, moment - back * _MONTH_MS,
                    n=n, seed=seed + 2 * back + acts, shoppers="learnt", prompt=settings.agents.prompt, acts=acts,
                )  # fmt: skip
                parts, faults = groups[back == 0]
                parts.append(measured(made))
                faults += [one.fault for one in made.demands]

    def joined(parts: list[Measured]) -> Measured:
        answerable, grounded, new = (
            np.vstack([getattr(part, name) for part in parts]) for name in ("answerable", "grounded", "new")
        )
        return Measured(answerable, grounded, new, ())

    making: dict[str, Any] = {
        "events": events.name,
        "encoder": encoder.name,
        "shoppers": "the half whose id's CRC-32 is even",
        "cutoff": cutoff,
        "months_before": months,
        "inputs": list(_ACTS),
        "demands_each": n,
        "seed": seed,
        "command": "nearline judge fit",
    }
    (fitted, labels), (chosen, chosen_labels) = groups[False], groups[True]
    calibration = Calibration.fit(joined(fitted), labels, joined(chosen), chosen_labels, making)
    with telling(quiet=False) as tell:
        sets = []
        for acts in _ACTS:
            tell(f"how strict to be with inputs of {acts}")
            made = labelled_set(
                bought, vectors, encoder, moment,
                n=n, seed=seed + _STRICTER + acts, shoppers="learnt", prompt=settings.agents.prompt, acts=acts,
            )  # fmt: skip
            sets.append((acts, measured(made), [one.fault for one in made.demands]))
    calibration = calibration.stricter(sets)
    calibration.save(out)
    console.print(
        f"{len(labels):,} demands learnt from, {len(chosen_labels):,} calibrate; threshold "
        f"{calibration.threshold:.2f}, with less known {calibration.less_known}; {out}",
        markup=False,
    )
