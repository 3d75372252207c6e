"""``nearline eval``: measures recall and slates by fixed protocols."""

from __future__ import annotations

import typer

from console.verbs.evaluation.discovery import discovery
from console.verbs.evaluation.retrieval import retrieval
from console.verbs.evaluation.slate import slate

__all__ = ["app"]

app = typer.Typer(help="Measure recall and slates.", no_args_is_help=True, rich_markup_mode=None)
app.command("discovery")(discovery)
app.command("retrieval")(retrieval)
app.command("slate")(slate)


@app.callback()
def _group() -> None:
    """Measure recall and slates."""
