"""``nearline dead``: what could not be used, and sending it again once it can."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.errors import ConsoleError
from console.moment import moment

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from console.settings import Settings
    from stream.dead.search import Dead, Filters

app = typer.Typer(help="Events that could not be used.", no_args_is_help=True, rich_markup_mode=None)

Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="Only of this reason, e.g. wrong_type (repeatable).")
]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only from this topic (repeatable).")]
Since = Annotated[
    str | None, typer.Option(help="Only since then: 24h (ago), or a time such as 2025-05-04T12:00 (UTC).")
]
Until = Annotated[str | None, typer.Option(help="Only before then; as --since.")]
Users = Annotated[
    list[str] | None,
    typer.Option("--user", help="Only of this shopper, where the original says one (repeatable)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

_SHOWN_CHARS = 60


@app.command("list")
def list_dead(
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    until: Until = None,
    user: Users = None,
    limit: Annotated[int, typer.Option(min=0, help="Show the newest so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Count dead records by reason and topic, and show the newest."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.dead.search import find_dead  # noqa: PLC0415
    from stream.dead.summary import Summary  # noqa: PLC0415

    settings = load_settings()
    filters = _filters(settings, reason, topic, since, until, user)

    async def collect() -> Summary:
        found = Summary(limit)
        async for dead in find_dead(settings.stream.kafka, filters):
            found.add(dead)
        return found

    found = asyncio.run(collect())
    counts, newest = found.counts, found.newest
    if as_json:
        print_json(
            {
                "total": counts.total(),
                "counts": [
                    {"reason": name, "topic": source, "records": count}
                    for (name, source), count in counts.most_common()
                ],
                "newest": [_as_data(dead) for dead in newest],
            }
        )
        return
    if not counts:
        console.print("No dead records." if filters.empty else "No dead records of that kind.")
        return
    table = _table("Dead records", "reason", "topic", "records")
    for (name, source), count in counts.most_common():
        _row(table, name, source, f"{count:,}")
    console.print(table)
    if newest:
        table = _table("The newest", "place", "died", "reason", "from", "shopper", "original")
        for dead in newest:
            _row(table, *_cells(dead))
        console.print(table)
        console.print("`nearline dead show PLACE` shows one whole.")


@app.command("show")
def show(
    place: Annotated[str, typer.Argument(help="PARTITION:OFFSET on the dead topic, as `list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one dead record whole."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.dead.redrive import refusal  # noqa: PLC0415
    from stream.dead.search import one_dead  # noqa: PLC0415

    settings = load_settings()
    kafka = settings.stream.kafka
    dead = asyncio.run(one_dead(kafka, _place(place)))
    if dead is None:
        raise ConsoleError(
            f"There is no record at {place} of {kafka.dead_topic}.",
            way_out="`nearline dead list` shows which there are.",
        )
    refused = refusal(dead, kafka)
    if as_json:
        print_json({**_as_data(dead, whole=True), "refused": refused})
        return
    record = dead.record
    table = _table(f"Dead record {dead.place}", "field", "value")
    if record is None:
        _row(table, "bytes", _safe(dead.value))
    else:
        original = record.value if record.value is not None else f"base64 {record.value_base64}"
        for name, value in (
            ("reason", record.reason),
            ("detail", record.detail),
            ("from", f"{record.topic}-{record.partition} offset {record.offset}"),
            ("died", _when(record.at)),
            ("shopper", dead.user or ""),
            ("size", f"{record.size:,} bytes{', cut here' if record.cut else ''}"),
            ("original", original),
        ):
            _row(table, name, _safe(value))
    _row(table, "redrive", f"refused: {refused}" if refused else "can be sent again")
    console.print(table)


@app.command("redrive")
def redrive(
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    until: Until = None,
    user: Users = None,
    place: Annotated[
        list[str] | None, typer.Option("--place", help="Only the record PARTITION:OFFSET (repeatable).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send at most this many.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Send also what was sent before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Send originals through the front door again: to their topic, keyed by shopper, each once."""
    from console.output import console  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    filters = _filters(settings, reason, topic, since, until, user)
    places = frozenset(_place(one) for one in place) if place else None
    asyncio.run(_redrive(settings, filters, places, limit, again=again, yes=yes, console=console))


async def _redrive(
    settings: Settings,
    filters: Filters,
    places: frozenset[str] | None,
    limit: int | None,
    *,
    again: bool,
    yes: bool,
    console: Any,
) -> None:
    from stream.dead.chosen import choose, send_chosen  # noqa: PLC0415
    from stream.dead.redrive import Redrive  # noqa: PLC0415
    from stream.redis_client import connect_redis  # noqa: PLC0415

    stream = settings.stream
    redis: Redis = await connect_redis(stream.redis)
    try:
        work = Redrive(stream.kafka, redis, stream.redis.prefix, again=again)
        chosen = await choose(stream.kafka, work, filters, places, limit)
        for why, count in chosen.refused.most_common():
            console.print(f"{count:,} refused: {why}.", markup=False)
        if chosen.before:
            console.print(f"{chosen.before:,} were sent before and are left (--again sends them).")
        if not chosen.places:
            console.print("Nothing to send.")
            return
        if not yes:
            typer.confirm(f"Send {len(chosen.places):,} events again?", abort=True)
        result = await send_chosen(stream.kafka, work, chosen)
    finally:
        await redis.aclose()
    console.print(f"Sent {result.sent:,} events again.")
    if result.before:
        console.print(f"{result.before:,} had been sent before.")
    if result.busy:
        console.print(f"{result.busy:,} are being sent by another run; in a minute it is known if they were.")
    if gone := chosen.gone(result):
        console.print(f"{gone:,} were gone from the dead topic by then (its retention).")


def _place(text: str) -> str:
    """``text`` if it names a place of the dead topic."""
    from stream.dead.search import is_place  # noqa: PLC0415

    if not is_place(text):
        raise ConsoleError(
            f"{text!r} is no place of a dead record.", way_out="Give PARTITION:OFFSET, e.g. 0:17."
        )
    return text


def _filters(
    settings: Settings,
    reason: list[str] | None,
    topic: list[str] | None,
    since: str | None,
    until: str | None,
    user: list[str] | None,
) -> Filters:
    from stream.dead.search import Filters  # noqa: PLC0415

    kafka = settings.stream.kafka
    known = {*kafka.event_topic_names(), kafka.triggers_topic}
    topics = {name if name in known else kafka.prefix + name for name in topic or ()}
    return Filters(
        frozenset(reason or ()), frozenset(topics), _bound(since, "--since"), _bound(until, "--until"),
        frozenset(user or ()),
    )  # fmt: skip


def _bound(text: str | None, option: str) -> int | None:
    return None if text is None else moment(text, option)


def _as_data(dead: Dead, *, whole: bool = False) -> dict[str, Any]:
    record = dead.record
    data: dict[str, Any] = {"place": dead.place, "user": dead.user}
    if record is None:
        return {**data, "reason": "unreadable", "size": len(dead.value)}
    data |= {
        "reason": record.reason,
        "detail": record.detail,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "at": record.at,
        "size": record.size,
        "cut": record.cut,
    }
    if whole:
        data |= {"value": record.value, "value_base64": record.value_base64}
    return data


def _cells(dead: Dead) -> tuple[str, ...]:
    record = dead.record
    if record is None:
        return (dead.place, "", "unreadable", "", "", _safe(dead.value)[:_SHOWN_CHARS])
    original = record.value if record.value is not None else f"base64 {record.value_base64}"
    return (
        dead.place,
        _when(record.at),
        record.reason,
        f"{record.topic}-{record.partition}:{record.offset}",
        _safe(dead.user or "")[:_SHOWN_CHARS],
        _safe(original[: 2 * _SHOWN_CHARS])[:_SHOWN_CHARS],
    )


def _safe(text: str | bytes) -> str:
    """``text`` with everything that a terminal could act on, or that hides, written as an escape."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="backslashreplace")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def _when(ts: int) -> str:
    try:
        return datetime.fromtimestamp(ts / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(ts)


def _table(title: str, *headings: str) -> Any:
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title, title_justify="left", title_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0, overflow="fold")
    return table


def _row(table: Any, *cells: str) -> None:
    """Add a row of plain text: nothing that came from events is read as markup."""
    from rich.text import Text  # noqa: PLC0415

    table.add_row(*(Text(_safe(cell)) for cell in cells))
