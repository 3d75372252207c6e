"""``nearline catalog``: builds the catalogue and its vectors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from index.build import BuildReport

app = typer.Typer(help="The catalogue and its vectors.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """The catalogue and its vectors."""


@app.command("build")
def build(
    source: Annotated[
        str, typer.Argument(help="A catalogue file (.jsonl, .jsonl.gz, .csv, .parquet), or completejourney.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; the configured one if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Validate items, embed their titles, build the index. Rejects are listed with line and reason."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415
    from stream.datasets import NAMES, open_dataset, write_catalog  # noqa: PLC0415

    settings = load_settings()
    target = out or settings.index.catalog
    encoder = open_encoder(settings.index.encoder)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(source)
        if source in NAMES:
            file = Path(folder) / "catalog.jsonl"
            write_catalog(open_dataset(source), file)
        report = build_with_progress(file, target, encoder, quiet=as_json)
    if as_json:
        print_json(report.manifest.model_dump(mode="json"))
        return
    for reject in report.rejects[:20]:
        console.print(f"rejected: {reject}", markup=False)
    manifest = report.manifest
    if manifest.rejected > 20:
        console.print(f"... {manifest.rejected - 20:,} more in {target / 'rejects.jsonl'}", markup=False)
    console.print(
        f"{target}: {manifest.items:,} items, {manifest.rejected:,} rejected, "
        f"{manifest.texts:,} different titles embedded by {manifest.encoder.name}.",
        markup=False,
    )


def build_with_progress(file: Path, out: Path, encoder: Any, *, quiet: bool = False) -> BuildReport:
    """Build a catalogue with a progress bar on stderr's console."""
    from console.output import console  # noqa: PLC0415
    from index.build import build_catalog  # noqa: PLC0415

    if quiet:
        return build_catalog(file, out, encoder)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def told(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        return build_catalog(file, out, encoder, progress=told)
