"""``nearline trends``: what documents ask for now, as queries that the shop can answer."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from console.errors import ConsoleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.settings import AgentSettings
    from agents.trends import Document, Mined

__all__ = ["app"]

app = typer.Typer(help="Mine trends from documents.", no_args_is_help=True, rich_markup_mode=None)

_SHOWN: Final = 30
_REFUSED_SHOWN: Final = 5
_MODEL_BATCH: Final = 16
_MODEL_S: Final = 600.0


@app.callback()
def _group() -> None:
    """Mine trends from documents."""


@app.command("mine")
def mine_documents(
    path: Annotated[Path, typer.Argument(help="A folder of .jsonl, .txt and .md files, or one such file.")],
    catalog: Annotated[
        Path | None, typer.Option(help="Folder of a built catalogue; the configured one if not given.")
    ] = None,
    relevant: Annotated[
        float, typer.Option(min=-1, max=1, help="Least cosine of a phrase to one of the shop's categories.")
    ] = 0.3,
    merged: Annotated[
        float, typer.Option(min=-1, max=1, help="Least cosine of phrases that are one trend.")
    ] = 0.82,
    model: Annotated[
        bool, typer.Option(help="Let the configured language model name the selling points.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all trends as JSON.")] = False,
) -> None:
    """Print the trends that documents speak of: query, category, sources, age and weight."""
    from agents.trends import Refused, Topics, mine, points, read_documents  # noqa: PLC0415
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from console.verbs.evaluation.options import telling  # noqa: PLC0415
    from index.built.catalog import Catalog  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415

    settings = load_settings()
    with telling(quiet=as_json) as tell:
        tell("reading")
        read = list(read_documents(path))
        documents = [one for one in read if not isinstance(one, Refused)]
        refused = [one for one in read if isinstance(one, Refused)]
        if not documents:
            first = f" {refused[0].where}: {refused[0].reason}." if refused else ""
            raise ConsoleError(
                f"{path} has no document.{first}", way_out="Give texts, or JSON Lines with text and ts."
            )
        shop = Catalog.open(catalog or settings.index.catalog)
        encoder = open_encoder(settings.index.encoder)
        tell("encoding the shop's categories")
        titles = {
            name: [shop.title(int(row)) for row in shop.rows_of_category(name)] for name in shop.categories
        }
        topics = Topics.of(titles, encoder)
        named = {}
        if model:
            tell("asking the language model")
            named = _named(documents, settings.agents)
        tell("merging")
        mined = mine(
            documents,
            topics,
            encoder,
            now=int(time.time() * 1000),
            relevant=relevant,
            merged=merged,
            named=lambda one: named.get(one.document_id) or points(one),
        )
    now = int(time.time() * 1000)
    if as_json:
        print_json(
            {
                "documents": len(documents),
                "refused": [{"where": one.where, "reason": one.reason} for one in refused],
                "irrelevant": mined.irrelevant,
                "repeated": mined.repeated,
                "trends": [_plain(one, now) for one in mined.trends],
            }
        )
        return
    _show(mined, documents, now)
    for one in refused[:_REFUSED_SHOWN]:
        console.print(f"left out: {one.where}: {one.reason}", markup=False)
    if len(refused) > _REFUSED_SHOWN:
        console.print(f"left out: {len(refused) - _REFUSED_SHOWN:,} more")


def _plain(trend: Any, now: int) -> dict[str, Any]:
    return {
        "query": trend.query,
        "category": trend.category,
        "likeness": round(trend.likeness, 4),
        "weight": round(trend.weight(now), 4),
        "age_days": round(trend.age_days(now), 2),
        "first": trend.first,
        "last": trend.last,
        "phrases": trend.phrases,
        "sources": trend.sources,
    }


def _named(documents: Sequence[Document], settings: AgentSettings) -> dict[str, list[str]]:
    """The selling points that the configured model names, by document."""
    import asyncio  # noqa: PLC0415

    from agents import open_runtime, prompts  # noqa: PLC0415
    from agents.trends import points_by_model  # noqa: PLC0415

    async def ask() -> dict[str, list[str]]:
        runtime = open_runtime(settings, [one.title for one in documents])
        prompt = prompts.load("trend-points-1")
        found: dict[str, list[str]] = {}
        try:
            for start in range(0, len(documents), _MODEL_BATCH):
                part = documents[start : start + _MODEL_BATCH]
                deadline = time.monotonic() + _MODEL_S
                named = await points_by_model(part, runtime, prompt, seed=settings.seed, deadline=deadline)
                found.update((one.document_id, points) for one, points in zip(part, named, strict=True))
        finally:
            await runtime.close()
        return found

    return asyncio.run(ask())


def _show(mined: Mined, documents: Sequence[Document], now: int) -> None:
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415

    table = Table(
        title=f"{len(mined.trends):,} trends from {len(documents):,} documents "
        f"({len(mined.irrelevant):,} of nothing the shop has, {len(mined.repeated):,} read before)",
        title_justify="left",
    )
    for name in ("query", "category", "also"):
        table.add_column(name)
    for name in ("sources", "age, days", "weight"):
        table.add_column(name, justify="right")
    for one in mined.trends[:_SHOWN]:
        table.add_row(
            escape(one.query),
            escape(one.category),
            escape(", ".join(one.phrases[1:4])),
            str(len(one.sources)),
            f"{one.age_days(now):.1f}",
            f"{one.weight(now):.2f}",
        )
    console.print(table)
