"""``nearline distill``: trains a shop's own student from its own log."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.distill.settings import Size  # as above
from console.errors import ConsoleError
from console.invalid import problems
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
    known = log.before(moment)
    if not len(known):
        raise ConsoleError(
            f"{events} has no purchase before the cutoff {cutoff}.", way_out="Choose a later cutoff."
        )
    teaching = Teaching(known, titles, moment, settings)
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
    size: Annotated[
        Size,
        typer.Option(
            help="compact: a few million parameters, from nothing. gemma: Gemma 3 270M, its vocabulary cut to the shop's."
        ),
    ] = Size.COMPACT,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of training, such as steps=800; repeat for more."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a student on pairs. Interrupted, the same command goes on from the last checkpoint."""
    from pydantic import ValidationError  # noqa: PLC0415

    from agents.distill.card import write_card  # noqa: PLC0415
    from agents.distill.pairs import read_pairs  # noqa: PLC0415
    from agents.distill.settings import GemmaSettings, TrainSettings  # noqa: PLC0415
    from agents.distill.train import train as run  # noqa: PLC0415
    from console.output import console, print_json  # noqa: PLC0415

    named = dict(one.partition("=")[::2] for one in settings or [])
    kind = TrainSettings if size is Size.COMPACT else GemmaSettings
    try:
        chosen = kind.model_validate(named)
    except ValidationError as error:
        raise ConsoleError(
            f"--set {problems(error, kind)}.",
            way_out=f"Settings of {size.value} are {', '.join(kind.model_fields)}.",
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
    size_mb = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    console.print(
        f"{facts['parameters']:,} parameters, {size_mb:.1f} MB, {facts['cpu_seconds']:.0f} CPU seconds, in {out}",
        markup=False,
        highlight=False,
    )


@app.command()
def evaluate(
    student: Annotated[Path, typer.Argument(help="Folder that `train` wrote.")],
    events: Events,
    catalog: Catalog = None,
    shoppers: Annotated[
        int | None,
        typer.Option(min=2, help="Only so many test shoppers, drawn by the seed; all if not given."),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, max=40, help="Most demands of a shopper.")] = 40,
    form: Annotated[
        int, typer.Option(min=1, help="Answers written unconstrained, to count the valid ones.")
    ] = 300,
    seed: Annotated[int, typer.Option(help="Of what is drawn, and of the resampling for intervals.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure a student on purchases that go on after its cutoff, and write the figures into its folder and its card."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.verbs.distill_evaluate import evaluate_student  # noqa: PLC0415

    with telling(quiet=as_json) as tell:
        found = evaluate_student(
            student, events, catalog, shoppers=shoppers, queries=queries, answers=form, seed=seed, tell=tell
        )
    if as_json:
        print_json(found)
        return
    held, alone, ratio = found["held_out"], found["alone"], found["swap_ratio"]
    said = [
        ("shoppers", f"{found['shoppers']:,}, since {found['cutoff']}"),
        ("nats a title bought next", f"{held['nats_a_title']:.2f} ({held['nats_a_piece']:.2f} a piece)"),
        ("  after a stranger's history", f"{held['swapped']:.2f}"),
        ("  by what everybody wants", f"{held['by_what_everybody_wants']:.2f}"),
        ("recall@50 alone", f"{alone['U2Q']['Recall@50']['mean']:.3f}"),
        ("NDCG@20", f"{alone['U2Q']['NDCG@20']['mean']:.3f}"),
        ("times a swap's recall", f"{ratio['mean']:.2f} (95 %: {ratio['low']:.2f} to {ratio['high']:.2f})"),
        ("valid unconstrained", f"{found['valid_unconstrained']:.1%} of {found['asked_unconstrained']:,}"),
        (
            "tokens a CPU second",
            f"{found['tokens_a_cpu_second']:,.0f} ({found['tokens_a_second']:,.0f} by the clock)",
        ),
    ]
    for name, value in said:
        console.print(f"{name:30s}{value}", markup=False, highlight=False)


@app.command()
def export(
    student: Annotated[Path, typer.Argument(help="Folder that `train` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder to write; there must be nothing at its place.")],
    notice: Annotated[
        list[Path] | None,
        typer.Option(help="A file with the licence notice of the purchases or titles; repeat for more."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a folder that vLLM serves: weights, tokenizer, chat template, model card with figures, licence notices."""
    from agents.distill.export import NOTICE  # noqa: PLC0415
    from agents.distill.export import export as run  # noqa: PLC0415
    from console.output import console, print_json  # noqa: PLC0415

    files = run(student, out, notices=notice or [])
    if as_json:
        print_json({"folder": str(out), "files": {file.name: file.stat().st_size for file in files}})
        return
    for file in files:
        console.print(f"{file.stat().st_size:>12,}  {file.name}", markup=False, highlight=False)
    if NOTICE not in {file.name for file in files}:
        console.print(
            "no licence notice: give the purchases' own with --notice before the folder leaves the house",
            markup=False,
        )
    console.print(f"serve it with: vllm serve {out} --dtype float32", markup=False, highlight=False)
