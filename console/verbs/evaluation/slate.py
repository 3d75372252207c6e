"""``nearline eval slate``: slates against what shoppers bought next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from console.errors import ConsoleError
from console.verbs.evaluation.options import (
    AsJson,
    Catalog,
    Cutoff,
    Events,
    Seed,
    of_training,
    telling,
)
from console.verbs.evaluation.purchases import moment_of, read_purchases

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from index.encoders.encoder import Vectors
    from index.evaluate.slate import Result, Rule, Split, Task

_DEFAULT = (
    "popularity",
    "personal-frequency",
    "item-knn",
    "ease",
    "titles",
    "behaviour",
    "user-knn",
    "fused",
)


def slate(
    events: Events,
    cutoff: Cutoff,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="A channel to measure; repeat for more. `all` for every one."),
    ] = None,
    rule: Annotated[
        Literal["novel", "all", "both"],
        typer.Option(help="Only items new to the shopper, all items, or both."),
    ] = "both",
    catalog: Catalog = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Hit rate, recall, NDCG and coverage of slates for the day each shopper came back after the cutoff."""
    from console.output import console, print_json  # noqa: PLC0415
    from index.evaluate.slate import split  # noqa: PLC0415
    from index.evaluate.slate_channels import SLATE_CHANNELS  # noqa: PLC0415

    moment = moment_of(cutoff)
    names = _names(channel, tuple(SLATE_CHANNELS))
    bought = read_purchases(events, catalog, known_before=moment)
    cut = split(bought.log, moment)
    vectors = bought.vectors() if {"titles", "fused"} & set(names) else None
    rules: list[Rule] = ["novel", "all"] if rule == "both" else [rule]
    report: dict[str, Any] = {
        "events": str(events),
        "cutoff": cutoff,
        "lines": len(bought.log),
        "lines_before": len(cut.history),
        "rejected": dict(bought.rejects),
    }
    measured = _measure(rules, names, cut, vectors, bought.category, seed, quiet=as_json)
    for one in rules:
        report[one] = measured[one]
    if as_json:
        print_json(report)
        return
    for one in rules:
        _show(report[one], f"{one.upper()}, {events.name}, cutoff {cutoff}")
    for reason, count in bought.rejects.items():
        console.print(f"left out: {count:,} orders with {reason}", markup=False)


def _measure(
    rules: list[Rule],
    names: list[str],
    cut: Split,
    vectors: Vectors | None,
    category: npt.NDArray[np.int64] | None,
    seed: int,
    *,
    quiet: bool,
) -> dict[str, dict[str, Any]]:
    from index.evaluate.slate import evaluate  # noqa: PLC0415
    from index.evaluate.slate_channels import Channels, Source  # noqa: PLC0415

    tasks = {rule: cut.task(rule) for rule in rules}
    source = Source(cut.history, cut.cutoff, vectors, category)
    results: dict[Rule, dict[str, Result]] = {rule: {} for rule in rules}
    with telling(quiet=quiet) as tell:
        channels = Channels(source, rules, progress=of_training(tell))
        for name in names:
            for rule in rules:
                tell(f"{rule}: {name}")
                results[rule][name] = evaluate(channels.get(name, rule), tasks[rule], seed=seed)
    return {rule: _report(tasks[rule], results[rule], seed) for rule in rules}


def _report(task: Task, results: dict[str, Result], seed: int) -> dict[str, Any]:
    from index.evaluate.slate import compare  # noqa: PLC0415

    return {
        "shoppers": len(task.users),
        "offered": int(task.offered.sum()),
        "unseen_share": task.unseen,
        "channels": {
            name: {
                **result.metrics.values,
                "coverage@20": result.metrics.coverage[20],
                "coverage@50": result.metrics.coverage[50],
                "ms_per_shopper": result.ms_each,
                **(
                    {"NDCG@20 less ease": compare(result, results["ease"], "NDCG@20", seed=seed)}
                    if "ease" in results
                    else {}
                ),
            }
            for name, result in results.items()
        },
    }


def _show(measured: dict[str, Any], title: str) -> None:
    from rich.table import Table  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415

    table = Table(
        title=f"{title}: {measured['shoppers']:,} shoppers, {measured['offered']:,} items on offer, "
        f"{measured['unseen_share']:.1%} of the targets unseen before",
        title_justify="left",
    )
    shown = ("HR@20", "NDCG@20", "Recall@20", "HR@50", "NDCG@50", "Recall@50")
    table.add_column("channel")
    for name in (*shown, "coverage@50", "ms"):
        table.add_column(name, justify="right")
    for name, values in measured["channels"].items():
        cells = [f"{values[one].mean:.4f} ±{(values[one].high - values[one].low) / 2:.4f}" for one in shown]
        table.add_row(name, *cells, f"{values['coverage@50']:.3f}", f"{values['ms_per_shopper']:.2f}")
    console.print(table)


def _names(asked: list[str] | None, known: tuple[str, ...]) -> list[str]:
    if not asked:
        return list(_DEFAULT)
    names = list(known) if "all" in asked else list(dict.fromkeys(asked))
    for name in names:
        if name not in known:
            raise ConsoleError(
                f"There is no channel {name!r} of slates.", way_out=f"Give one of {', '.join(known)}."
            )
    return names
