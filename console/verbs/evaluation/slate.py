"""``nearline eval slate``: slates against what shoppers bought next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from console.errors import ConsoleError

if TYPE_CHECKING:
    from index.encoder import Vectors
    from index.evaluate.slate import Result, Rule, Split

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
    events: Annotated[
        Path,
        typer.Option(
            help="Purchases: a CSV file of Online Retail, or events as .jsonl, .jsonl.gz, .parquet."
        ),
    ],
    cutoff: Annotated[str, typer.Option(help="Day (2011-09-01, 00:00 UTC) that ends the history.")],
    channel: Annotated[
        list[str] | None,
        typer.Option(help="A channel to measure; repeat for more. `all` for every one."),
    ] = None,
    rule: Annotated[
        Literal["novel", "all", "both"],
        typer.Option(help="Only items new to the shopper, all items, or both."),
    ] = "both",
    catalog: Annotated[
        Path | None, typer.Option(help="Titles and categories of the items in a file of one's own events.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the resampling for confidence intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Hit rate, recall, NDCG and coverage of slates for the day each shopper came back after the cutoff."""
    from console.output import console, print_json  # noqa: PLC0415
    from index.evaluate.orders import take_orders  # noqa: PLC0415
    from index.evaluate.slate import split  # noqa: PLC0415
    from index.evaluate.slate_channels import SLATE_CHANNELS  # noqa: PLC0415
    from stream.datasets import open_dataset  # noqa: PLC0415

    moment = _moment(cutoff)
    names = _names(channel, tuple(SLATE_CHANNELS))
    dataset = open_dataset(str(events), catalog=catalog)
    items = _items(dataset, events, catalog, moment)
    orders = take_orders(dataset.orders(), list(items))
    cut = split(orders.log, moment)
    titles = [str(items.get(item, {}).get("title") or "") for item in orders.log.items]
    vectors = _vectors(titles) if any(titles) and {"titles", "fused"} & set(names) else None
    categories = [str(items.get(item, {}).get("category") or "") for item in orders.log.items]
    rules: list[Rule] = ["novel", "all"] if rule == "both" else [rule]
    report: dict[str, Any] = {
        "events": str(events),
        "cutoff": cutoff,
        "lines": len(orders.log),
        "lines_before": len(cut.history),
        "rejected": dict(orders.rejects),
    }
    for one in rules:
        report[one] = _measure(one, names, cut, vectors, categories, seed, quiet=as_json)
    if as_json:
        print_json(report)
        return
    for one in rules:
        _show(report[one], f"{one.upper()}, {events.name}, cutoff {cutoff}")
    for reason, count in orders.rejects.items():
        console.print(f"left out: {count:,} orders with {reason}", markup=False)


def _measure(
    rule: Rule,
    names: list[str],
    cut: Split,
    vectors: Vectors | None,
    categories: list[str],
    seed: int,
    *,
    quiet: bool,
) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415
    from rich.status import Status  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415
    from index.evaluate.slate import compare, evaluate  # noqa: PLC0415
    from index.evaluate.slate_channels import Source, make_channel  # noqa: PLC0415

    task = cut.task(rule)
    codes = {name: code for code, name in enumerate(dict.fromkeys(categories))}
    category = np.array([codes[name] for name in categories], dtype=np.int64) if any(categories) else None
    source = Source(cut.history, cut.cutoff, vectors, category)
    results: dict[str, Result] = {}
    for name in names:
        with Status(f"{rule}: {name}", console=console) as status:
            if quiet:
                status.stop()

            def told(done: int, whole: int, name: str = name, status: Status = status) -> None:
                status.update(f"{rule}: {name}, learning from earlier moments {done}/{whole}")

            results[name] = evaluate(make_channel(name, source, rule, progress=told), task, seed=seed)
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


def _moment(cutoff: str) -> int:
    try:
        day = datetime.strptime(cutoff, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConsoleError(
            f"The cutoff {cutoff!r} is no day.", way_out="Give it as year, month and day: 2011-09-01."
        ) from error
    return int(day.timestamp()) * 1000


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


def _items(dataset: Any, events: Path, catalog: Path | None, moment: int) -> dict[str, dict[str, Any]]:
    """The items by id; of a shop's invoices as they read before the cutoff, then those sold only later."""
    from stream.datasets import OnlineRetail  # noqa: PLC0415

    items: dict[str, dict[str, Any]] = {}
    if isinstance(dataset, OnlineRetail):
        for row in OnlineRetail(events, known_before=moment).catalog():
            items[row["item_id"]] = row
    if catalog is not None or isinstance(dataset, OnlineRetail):
        for row in dataset.catalog():
            items.setdefault(str(row.get("item_id", "")), row)
    items.pop("", None)
    return items


def _vectors(titles: list[str]) -> Vectors:
    from console.settings import load_settings  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415

    return open_encoder(load_settings().index.encoder).encode([title or "-" for title in titles])
