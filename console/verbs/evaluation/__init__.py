"""``nearline eval``: measures recall and slates by fixed protocols."""

from __future__ import annotations

import typer

from console.verbs.evaluation.demand import demand
from console.verbs.evaluation.discovery import discovery
from console.verbs.evaluation.encoder import encoder
from console.verbs.evaluation.intents import intents
from console.verbs.evaluation.judge import judge
from console.verbs.evaluation.retrieval import retrieval
from console.verbs.evaluation.slate import slate

__all__ = ["app"]

app = typer.Typer(
    help="Measure recall, slates, demands, new intents and the judge.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("demand")(demand)
app.command("discovery")(discovery)
app.command("intents")(intents)
app.command("judge")(judge)
app.command("encoder")(encoder)
app.command("retrieval")(retrieval)
app.command("slate")(slate)


@app.callback()
def _group() -> None:
    """Measure recall, slates, demands, new intents and the judge."""
