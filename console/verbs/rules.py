"""``nearline rules``: reads, checks and changes the rules in force, while workers run."""

from __future__ import annotations

import asyncio
import getpass
import re
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.errors import ConsoleError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nearline import NearlineError
    from stream.gate.rules.book import RuleBook, Version
    from stream.gate.rules.ruleset import RuleSet
    from stream.settings import StreamSettings

app = typer.Typer(help="Trigger rules.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Note = Annotated[str, typer.Option(help="Why; it stands in the history.")]
Author = Annotated[str | None, typer.Option(help="Who; the user of this computer if not given.")]
Base = Annotated[
    int | None,
    typer.Option(min=0, help="The version you began from; in files from `rules show` it is the first line."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Put the rules in force in spite of warnings.")]

_BASE_LINE = re.compile(r"# nearline rules, version (\d+)[^\n]*\n")


@app.callback()
def _group() -> None:
    """Trigger rules."""


@app.command("check")
def check(file: Annotated[Path, typer.Argument(help="The rules file.")], as_json: Json = False) -> None:
    """Check a rules file; errors name line, rule and field (exit code 2)."""
    from console.output import console, print_json  # noqa: PLC0415
    from stream.gate.rules.ruleset import parse_rules, read_rules  # noqa: PLC0415

    ruleset = parse_rules(read_rules(file), str(file))
    _refuse_unreachable(ruleset, str(file))
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


@app.command("set")
def set_rules(
    file: Annotated[Path, typer.Argument(help="The rules file.")],
    note: Note,
    author: Author = None,
    base: Base = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put a rules file in force on all workers, as a new version."""
    from stream.gate.rules.ruleset import parse_rules, read_rules  # noqa: PLC0415

    text = read_rules(file)
    began = _BASE_LINE.match(text)
    if began:
        text = text[began.end() :]
        base = int(began[1]) if base is None else base
    ruleset = parse_rules(text if began is None else "\n" + text, str(file))
    _refuse_unreachable(ruleset, str(file))
    warnings = ruleset.warnings()
    if warnings and not yes:
        raise ConsoleError(
            "\n".join(f"{file}: {warning}." for warning in warnings),
            way_out="Nothing was changed; correct the file, or repeat with --yes.",
        )
    version = asyncio.run(_write(text, note, author or _user(), base))
    _tell(version, as_json)


@app.command("rollback")
def rollback(
    number: Annotated[int, typer.Argument(min=0, help="The version to go back to; 0 is the rules file.")],
    note: Note,
    author: Author = None,
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Put an earlier version in force again, as a new version."""

    async def going_back() -> Version:
        text, _ = await _text_of(number)
        return await _write(text, f"back to version {number}: {note}", author or _user(), base, ask=False)

    _tell(asyncio.run(going_back()), as_json)


@app.command("show")
def show(
    number: Annotated[
        int | None,
        typer.Argument(min=0, help="A version; the one in force if not given, 0 for the rules file."),
    ] = None,
    default: Annotated[
        bool,
        typer.Option("--default", help="The file that comes with Nearline; its comments are the manual."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the text of a version: a start for one's own. The first line says what it began from."""
    from console.output import print_json  # noqa: PLC0415
    from stream.gate.rules.ruleset import DEFAULT_RULES, read_rules  # noqa: PLC0415

    if default:
        typer.echo(read_rules(DEFAULT_RULES), nl=False)
        return
    text, version = asyncio.run(_text_of(number))
    if as_json:
        print_json(version or {"number": 0, "text": text})
        return
    about = f" by {version.author}, {_when(version.at)}: {version.note}" if version else ", the rules file"
    typer.echo(f"# nearline rules, version {version.number if version else 0}{about}\n{text}", nl=False)


@app.command("list")
def list_rules(as_json: Json = False) -> None:
    """List the rules in force."""
    from console.output import console, print_json  # noqa: PLC0415
    from stream.gate.rules.changes import describe  # noqa: PLC0415
    from stream.gate.rules.ruleset import parse_rules  # noqa: PLC0415

    text, version = asyncio.run(_text_of(None))
    ruleset = parse_rules(text, "the rules in force", strict=False)
    number = version.number if version else 0
    described = {rule.id: describe(rule) for rule in ruleset.rules}
    if as_json:
        rules = [{"id": name, **parts} for name, parts in described.items()]
        print_json({"number": number, "digest": ruleset.digest, "rules": rules})
        return
    title = f"Version {number}" + (
        f", by {version.author}: {version.note}" if version else ", the rules file"
    )
    columns = ("when", "cooldown", "min_gap", "share", "hours", "about")
    rows = [[name, *(parts.get(column, "") for column in columns)] for name, parts in described.items()]
    console.print(_table(title, ("rule", *columns), rows))


@app.command("history")
def history(as_json: Json = False) -> None:
    """List all versions, newest first."""
    from console.output import console, print_json  # noqa: PLC0415

    async def reading() -> list[Version]:
        async with _book() as book:
            return await book.history()

    versions = asyncio.run(reading())
    if as_json:
        print_json(
            [{name: v for name, v in _fields(version).items() if name != "text"} for version in versions]
        )
        return
    if not versions:
        console.print("The book of rules is empty: the rules file counts.")
        return
    rows = [[str(v.number), _when(v.at), v.author, v.note, v.digest, str(v.base)] for v in versions]
    console.print(_table("Versions", ("version", "when", "by", "note", "digest", "after"), rows))


@app.command("diff")
def diff(
    old: Annotated[
        int | None, typer.Argument(min=0, help="A version; the one before the one in force if not given.")
    ] = None,
    new: Annotated[
        int | None, typer.Argument(min=0, help="Another version; the one in force if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what changed between two versions: by rule, then line by line."""
    from console.output import print_json  # noqa: PLC0415
    from stream.gate.rules.changes import changed_lines, changes  # noqa: PLC0415
    from stream.gate.rules.ruleset import parse_rules  # noqa: PLC0415

    async def reading() -> tuple[int, str, int, str]:
        after_text, after = await _text_of(new)
        number = after.number if after else 0
        before = old if old is not None else max(0, number - 1)
        return before, (await _text_of(before))[0], number, after_text

    a, before, b, after = asyncio.run(reading())
    if as_json:
        found = changes(
            parse_rules(before, f"version {a}", strict=False),
            parse_rules(after, f"version {b}", strict=False),
        )
        lines = changed_lines(before, after, f"version {a}", f"version {b}")
        print_json({"old": a, "new": b, "rules": found, "lines": lines})
        return
    typer.echo(_difference(before, after, f"version {a}", f"version {b}") or "No difference.")


@asynccontextmanager
async def _book() -> AsyncIterator[RuleBook]:
    from stream.gate.rules.book import RuleBook  # noqa: PLC0415
    from stream.redis_client import connect_redis  # noqa: PLC0415

    settings = _settings()
    redis = await connect_redis(settings.redis)
    try:
        yield RuleBook(redis, settings.redis.prefix)
    finally:
        await redis.aclose()


def _settings() -> StreamSettings:
    from console.settings import load_settings  # noqa: PLC0415

    return load_settings().stream


async def _text_of(number: int | None) -> tuple[str, Version | None]:
    """Text of a version, of the one in force for None; the rules file for 0 and an empty book."""
    from stream.gate.rules.ruleset import DEFAULT_RULES, read_rules  # noqa: PLC0415

    if number != 0:
        async with _book() as book:
            version = await book.current() if number is None else await book.version(number)
        if version is not None:
            return version.text, version
    return read_rules(_settings().gate.rules or DEFAULT_RULES), None


async def _write(text: str, note: str, author: str, base: int | None, *, ask: bool = True) -> Version:
    """Write the next version. Who does not say where they began may only replace their own."""
    from stream.errors import RulesConflictError  # noqa: PLC0415

    async with _book() as book:
        current = await book.current()
        began = base if base is not None else current.number if current else 0
        refused: NearlineError
        if ask and base is None and current is not None and current.author != author.strip():
            refused = ConsoleError(
                f"Version {current.number} is in force, by {current.author}, {_when(current.at)}, "
                f'"{current.note}", and the file does not say which version it began from.',
                way_out=f"Nothing was changed; repeat with --base {current.number} to replace it.",
            )
            before = current.base
        else:
            try:
                now = time.time_ns() // 1_000_000
                return await book.set(text, base=began, author=author, note=note, now=now)
            except RulesConflictError as error:
                refused, current = error, error.current
                before = min(began, current.number) if current else 0
    if current is not None:
        old, _ = await _text_of(before)
        said = _difference(old, current.text, f"version {before}", f"version {current.number}")
        typer.echo(said, err=True)
    raise refused


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError) as error:
        raise ConsoleError(
            f"This computer does not know who you are ({error}).", way_out="Say it with --author NAME."
        ) from error


def _tell(version: Version, as_json: bool) -> None:
    from console.output import console, print_json  # noqa: PLC0415

    if as_json:
        print_json(version)
        return
    console.print(
        f"Version {version.number} ({version.digest}) is in force; workers change to it within a second. "
        f"`nearline rules diff` shows what changed, `nearline rules rollback {version.base}` goes back.",
        markup=False,
    )


def _refuse_unreachable(ruleset: RuleSet, source: str) -> None:
    from console.reachable import refuse_unreachable  # noqa: PLC0415

    refuse_unreachable(ruleset, source, _settings().kafka)


def _difference(before: str, after: str, old: str, new: str) -> str:
    from stream.gate.rules.changes import changed_lines, changes  # noqa: PLC0415
    from stream.gate.rules.ruleset import parse_rules  # noqa: PLC0415

    found = changes(parse_rules(before, old, strict=False), parse_rules(after, new, strict=False))
    lines = []
    for change in found:
        lines.append(f"{change.rule}: {change.change}")
        lines += [f"  {name}: {a or '-'} -> {b or '-'}" for name, (a, b) in change.fields.items()]
    return "\n".join((*lines, *changed_lines(before, after, old, new)))


def _fields(version: Version) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    return msgspec.structs.asdict(version)


def _table(title: str, headings: tuple[str, ...], rows: list[list[str]]) -> Any:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # plain text: notes are not read as markup
    return table


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
