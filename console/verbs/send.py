"""``nearline send``: plays events onto the event topics."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import Annotated

import typer


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
    from console.playing import play, print_sent  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.datasets import open_dataset  # noqa: PLC0415

    dataset = open_dataset(source, file=file)
    stream = dataset.raw_events(seed=seed, limit=events, users=set(user) if user else None)
    print_sent(play(load_settings().stream.kafka, stream, rate=rate, quiet=as_json), as_json=as_json)
