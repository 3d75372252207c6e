"""``nearline rank``: learns to rank from what shoppers bought."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import Annotated

import typer

from console.errors import ConsoleError
from console.verbs.evaluation.purchases import read_purchases

__all__ = ["app"]

app = typer.Typer(help="Learn to rank.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Learn to rank."""


@app.command()
def train(
    events: Annotated[
        Path,
        typer.Option(
            help="Purchases: a CSV file of Online Retail, or events as .jsonl, .jsonl.gz, .parquet."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; by default `ranking` in the run folder.")
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Titles of the items in a file of one's own events.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Learn the ranker and what goes together, check both on the last month, and save them with a manifest."""
    from rich.status import Status  # noqa: PLC0415

    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.ranking.training import check, learn  # noqa: PLC0415

    if not events.is_file():
        raise ConsoleError(f"There is no file {events}.", way_out="Name a file of purchases with --events.")
    place = out if out is not None else load_settings().run / "ranking"
    bought = read_purchases(events, catalog)
    with Status("", console=console) as status:
        if as_json:
            status.stop()
        vectors = bought.vectors()
        held_out = check(bought.log, vectors, tell=status.update)
        learnt = learn(bought.log, vectors, held_out=held_out, tell=status.update)
    learnt.manifest.update({"events": str(events), "rejected": dict(bought.rejects)})
    learnt.save(place)
    if as_json:
        print_json(learnt.manifest)
        return
    for rule in ("novel", "all"):
        fused, ease = held_out[rule]["fused"], held_out[rule]["ease"]
        console.print(
            f"{rule}: NDCG@20 {fused['NDCG@20']:.4f} (EASE^R {ease['NDCG@20']:.4f}), HR@50 {fused['HR@50']:.4f} "
            f"({ease['HR@50']:.4f}), {held_out[rule]['shoppers']:,} shoppers since {held_out['cutoff']}",
            markup=False,
            highlight=False,
        )
    for reason, count in bought.rejects.items():
        console.print(f"left out: {count:,} orders with {reason}", markup=False)
    console.print(f"saved in {place}", markup=False)
