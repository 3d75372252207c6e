"""``nearline catalog``: builds the catalogue and its vectors, publishes versions of it, sends changes to it."""

from __future__ import annotations

import asyncio
import getpass
import gzip
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from console.errors import ConsoleError
from console.moment import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.settings import Settings
    from index.built.build import BuildReport
    from index.items.columns import Columns
    from index.living import Version

ColumnNames = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="Which column is which field, such as item_id=sku or attributes=colour (repeatable); columns of the fields' own names need no saying.",
    ),
]

app = typer.Typer(
    help="The catalogue, its versions, and changes to it.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    """The catalogue, its versions, and changes to it."""


@app.command("build")
def build(
    source: Annotated[
        str, typer.Argument(help="A catalogue file (.jsonl, .jsonl.gz, .csv, .parquet), or completejourney.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; the configured one if not given.")
    ] = None,
    column: ColumnNames = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Validate items, embed their titles, build the index. Rejects are listed with line and reason."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.items.reader import source_kind  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415
    from stream.datasets import NAMES, open_dataset, write_json_lines  # noqa: PLC0415

    columns = _columns(column or [])
    settings = load_settings()
    target = out or settings.index.catalog
    file = Path(source)
    if source not in NAMES:
        source_kind(file)  # an encoder takes seconds to open
    encoder = open_encoder(settings.index.encoder)
    with tempfile.TemporaryDirectory() as folder:
        if source in NAMES:
            file = Path(folder) / "catalog.jsonl"
            write_json_lines(file, open_dataset(source).catalog())
        report = build_with_progress(file, target, encoder, columns, quiet=as_json)
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


@app.command("publish")
def publish(
    source: Annotated[
        Path,
        typer.Argument(
            help="A catalogue file (.jsonl, .jsonl.gz, .csv, .parquet), or the folder of a built one."
        ),
    ],
    note: Annotated[str, typer.Option(help="Why, for the list of versions.")] = "",
    author: Annotated[str, typer.Option(help="Who; the user of the computer if not given.")] = "",
    as_of: Annotated[
        str | None,
        typer.Option(
            help="When SOURCE was made (2h ago, or a time such as 2025-05-04T12:00 UTC): changes since then count."
        ),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Without a broker: workers then read all that the catalog topic holds."
        ),
    ] = False,
    column: ColumnNames = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads for building the index.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the version as JSON.")] = False,
) -> None:
    """Make a new version aside and put it in force; running workers take it up without losing a request."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.items.reader import source_kind  # noqa: PLC0415
    from index.living import Versions  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415

    columns = _columns(column or [])
    since = None if as_of is None else moment(as_of, "--as-of")
    if not source.is_dir():
        source_kind(source)
    settings = load_settings()
    versions = Versions(settings.index.catalog, settings.index.versions_kept)
    offsets = {} if offline else _offsets(settings, since)
    encoder = open_encoder(settings.index.encoder)
    with _telling(quiet=as_json) as told:
        made = versions.publish(
            source,
            encoder,
            note=note,
            author=author or getpass.getuser(),
            offsets=offsets,
            columns=columns,
            progress=told,
            threads=threads,
        )
    if as_json:
        print_json(_as_data(made))
        return
    manifest = made.manifest
    if manifest is not None:
        console.print(
            f"Version {made.number} is in force: {manifest.items:,} items, {manifest.rejected:,} rejected.",
            markup=False,
        )


@app.command("versions")
def versions(as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False) -> None:
    """List the versions that are kept."""
    from rich.table import Table  # noqa: PLC0415

    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.living import Versions  # noqa: PLC0415

    settings = load_settings()
    found = Versions(settings.index.catalog, settings.index.versions_kept).kept()
    if as_json:
        print_json([_as_data(one) for one in found])
        return
    if not found:
        console.print("No version was published yet.")
        return
    table = Table(title=f"Versions of {escape(str(settings.index.catalog))}")
    for name in ("version", "published", "by", "items", "index", "note"):
        table.add_column(name)
    for one in found:
        published = one.manifest.published if one.manifest else None
        if one.manifest is None or published is None:
            table.add_row(str(one.number), "", "", "", "", escape(f"damaged: {one.problem}"))
            continue
        table.add_row(
            f"{one.number}{' in force' if one.in_force else ''}",
            f"{published.at:%Y-%m-%d %H:%M}",
            escape(published.author),
            f"{one.manifest.items:,}",
            one.manifest.index.choice.factory,
            escape(published.note),
        )
    console.print(table)


@app.command("rollback")
def rollback(
    number: Annotated[int, typer.Argument(min=1, help="The version to put in force again.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    author: Annotated[str, typer.Option(help="Who; the user of the computer if not given.")] = "",
) -> None:
    """Put a kept version in force again; changes sent since it was published are applied to it."""
    from console.output import console  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.living import Versions  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415

    settings = load_settings()
    kept = Versions(settings.index.catalog, settings.index.versions_kept)
    kept.look_for(number)  # an encoder takes seconds to open
    made = kept.rollback(
        number, open_encoder(settings.index.encoder), author=author or getpass.getuser(), note=note
    )
    console.print(f"Version {made.number} is in force.", markup=False)


@app.command("send")
def send(
    file: Annotated[Path, typer.Argument(help="Changes, a JSON object a line (.jsonl or .jsonl.gz).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Send changes to the catalog topic: upsert, price, stock, remove. `nearline catalog schema` prints their form."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.catalog.sender import send_changes  # noqa: PLC0415
    from stream.topics import create_topics  # noqa: PLC0415

    lines = _changes(file)
    kafka = load_settings().stream.kafka
    create_topics(kafka)
    sent = asyncio.run(send_changes(kafka, lines))
    if as_json:
        print_json({"sent": sent, "topic": kafka.catalog_topic})
        return
    console.print(f"Sent {sent:,} changes to {kafka.catalog_topic}.", markup=False)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of the records on the catalog topic."""
    from console.output import print_json  # noqa: PLC0415
    from stream.catalog.record import SCHEMA  # noqa: PLC0415

    print_json(SCHEMA)


def _changes(file: Path) -> list[bytes]:
    """The lines of a file of changes, each of which is one.

    Raises:
        ConsoleError: the file cannot be read, or a line is no change; names the line.
    """
    from stream.catalog.record import BadChangeError, decode_changes  # noqa: PLC0415

    found = []
    number = 0
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007 - an error names it
                if text := line.strip():
                    decode_changes(text)
                    found.append(text)
    except FileNotFoundError:
        raise ConsoleError(
            f"There is no file {file}.", way_out="Name a file of changes, a JSON object a line."
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise ConsoleError(f"{file} cannot be read ({error}).", way_out="Check the file.") from error
    except BadChangeError as error:
        raise ConsoleError(
            f"{file}, line {number}: {error}.",
            way_out="Nothing was sent; `nearline catalog schema` prints the form of a change.",
        ) from None
    return found


def _columns(given: Sequence[str]) -> Columns:
    """Which column of the file is which field, from such as ``item_id=sku``."""
    from pydantic import ValidationError  # noqa: PLC0415

    from console.invalid import problems  # noqa: PLC0415
    from index.items.columns import Columns  # noqa: PLC0415

    named: dict[str, Any] = {}
    for text in given:
        field, _, name = (part.strip() for part in text.partition("="))
        if not name:
            raise ConsoleError(f"--column {text!r} names no column.", way_out="Write it as item_id=sku.")
        named[field] = (*named.get(field, ()), name) if field == "attributes" else name
    try:
        return Columns.model_validate(named)
    except ValidationError as error:
        raise ConsoleError(
            f"--column {problems(error, Columns)}.", way_out=f"Fields are {', '.join(Columns.model_fields)}."
        ) from None


def _offsets(settings: Settings, since: int | None) -> dict[str, int]:
    """Where the catalog topic is now, or was when the source was made."""
    from index.built.manifest import Manifest  # noqa: PLC0415
    from index.errors import CatalogError  # noqa: PLC0415
    from stream.catalog.places import places  # noqa: PLC0415
    from stream.topics import create_topics  # noqa: PLC0415

    known: dict[str, int] = {}
    try:
        published = Manifest.load(settings.index.catalog).published
        known = published.offsets if published else {}
    except CatalogError:
        pass  # nothing is in force yet: the topic is looked through from its start
    create_topics(settings.stream.kafka)
    return asyncio.run(places(settings.stream.kafka, since=since, known=known))


def _as_data(version: Version) -> dict[str, Any]:
    manifest = version.manifest
    return {
        "number": version.number,
        "in_force": version.in_force,
        "problem": version.problem,
        "manifest": manifest.model_dump(mode="json") if manifest else None,
    }


def build_with_progress(
    file: Path, out: Path, encoder: Any, columns: Columns | None = None, *, quiet: bool = False
) -> BuildReport:
    """Build a catalogue with a progress bar on stderr's console."""
    from index.built.build import build_catalog  # noqa: PLC0415

    with _telling(quiet=quiet) as told:
        return build_catalog(file, out, encoder, columns=columns, progress=told)


@contextmanager
def _telling(*, quiet: bool) -> Iterator[Any]:
    """A progress bar for each stage of a build; None where nobody looks."""
    from console.output import console  # noqa: PLC0415

    if quiet:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def told(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield told
