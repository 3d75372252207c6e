"""``nearline record``: what topics hold, into a folder that can be replayed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated

import typer

from console.errors import ConsoleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.settings import Settings
    from stream.replay.manifest import Manifest
    from stream.replay.recorder import Progress as Recorded
    from stream.replay.recorder import Wanted

_RELATIVE = re.compile(r"\s*\d+(?:\.\d+)?[smhdw](?: ago)?\s*")


def record(
    out: Annotated[Path, typer.Option(help="Folder of the capture; one that was interrupted goes on.")],
    topics: Annotated[
        str | None,
        typer.Option(
            help="Topics, separated by commas; all event topics and the catalog topic if not given."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="From this time of sending on: 24h (ago), or 2025-05-04T12:00 (UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Up to this time of sending; now if not given.")] = None,
    last: Annotated[
        str | None, typer.Option(help="The last so much, such as 1h: the same as --since.")
    ] = None,
    users: Annotated[str | None, typer.Option(help="Only these shoppers, separated by commas.")] = None,
    sample: Annotated[
        float, typer.Option(help="Share of the shoppers to record, each with all they did.")
    ] = 1.0,
    rules: Annotated[
        bool, typer.Option(help="Record the versions of the rules and where they changed, from Redis.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Record topics into a folder: events, changes of the catalogue, and the rules that were in force."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415

    if since is not None and last is not None:
        raise ConsoleError("--since and --last say the same.", way_out="Give one of them.")
    settings = load_settings()
    wanted = _wanted(
        settings,
        out,
        topics,
        (since if last is None else last, until),
        users,
        sample,
        "--since" if last is None else "--last",
    )
    manifest = _record(settings, wanted, out, rules, quiet=as_json)
    if as_json:
        print_json(manifest)
        return
    console.print(_told(manifest, out), markup=False)


def _wanted(
    settings: Settings,
    out: Path,
    topics: str | None,
    between: tuple[str | None, str | None],
    users: str | None,
    sample: float,
    option: str,
) -> Wanted:
    from console.moment import moment  # noqa: PLC0415
    from stream.replay.manifest import MANIFEST, Manifest  # noqa: PLC0415
    from stream.replay.recorder import Wanted  # noqa: PLC0415

    asked = Manifest.load(out).asked if (out / MANIFEST).exists() else None

    def when(text: str | None, option: str, before: int | None) -> int | None:
        if text is None:
            return None
        # `1h` means another hour by the time an interrupted recording goes on.
        return before if before is not None and _RELATIVE.fullmatch(text) else moment(text, option)

    prefix = settings.stream.kafka.prefix
    return Wanted(
        topics=tuple(prefix + name.strip() for name in topics.split(",") if name.strip()) if topics else None,
        since=when(between[0], option, asked.since if asked else None),
        until=when(between[1], "--until", asked.until if asked else None),
        users=frozenset(name.strip() for name in (users or "").split(",") if name.strip()),
        sample=sample,
    )


def _record(settings: Settings, wanted: Wanted, out: Path, rules: bool, *, quiet: bool) -> Manifest:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
    with bar:
        task = bar.add_task("connecting", total=None)

        def told(now: Recorded) -> None:
            bar.update(
                task,
                description=f"{now.read:,} read, {now.kept:,} kept, {now.parts - now.open} of {now.parts} partitions",
                total=now.parts,
                completed=now.parts - now.open,
            )

        return asyncio.run(_with_redis(settings, wanted, out, rules, told))


async def _with_redis(
    settings: Settings, wanted: Wanted, out: Path, rules: bool, told: Callable[[Recorded], None]
) -> Manifest:
    from stream.redis_client import connect_redis  # noqa: PLC0415
    from stream.replay.recorder import record as run  # noqa: PLC0415

    kafka = settings.stream.kafka
    if not rules:
        return await run(kafka, wanted, out, progress=told)
    redis = await connect_redis(settings.stream.redis)
    try:
        return await run(kafka, wanted, out, redis=(redis, settings.stream.redis.prefix), progress=told)
    finally:
        await redis.aclose()


def _told(manifest: Manifest, out: Path) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    span = " to ".join(
        f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}"
        for at in (manifest.earliest, manifest.latest)
        if at is not None
    )
    segments = [one for part in manifest.parts for one in part.segments]
    size = sum(one.bytes for one in segments) / 2**20
    lines = [
        f"{manifest.records:,} records sent from {span} UTC, in {len(segments)} files of {size:.1f} MiB: {out}"
    ]
    counts: dict[str, int] = {}
    for part in manifest.parts:
        counts[part.topic] = counts.get(part.topic, 0) + part.records
    lines += [f"  {topic}: {count:,}" for topic, count in counts.items() if count]
    if manifest.scanned:
        lines.append(
            "The broker's offsets for a time are wrong or missing, so its topics were read from their start."
        )
    lines += manifest.notes
    return "\n".join(lines)
