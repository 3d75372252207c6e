"""``nearline explain``: why a shopper is shown what they are shown."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from console.errors import ConsoleError

if TYPE_CHECKING:
    from stream.settings import StreamSettings
    from stream.slates import Trace


def explain(
    user: Annotated[str | None, typer.Argument(help="The shopper.")] = None,
    item: Annotated[str | None, typer.Argument(help="One item of the slate; all if not given.")] = None,
    trace_id: Annotated[
        str | None,
        typer.Option("--trace", help="The slate that an OpenTelemetry trace led to, in place of USER."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole chain as JSON.")] = False,
) -> None:
    """Print the chain of a slate: events, trigger, prompt, demands, ranks, timings."""
    from console.output import print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415

    if (user is None) == (trace_id is None):
        raise ConsoleError(
            "Expected a shopper or a trace, and not both.",
            way_out="`nearline explain USER`, or `nearline explain --trace ID`.",
        )
    stream = load_settings().stream
    trace = asyncio.run(
        _chain_of_user(stream, user) if user is not None else _chain_of_trace(stream, trace_id or "")
    )
    user = trace.user
    chosen = [(place, c) for place, c in enumerate(trace.candidates, 1) if item in {None, c["item"]}]
    if item is not None and not chosen:
        raise ConsoleError(
            f"Item {item!r} is not in the slate of {user!r}.",
            way_out=f"`nearline slate {user}` lists what is.",
        )
    if as_json:
        print_json(trace if item is None else {"user": user, "position": chosen[0][0], **chosen[0][1]})
        return
    print_chain(trace, chosen)


async def _chain_of_user(stream: StreamSettings, user: str) -> Trace:
    from console.verbs.slate import read_slate  # noqa: PLC0415

    _, trace = await read_slate(stream, user)
    if trace is None:
        raise ConsoleError(
            f"The slate of {user!r} has no trace any more.",
            way_out="Traces live as long as slates; read it sooner.",
        )
    return trace


async def _chain_of_trace(stream: StreamSettings, trace_id: str) -> Trace:
    from stream.redis_client import connect_redis  # noqa: PLC0415
    from stream.slates import SlateStore  # noqa: PLC0415

    wanted = trace_id.strip().lower()
    if not re.fullmatch("[0-9a-f]{32}", wanted):
        raise ConsoleError(
            f"{trace_id!r} is no trace id.",
            way_out="It is 32 hexadecimal digits; your tracing tool shows it.",
        )
    redis = await connect_redis(stream.redis)
    try:
        trace = await SlateStore(redis, stream.redis.prefix, stream.slates).traced(wanted)
    finally:
        await redis.aclose()
    if trace is None:
        raise ConsoleError(
            f"No slate of trace {wanted} is kept.",
            way_out="It led to none (its trigger was overtaken), was not sampled, or is older than "
            f"stream.slates.ttl_s ({stream.slates.ttl_s} s).",
        )
    return trace


def print_chain(trace: Trace, chosen: list[tuple[int, dict[str, Any]]], most: int = 10) -> None:
    """Print a trace for people; at most ``most`` of the candidates."""
    from console.output import console  # noqa: PLC0415

    fired = trace.fired
    console.print(
        Text(f"Shopper {trace.user}, slate version {trace.version}, made {_when(trace.made_at)}", "bold")
    )
    events = _table("What they did", "time", "did", "what", "category")
    for event in trace.events:
        _row(events, _when(event["ts"]), event["type"], event["text"], event["category"])
    console.print(events)
    console.print(
        Text(
            f"Trigger {trace.trigger}: rule {fired['rule']} (rules {fired['rules']}) fired on event {fired['event_id']}."
            + (f" Trace {trace.trace_id}." if trace.trace_id else "")
        )
    )
    prompt = trace.prompt
    console.print(
        Text(
            f"Rung {trace.rung}; prompt {prompt['version']}, model {prompt['model']} ({prompt['runtime']}), "
            f"{prompt['prompt_tokens']} tokens in, {prompt['output_tokens']} out."
            + (f" {trace.note}" if trace.note else "")
        )
    )
    demands = _table(
        "What they may want next", "demand", "kind", "confidence", "weight", "evidence", "verdict"
    )
    for demand in trace.demands:
        confidence = demand.get("confidence")
        _row(
            demands,
            _asked(demand),
            _kind(demand),
            "" if confidence is None else f"{confidence:.2f}",
            _weight(demand.get("weight") or {}),
            ", ".join(demand["evidence"][:3]),
            "kept",
        )
    for rejected in trace.rejected:
        _row(demands, rejected["query"], "", "", "", "", f"rejected: {rejected['reason']}")
    console.print(demands)
    if trace.pool:
        found = ", ".join(f"{channel} {size}" for channel, size in trace.pool.items() if channel != "all")
        console.print(Text(f"Chosen from {trace.pool.get('all', 0)} items ({found})."))
    slate = _table(
        "What they are shown",
        "#",
        "item",
        "title",
        "channel",
        "ranks (demand: place)",
        "score = sum of parts",
    )
    for place, candidate in chosen[:most]:
        ranks = ", ".join(f"{query}: {rank}" for query, rank in candidate["ranks"].items())
        _row(
            slate,
            str(place),
            candidate["item"],
            candidate["title"],
            candidate["channel"],
            ranks,
            _sum(candidate["score"], candidate.get("parts") or {}),
        )
    console.print(slate)
    if len(chosen) > most:
        console.print(Text(f"... and {len(chosen) - most} more (--json shows all)."))
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in trace.timings_ms.items())
    console.print(Text(f"Milliseconds by stage: {stages}."))


def _asked(demand: dict[str, Any]) -> str:
    """A demand, with the shopper's own spelling where it was mended."""
    own = demand.get("asked")
    return f"{demand['query']} (asked: {own})" if own else str(demand["query"])


def _kind(demand: dict[str, Any]) -> str:
    """What a demand is to the shopper, with the leads under which the model wrote it."""
    leads = demand.get("leads")
    return f"{demand['kind']} ({', '.join(leads)})" if leads else str(demand["kind"])


def _sum(score: float, parts: dict[str, float]) -> str:
    """A score and what it is made of; traces of earlier workers have no parts."""
    if not parts:
        return f"{score:.5f}"
    terms = "".join(f" {'-' if part < 0 else '+'} {name} {abs(part):.4f}" for name, part in parts.items())
    return f"{score:.4f} = {terms.removeprefix(' + ').lstrip()}"


def _weight(told: dict[str, float]) -> str:
    """A demand's weight, and by what its logarithm was raised or lowered."""
    if "weight" not in told:
        return ""
    parts = [f"{name} {part:+.2f}" for name, part in told.items() if name not in {"given", "weight"}]
    return f"{told['weight']:.2f}" + (f" ({', '.join(parts)})" if parts else "")


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in headings:
        table.add_column(heading)
    return table


def _row(table: Table, *cells: str) -> None:
    """Add a row of plain text: nothing that came from events or the catalogue is read as markup."""
    table.add_row(*(Text(cell) for cell in cells))


def _when(ts: float) -> str:
    return datetime.fromtimestamp(ts / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
