"""``nearline rules simulate``: what rules would have done, and what that would have cost."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.errors import ConsoleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from console.settings import Settings
    from stream.gate.rules.ruleset import RuleSet
    from stream.infer.shopper import Titles
    from stream.simulate import Firing, History, Report

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def simulate(
    file: Annotated[Path, typer.Argument(help="The rules file to try.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Events: a file (.jsonl, .jsonl.gz, .parquet), completejourney, or a CSV of Online Retail.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Events of the broker's topics sent within this time, e.g. 24h; `all` for all they hold."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Rules to compare with: a rules file, or `current` for those in force.")
    ] = None,
    warm_up: Annotated[
        str | None,
        typer.Option(
            help="With --since: events of this time before it make the shoppers' state and do not count. "
            "The longest window or cooldown of the rules if not given; 0s for none."
        ),
    ] = None,
    events: Annotated[int | None, typer.Option(min=1, help="With --from: read at most this many.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of a dataset's synthesised browsing.")] = 0,
    seconds_per_call: Annotated[
        float | None, typer.Option(min=0, help="Seconds of the model for one call, as measured on yours.")
    ] = None,
    output_tokens: Annotated[
        float | None, typer.Option(min=0, help="Tokens the model writes in one call, as measured on yours.")
    ] = None,
    chars_per_token: Annotated[
        float | None, typer.Option(min=0.1, help="Characters of a prompt per token of your model.")
    ] = None,
    together: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds within which triggers of one shopper count as one call."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a plot of the firings to this file (.png).")
    ] = None,
    triggers: Annotated[
        Path | None, typer.Option(help="Write every firing to this file, one JSON object a line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run rules over events that have happened: firings, shoppers reached, overlap, change and cost."""
    from console.output import print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from console.verbs.simulate_print import print_report  # noqa: PLC0415
    from stream.gate.rules.ruleset import load_rules  # noqa: PLC0415

    if (source is None) == (since is None):
        raise ConsoleError(
            "Where do the events come from?", way_out="Give either --from FILE or --since 24h."
        )
    if plot is not None:
        from stream.simulate.plot import check_plot  # noqa: PLC0415

        check_plot(plot)  # before minutes of work, not after
    settings = load_settings()
    rules = load_rules(file)
    other = asyncio.run(_other(settings, against)) if against is not None else None
    ready, counts_from = _history(settings, source, since, events, seed, _warm_up_ms(warm_up, [rules, other]))
    rates = {
        name: value
        for name, value in (
            ("seconds_per_call", seconds_per_call),
            ("output_tokens", output_tokens),
            ("chars_per_token", chars_per_token),
            ("static_chars_per_token", chars_per_token),
            ("together_s", together),
        )
        if value is not None
    }
    with _firings(triggers) as told:
        report = _run(settings, rules, other, source, ready, counts_from, rates, told, quiet=as_json)
    if plot is not None:
        from stream.simulate.plot import draw  # noqa: PLC0415

        draw(report, plot)
    if as_json:
        print_json(report)
    else:
        print_report(report, plot)


def _run(
    settings: Settings,
    rules: RuleSet,
    other: RuleSet | None,
    source: str | None,
    history: History,
    counts_from: int | None,
    rates: dict[str, float],
    told: Callable[[Firing], None] | None,
    *,
    quiet: bool,
) -> Report:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    from stream.simulate import CostMeter, Rates, Simulation  # noqa: PLC0415
    from stream.simulate import simulate as run  # noqa: PLC0415

    categories, titles, note = _catalog(settings, source)
    history.notes.append(note)
    named = {**rates, **({"source": f"given; else {Rates().source}"} if rates else {})}
    measured = Rates(**named)  # type: ignore[arg-type]  # numbers and one text, each under its own name

    def meter() -> CostMeter:
        return CostMeter(measured, settings.agents, titles)

    simulation = Simulation(
        (rules, meter()),
        settings.stream.gate,
        against=(other, meter()) if other is not None else None,
        categories=categories,
        told=told,
    )
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
    with bar:
        task = bar.add_task("reading", total=None)

        def progress(count: int, share: float | None) -> None:
            total, done = (1.0, share) if share is not None else (None, None)
            bar.update(task, description=f"{count:,} events", total=total, completed=done)

        return asyncio.run(run(simulation, history, counts_from=counts_from, progress=progress))


def _history(
    settings: Settings, source: str | None, since: str | None, events: int | None, seed: int, warm_up_ms: int
) -> tuple[History, int | None]:
    """The events, and from when on (milliseconds) they count."""
    from stream.datasets import open_dataset  # noqa: PLC0415
    from stream.simulate import BrokerHistory, FileHistory  # noqa: PLC0415

    kafka, gate = settings.stream.kafka, settings.stream.gate
    if source is not None:
        return FileHistory(open_dataset(source), kafka, gate, events=events, seed=seed), None
    if events is not None:
        raise ConsoleError("--events goes with --from.", way_out="Leave it out, or shorten --since.")
    if since == "all" or since is None:
        return BrokerHistory(kafka, gate, None), None
    counts_from = time.time_ns() // 1_000_000 - _duration_ms("--since", since)
    history = BrokerHistory(kafka, gate, counts_from - warm_up_ms)
    history.notes.append(
        f"State was made from the {warm_up_ms / 3_600_000:g} h before, as far as the topics reach back; "
        "what shoppers did earlier is not known here and is live."
    )
    return history, counts_from


def _duration_ms(option: str, text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        raise ConsoleError(f"{option} {text!r} is no duration.", way_out="Give one such as 30m, 24h or 7d.")
    return int(float(match[1]) * _UNITS_S[match[2]] * 1000)


def _warm_up_ms(text: str | None, sets: list[RuleSet | None]) -> int:
    """What was asked for, or the longest that any rule looks back."""
    if text is not None:
        return _duration_ms("--warm-up", text)
    return max(
        max(rule.cooldown, rule.min_gap, *(condition.within for condition in rule.when.conditions))
        for rules in sets
        if rules is not None
        for rule in rules.rules
    )


async def _other(settings: Settings, against: str) -> RuleSet:
    """The rules to compare with."""
    from stream.gate.rules.book import RuleBook  # noqa: PLC0415
    from stream.gate.rules.ruleset import load_rules, parse_rules  # noqa: PLC0415
    from stream.redis_client import connect_redis  # noqa: PLC0415

    if against != "current":
        return load_rules(Path(against))
    redis = await connect_redis(settings.stream.redis)
    try:
        version = await RuleBook(redis, settings.stream.redis.prefix).current()
    finally:
        await redis.aclose()
    if version is None:  # nobody has set rules yet: workers run on their file
        return load_rules(settings.stream.gate.rules)
    return parse_rules(version.text, f"version {version.number}", strict=False)


def _catalog(settings: Settings, source: str | None) -> tuple[Mapping[str, str] | None, Titles, str]:
    """Categories, words, and what to say of them."""
    from index.built.catalog import Catalog  # noqa: PLC0415
    from index.errors import CatalogMissingError  # noqa: PLC0415
    from stream.simulate.cost import NoTitles  # noqa: PLC0415

    try:
        catalog = Catalog.open(settings.index.catalog)
    except CatalogMissingError:
        note = (
            f"There is no catalogue at {settings.index.catalog}: items have no category and no words, so rules per "
            "category see one category, and prompts are sized from searches alone."
        )
        return None, NoTitles(), note
    note = f"Categories and words are of the catalogue at {settings.index.catalog}"
    if source is not None:
        note += "; items of the events that it does not have count without their item"
    return catalog.category_of_item(), catalog, f"{note}."


@contextmanager
def _firings(path: Path | None) -> Iterator[Callable[[Firing], None] | None]:
    """Where every firing goes; nowhere without a path."""
    from stream.datasets import json_lines  # noqa: PLC0415

    if path is None:
        yield None
        return
    with json_lines(path) as out:
        yield out.write
