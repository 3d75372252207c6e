"""``nearline rules``: checks a rules file."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import Annotated

import typer

app = typer.Typer(help="Trigger rules.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Trigger rules."""


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The rules file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check a rules file; errors name line, rule and field (exit code 2)."""
    from console.output import console, print_json  # noqa: PLC0415
    from stream.gate.rules import load_rules  # noqa: PLC0415

    ruleset = load_rules(file)
    warnings = ruleset.warnings()
    if as_json:
        print_json(
            {
                "file": str(file),
                "version": ruleset.digest,
                "rules": [r.id for r in ruleset.rules],
                "warnings": warnings,
            }
        )
        return
    for warning in warnings:
        console.print(f"warning: {warning}", markup=False)
    names = ", ".join(rule.id for rule in ruleset.rules)
    console.print(
        f"{file}: good. {len(ruleset.rules)} rules ({names}), version {ruleset.digest}.", markup=False
    )


@app.command("show")
def show() -> None:
    """Print the default rules file with its comments: a start for one's own."""
    from stream.gate.rules import DEFAULT_RULES  # noqa: PLC0415

    typer.echo(DEFAULT_RULES.read_text(encoding="utf-8"), nl=False)
