"""``nearline send``: plays events onto the event topics."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stream.player import Sent


def send(
    source: Annotated[
        str,
        typer.Argument(
            help="completejourney, online-retail, or a file of events (.jsonl, .jsonl.gz, .parquet, .csv of Online Retail)."
        ),
    ],
    file: Annotated[Path | None, typer.Option(help="The CSV file of online-retail.")] = None,
    events: Annotated[int | None, typer.Option(min=1, help="Send at most this many.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Events per second; as fast as possible if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the synthesised browsing.")] = 0,
    user: Annotated[list[str] | None, typer.Option(help="Only this shopper's events (repeatable).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Send real or recorded events to the broker, keyed by shopper."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.datasets import open_dataset  # noqa: PLC0415
    from stream.kafka_clients import check_broker  # noqa: PLC0415
    from stream.player import Player  # noqa: PLC0415
    from stream.topics import create_topics  # noqa: PLC0415

    kafka = load_settings().stream.kafka
    dataset = open_dataset(source, file=file)
    asyncio.run(check_broker(kafka))
    create_topics(kafka)

    async def play() -> Sent:
        async with Player(kafka) as player:
            with console.status("sending") as status:

                def told(sent: Sent) -> None:
                    status.update(
                        f"sent {sent.events:,} events, {sent.events / max(sent.seconds, 1e-9):,.0f} a second"
                    )

                stream = dataset.raw_events(seed=seed, limit=events, users=set(user) if user else None)
                return await player.play(stream, rate=rate, told=None if as_json else told)

    sent = asyncio.run(play())
    if as_json:
        print_json({"sent": sent.events, "by_topic": dict(sent.by_topic), "seconds": sent.seconds})
        return
    per_topic = ", ".join(f"{topic} {count:,}" for topic, count in sent.by_topic.most_common())
    console.print(f"Sent {sent.events:,} events in {sent.seconds:.1f} s: {per_topic}.")
