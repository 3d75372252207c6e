"""``nearline simulate``: shoppers with known intents, into a file or onto the topics."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from console.errors import ConsoleError
from console.invalid import problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stream.shoppers import Intent, ShopperRule

__all__ = ["rule_of", "simulate"]


def simulate(
    catalog: Annotated[
        str,
        typer.Option(
            help="What can be wanted: a catalogue file (.jsonl, .jsonl.gz, .parquet), or completejourney."
        ),
    ],
    shoppers: Annotated[int, typer.Option(min=1, help="How many.")] = 1_000,
    days: Annotated[float, typer.Option(min=0.001, help="How long.")] = 28.0,
    start: Annotated[
        str | None,
        typer.Option(help="When they begin: 2025-05-04T12:00 (UTC); so that they end now if not given."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same events.")] = 0,
    events: Annotated[int | None, typer.Option(min=1, help="At most this many events.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="How they behave, e.g. new_share=0.5 or noise=0.3 (repeatable)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File of events to write (.jsonl, .jsonl.gz); if not given, they are sent."),
    ] = None,
    intents: Annotated[
        Path | None, typer.Option(help="File (.jsonl) for who wanted what, with the events that showed it.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, help="Events per second to send; as fast as possible if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Simulate shoppers with habits, drift, noise and new intents, by a seed, over any catalogue."""
    from console.moment import moment  # noqa: PLC0415
    from console.output import console, print_json  # noqa: PLC0415
    from console.playing import play, print_sent  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.datasets import write_json_lines  # noqa: PLC0415
    from stream.shoppers import Population  # noqa: PLC0415

    began = moment(start, "--start") if start else int(time.time() * 1000 - days * 86_400_000)
    population = Population(
        _items(catalog), shoppers=shoppers, days=days, start=began, seed=seed, rule=rule_of(setting or [])
    )
    truth: dict[tuple[str, int], Intent] | None = {} if intents is not None else None
    drawn = population.events(limit=events, intents=truth)
    if out is None:
        sent = play(load_settings().stream.kafka, drawn, rate=rate, quiet=as_json)
        _write_truth(intents, truth)
        print_sent(sent, as_json=as_json)
        return
    count = write_json_lines(out, drawn)
    _write_truth(intents, truth)
    if as_json:
        print_json({"events": count, "intents": len(truth) if truth is not None else None, "file": str(out)})
    else:
        told = f" {len(truth):,} intents to {intents}." if truth is not None else ""
        console.print(f"Wrote {count:,} events to {out}.{told}")


def _items(source: str) -> Iterable[Mapping[str, Any]]:
    from stream.datasets import NAMES, FileDataset, open_dataset  # noqa: PLC0415

    dataset = open_dataset(source) if source in NAMES else FileDataset(catalog=Path(source))
    return dataset.catalog()


def rule_of(settings: list[str]) -> ShopperRule:
    """How shoppers behave, from settings such as ``noise=0.3``.

    Raises:
        ConsoleError: If one of them is unknown, or its value is none for it.
    """
    from stream.shoppers import ShopperRule  # noqa: PLC0415

    given = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConsoleError(f"--set {text!r} gives no value.", way_out="Write it as name=value.")
        given[name.strip()] = value.strip()
    try:
        return ShopperRule.model_validate(given)
    except ValidationError as error:
        raise ConsoleError(
            f"--set {problems(error, ShopperRule)}.",
            way_out=f"There are {', '.join(ShopperRule.model_fields)}.",
        ) from None


def _write_truth(path: Path | None, truth: dict[tuple[str, int], Intent] | None) -> None:
    from stream.datasets import write_json_lines  # noqa: PLC0415

    if path is not None and truth is not None:
        write_json_lines(path, (intent.as_row() for intent in truth.values()))
