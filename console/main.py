"""The ``nearline`` command. An error that has a way out is one line on stderr and exit code 2."""

from __future__ import annotations

import logging
import os
import sys

import typer

from console.verbs import (
    cassette,
    catalog,
    console,
    dead,
    demo,
    distill,
    doctor,
    down,
    encoder,
    evaluation,
    explain,
    index_tune,
    judge,
    rank,
    record,
    replay,
    rules,
    send,
    shoppers,
    simulate,
    slate,
    trends,
    up,
    worker,
)
from nearline import NearlineError, __version__

__all__ = ["app", "main"]

# OpenMP is told how its threads wait when it is loaded, and torch, FAISS and scikit-learn all bring it.
# Spinning threads on shared cores make one answer of the model take 6 to 10 s in place of 1.5.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    name="nearline",
    help="A streaming near-line recommendation engine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("down")(down.down)
app.command("worker")(worker.worker)
app.command("send")(send.send)
app.command("record")(record.record)
app.command("simulate")(shoppers.simulate)
app.command("console")(console.console)
app.command("slate")(slate.slate)
app.command("explain")(explain.explain)
app.command("doctor")(doctor.doctor)
app.add_typer(cassette.app, name="cassette")
app.add_typer(catalog.app, name="catalog")
app.add_typer(dead.app, name="dead")
app.add_typer(distill.app, name="distill")
app.add_typer(encoder.app, name="encoder")
app.add_typer(evaluation.app, name="eval")
app.add_typer(index_tune.app, name="index")
app.add_typer(judge.app, name="judge")
app.add_typer(rank.app, name="rank")
app.add_typer(replay.app, name="replay")
app.add_typer(trends.app, name="trends")
rules.app.command("simulate")(simulate.simulate)
app.add_typer(rules.app, name="rules")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nearline {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """A streaming near-line recommendation engine."""


def main() -> None:
    """Run the command line."""
    # Libraries' warnings reach the terminal where a verb sets up logging; elsewhere an error says it, once.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        app()
    except NearlineError as error:
        print(f"nearline: {error}", file=sys.stderr)  # noqa: T201  # before or without a console
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
