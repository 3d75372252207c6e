"""``nearline distill``: trains a shop's own student from its own log."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.errors import ConsoleError
from console.verbs.evaluation.options import (  # typer reads the annotations at run time
    AsJson,
    Catalog,
    Cutoff,
    Events,
    telling,
)
from console.verbs.evaluation.purchases import moment_of, read_purchases

if TYPE_CHECKING:
    from agents.distill.train import Progress

__all__ = ["app"]

app = typer.Typer(
    help="Train a student: a small language model that writes this shop's demands.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Train a student: a small language model that writes this shop's demands."""


@app.command()
def prepare(
    events: Events,
    cutoff: Cutoff,
    out: Annotated[Path, typer.Option(help="Folder to write the pairs to.")],
    catalog: Catalog = None,
    history: Annotated[int, typer.Option(min=1, help="Newest items of a shopper that a pair shows.")] = 40,
    taken: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of what was really bought next, beside the teachers' lists."),
    ] = 0.2,
    one_a_title: Annotated[
        bool,
        typer.Option(
            "--one-a-title", help="Take items of one title as one: for catalogues that have many such."
        ),
    ] = False,
    moments: Annotated[
        int | None, typer.Option(min=100, help="Most past moments, drawn at random; all if not given.")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of where histories are cut short, and of which moments are drawn.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Write what teachers say that shoppers wanted at past moments, as pairs to learn from."""
    from agents.distill.pairs import write_pairs  # noqa: PLC0415
    from console.output import console, print_json  # noqa: PLC0415
    from console.verbs.distill_pairs import Teaching, by_title  # noqa: PLC0415
    from index.teaching import TeacherSettings  # noqa: PLC0415

    moment = moment_of(cutoff)
    settings = TeacherSettings()
    bought = read_purchases(events, catalog, known_before=moment)
    log, titles = by_title(bought.log, bought.titles) if one_a_title else (bought.log, bought.titles)
    teaching = Teaching(log.before(moment), titles, moment, settings)
    manifest = {
        "events": events.name,
        "cutoff": cutoff,
        "history": history,
        "taken": taken,
        "one_a_title": one_a_title,
        "seed": seed,
        "teacher": settings.model_dump(),
        "lines": len(teaching.moments.history),
        "moments": min(moments or len(teaching.moments), len(teaching.moments)),
    }
    with telling(quiet=as_json) as tell:
        pairs = teaching.pairs(history=history, taken=taken, seed=seed, moments=moments, tell=tell)
        many = write_pairs(out, teaching.phrases, pairs, manifest)
    if as_json:
        print_json({**manifest, "pairs": many, "phrases": len(teaching.phrases), "folder": str(out)})
        return
    console.print(
        f"{many:,} pairs of {manifest['moments']:,} moments and {len(teaching.phrases):,} phrases in {out}",
        markup=False,
        highlight=False,
    )


@app.command()
def train(
    pairs: Annotated[Path, typer.Argument(help="Folder that `prepare` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder of the student.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of training, such as layers=4; repeat for more."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a student on pairs. Interrupted, the same command goes on from the last checkpoint."""
    from pydantic import ValidationError  # noqa: PLC0415

    from agents.distill.card import write_card  # noqa: PLC0415
    from agents.distill.pairs import read_pairs  # noqa: PLC0415
    from agents.distill.settings import TrainSettings  # noqa: PLC0415
    from agents.distill.train import train as run  # noqa: PLC0415
    from console.output import console, print_json  # noqa: PLC0415

    named = dict(one.partition("=")[::2] for one in settings or [])
    try:
        chosen = TrainSettings.model_validate(named)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConsoleError(
            f"--set {'.'.join(map(str, first['loc']))}: {first['msg']}.",
            way_out=f"Settings are {', '.join(TrainSettings.model_fields)}.",
        ) from error
    read = read_pairs(pairs)
    with telling(quiet=as_json) as tell:

        def told(done: Progress) -> None:
            tell(
                f"{done.stage}: step {done.step} of {done.steps}, loss {done.loss:.3f}, {done.seconds:.0f} CPU s"
            )

        facts: dict[str, Any] = run(read, chosen, out, tell=told)
    write_card(out)
    if as_json:
        print_json({**facts, "folder": str(out)})
        return
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    console.print(
        f"{facts['parameters']:,} parameters, {size:.1f} MB, {facts['cpu_seconds']:.0f} CPU seconds, in {out}",
        markup=False,
        highlight=False,
    )
