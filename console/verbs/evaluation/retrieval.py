"""``nearline eval retrieval``: queries in words against graded judgments."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.errors import ConsoleError

if TYPE_CHECKING:
    from index.channels.channel import QueryChannel
    from index.channels.hybrid import Choice
    from index.evaluate.documents import Documents
    from index.evaluate.retrieval import Judgments, RetrievalResult

_CHANNELS = ("bm25", "lexical", "dense", "hybrid", "hybrid-cv")
_PARTS = ("lexical", "bm25", "dense")
_GRID = ((1.0,), (0.0, 0.5, 1.0, 2.0), (0.0, 0.1, 0.2, 0.35, 0.5))


def retrieval(
    catalog: Annotated[
        Path, typer.Option(help="Items as .jsonl, .csv, .tsv (each also with .gz) or .parquet.")
    ],
    judgments: Annotated[Path, typer.Option(help="CSV file with the columns query, docid, rating.")],
    channel: Annotated[
        list[str] | None,
        typer.Option(
            help="bm25 (one text an item), lexical (by fields), dense, hybrid (the three, with --weights), or "
            "hybrid-cv (weights chosen by cross-validation on these judgments); repeat for more."
        ),
    ] = None,
    weights: Annotated[
        tuple[float, float, float] | None,
        typer.Option(min=0, help="Weights of lexical, bm25 and dense in `hybrid`; 1 1 0.35 if not given."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of resampling and folds.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """NDCG@10, Recall@100 and latency of channels of queries, against graded judgments."""
    from console.output import console, print_json  # noqa: PLC0415
    from index.evaluate.documents import read_documents  # noqa: PLC0415
    from index.evaluate.retrieval import measure_channel, read_judgments  # noqa: PLC0415

    names = list(dict.fromkeys(channel or _CHANNELS))
    for name in names:
        if name not in _CHANNELS:
            raise ConsoleError(
                f"There is no channel {name!r} of queries.", way_out=f"Give one of {', '.join(_CHANNELS)}."
            )
    documents = read_documents(catalog)
    judged = read_judgments(judgments, documents.rows())
    made = _channels(names, documents, weights)
    results = {name: measure_channel(one, judged, seed=seed) for name, one in made.items() if name in names}
    chosen = None
    if "hybrid-cv" in names:
        chosen, results["hybrid-cv"] = _cross_validated(made, judged, folds, seed)
    report = _report(documents, judged, results, chosen)
    if as_json:
        print_json(report)
        return
    _show(report, f"{catalog.name}, {judgments.name}")
    for line in documents.examples:
        console.print(f"rejected: {line}", markup=False)


def _channels(
    names: list[str], documents: Documents, weights: tuple[float, float, float] | None
) -> dict[str, QueryChannel]:
    from console.settings import load_settings  # noqa: PLC0415
    from index.channels.dense import Dense  # noqa: PLC0415
    from index.channels.hybrid import WEIGHTS, Hybrid  # noqa: PLC0415
    from index.channels.lexical import Lexical  # noqa: PLC0415
    from index.settings import open_encoder  # noqa: PLC0415

    made: dict[str, QueryChannel] = {}
    fused = bool(set(names) & {"hybrid", "hybrid-cv"})
    if fused or "bm25" in names:
        flat = zip(
            *(documents.fields[name] for name in ("title", "name", "description", "brand")), strict=True
        )
        made["bm25"] = Lexical.build({"whole": [" ".join(parts) for parts in flat]})
    if fused or "lexical" in names:
        made["lexical"] = Lexical.build(documents.fields)
    if fused or "dense" in names:
        encoder = open_encoder(load_settings().index.encoder)
        made["dense"] = Dense(encoder, encoder.encode(documents.fields["title"]))
    if "hybrid" in names:
        made["hybrid"] = Hybrid(tuple(made[name] for name in _PARTS), weights or WEIGHTS)
    return made


def _cross_validated(
    made: dict[str, QueryChannel], judged: Judgments, folds: int, seed: int
) -> tuple[Choice, RetrievalResult]:
    from index.channels.hybrid import choose_weights  # noqa: PLC0415
    from index.evaluate.retrieval import LIST, measure, summarise  # noqa: PLC0415

    lists = [made[name].answer(judged.queries, LIST) for name in _PARTS]

    def quality(found: Any) -> Any:
        values = measure(judged, found)
        return values["NDCG@10"] + values["NDCG@10 judged only"]

    chosen = choose_weights(lists, quality, grid=_GRID, folds=folds, seed=seed, depth=LIST)
    return chosen, summarise(judged, chosen.held_out, seed=seed)


def _report(
    documents: Documents, judged: Judgments, results: dict[str, RetrievalResult], chosen: Choice | None
) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415

    channels: dict[str, Any] = {}
    for name, result in results.items():
        channels[name] = dict(result.values)
        if result.ms:
            p50, p99 = np.quantile(result.ms, [0.5, 0.99])
            channels[name] |= {"ms_p50": float(p50), "ms_p99": float(p99)}
    if chosen is not None:
        channels["hybrid-cv"] |= {
            "weights": list(chosen.weights),
            "weights_by_fold": [list(weights) for weights in chosen.by_fold],
        }
    return {
        "items": len(documents.ids),
        "rejected_items": dict(documents.rejects),
        "queries": len(judged.queries),
        "unanswerable_queries": list(judged.unanswerable),
        "judgments_of_unknown_documents": len(judged.unknown),
        "first_unknown": [{"line": line, "docid": item} for line, item in judged.unknown[:10]],
        "judged_twice": judged.twice,
        "channels": channels,
    }


def _show(report: dict[str, Any], title: str) -> None:
    from rich.table import Table  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415
    from index.evaluate.retrieval import MEASURES  # noqa: PLC0415

    table = Table(
        title=f"{title}: {report['queries']} queries, {report['items']:,} items", title_justify="left"
    )
    table.add_column("channel")
    for name in (*MEASURES, "ms p50", "ms p99"):
        table.add_column(name, justify="right")
    for name, values in report["channels"].items():
        cells = [
            f"{values[one].mean:.3f} ({values[one].low:.3f} to {values[one].high:.3f})" for one in MEASURES
        ]
        times = [f"{values[one]:.1f}" if one in values else "" for one in ("ms_p50", "ms_p99")]
        table.add_row(name, *cells, *times)
    console.print(table)
    cv = report["channels"].get("hybrid-cv")
    if cv:
        console.print(
            f"hybrid-cv: each query is measured with the weights of {', '.join(_PARTS)} chosen without it, "
            f"{cv['weights_by_fold']} by fold; on all queries {cv['weights']}.",
            markup=False,
        )
    unknown = report["judgments_of_unknown_documents"]
    if unknown:
        console.print(f"passed over: {unknown:,} judgments of documents the catalogue lacks.", markup=False)
