"""``nearline slate``: what a shopper would be shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from console.errors import ConsoleError

if TYPE_CHECKING:
    from stream.slates import Slate, Trace


def slate(
    user: Annotated[str, typer.Argument(help="The shopper.")],
    top: Annotated[int, typer.Option(min=1, help="Show this many items.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the slate as it is in Redis.")] = False,
) -> None:
    """Show a shopper's slate."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415

    found, trace = asyncio.run(read_slate(load_settings().stream, user))
    if as_json:
        print_json(found)
        return
    titles = {c["item"]: c["title"] for c in trace.candidates} if trace else {}
    table = Table(title=Text(f"Slate of {user}: version {found.version}, rung {found.rung}"))
    for heading in ("#", "item", "title", "channel", "for the demand", "why", "score"):
        table.add_column(heading, justify="right" if heading in {"#", "score"} else "left")
    for place, candidate in enumerate(found.candidates[:top], 1):
        cells = (
            str(place),
            candidate.item,
            titles.get(candidate.item, ""),
            candidate.channel,
            candidate.query,
            candidate.why,
            f"{candidate.score:.4f}",
        )
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


async def read_slate(settings: object, user: str) -> tuple[Slate, Trace | None]:
    """A shopper's slate and its trace. Raises :class:`ConsoleError` if there is no slate."""
    from stream.redis_client import connect_redis  # noqa: PLC0415
    from stream.settings import StreamSettings  # noqa: PLC0415
    from stream.slates import SlateStore  # noqa: PLC0415

    assert isinstance(settings, StreamSettings)  # noqa: S101
    redis = await connect_redis(settings.redis)
    try:
        store = SlateStore(redis, settings.redis.prefix, settings.slates)
        found = await store.slate(user)
        if found is None:
            raise ConsoleError(
                f"There is no slate for {user!r}: no rule has fired for this shopper, or the slate has expired.",
                way_out="Its storefront shows nl:popular:{category} meanwhile.",
            )
        return found, await store.trace(user)
    finally:
        await redis.aclose()
