"""``nearline eval encoder``: what a trained encoder makes of good demands, beside the general one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.verbs.evaluation.options import (  # noqa: TC001  # typer reads the annotations at run time
    AsJson,
    Catalog,
    Cutoff,
    Events,
)
from console.verbs.evaluation.purchases import moment_of, read_purchases

if TYPE_CHECKING:
    from index.encoders.encoder import Encoder

_PARTS = 500


def encoder(
    events: Events,
    cutoff: Cutoff,
    trained: Annotated[
        list[Path] | None,
        typer.Option(
            "--encoder", help="Folder of a trained encoder, learnt before the cutoff; repeat for more."
        ),
    ] = None,
    catalog: Catalog = None,
    base: Annotated[
        Path | None, typer.Option(help="Folder of the general encoder; the packaged one if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of resampling and of the parts of titles.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Recall of slates from the titles of EASE^R's top five items, ten items each, by encoder."""
    from rich.status import Status  # noqa: PLC0415

    from console.output import console, print_json  # noqa: PLC0415
    from index.evaluate.metrics import bootstrap  # noqa: PLC0415

    with Status("reading", console=console) as status:
        if as_json:
            status.stop()
        report, values = _measured(events, cutoff, trained or [], catalog, base, seed, status.update)
    first = values["general"]
    for name, one in values.items():
        if name != "general":
            report["encoders"][name]["Recall@50 beyond general"] = bootstrap(one - first, seed=seed)
    if as_json:
        print_json(report)
        return
    _show(report, f"NOVEL, {events.name}, cutoff {cutoff}: {report['shoppers']:,} shoppers")
    if report["learnt_later"]:
        console.print(
            f"learnt from days on or after the cutoff, so no fair comparison: {', '.join(report['learnt_later'])}",
            markup=False,
        )


def _measured(
    events: Path,
    cutoff: str,
    trained: list[Path],
    catalog: Path | None,
    base: Path | None,
    seed: int,
    tell: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    import numpy as np  # noqa: PLC0415

    from index.channels.behaviour import Behaviour  # noqa: PLC0415
    from index.encoder_training.lessons import parts_of  # noqa: PLC0415
    from index.evaluate.encoder import measure_reach, measure_words, slates_of, wants_of  # noqa: PLC0415
    from index.evaluate.slate import evaluate, split  # noqa: PLC0415

    moment = moment_of(cutoff)
    bought = read_purchases(events, catalog, known_before=moment)
    cut = split(bought.log, moment)
    task = cut.task("novel")
    wants = wants_of(cut.history, task)
    titled = np.array([bool(title) for title in bought.titles])
    texts = list(dict.fromkeys(title for title in bought.titles if title))
    parts = parts_of(texts, _PARTS, seed + 1)
    number = {text: at for at, text in enumerate(texts)}
    row = np.array([number.get(title, 0) for title in bought.titles], dtype=np.int64)
    report: dict[str, Any] = {
        "events": str(events),
        "cutoff": cutoff,
        "shoppers": len(task.users),
        "titles": len(texts),
        "encoders": {},
        "learnt_later": [str(path) for path in trained if _until(path) > cutoff],
        "rejected": dict(bought.rejects),
    }
    values: dict[str, Any] = {}
    for name, path in [("general", base), *((str(path), path) for path in trained)]:
        tell(f"{name}: encoding {len(texts):,} titles")
        one = _open(path)
        vectors = one.encode(texts)
        reach = measure_reach(slates_of(vectors[row], wants, task, titled=titled), task, seed=seed)
        report["encoders"][name] = {
            **reach.values,
            "items": reach.items,
            "words_find_title@10": measure_words(one, texts, vectors, parts, seed=seed),
            "fingerprint": one.fingerprint,
        }
        values[name] = reach.shopper_values["Recall@50"]
    report["ease"] = dict(evaluate(Behaviour.ease(cut.history), task, seed=seed).metrics.values)
    return report, values


def _open(path: Path | None) -> Encoder:
    from index.encoders.local import SentenceTransformerEncoder  # noqa: PLC0415

    return SentenceTransformerEncoder(path)


def _until(folder: Path) -> str:
    """The day before which an encoder's lessons end; empty where it does not say."""
    import json  # noqa: PLC0415

    try:
        return str(json.loads((folder / "training.json").read_text(encoding="utf-8")).get("until", ""))
    except (OSError, ValueError):
        return ""


def _show(report: dict[str, Any], title: str) -> None:
    from rich.table import Table  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415

    table = Table(title=title, title_justify="left")
    for name in ("encoder", "Recall@50", "HR@50", "NDCG@20", "items", "words find title@10"):
        table.add_column(name, justify="left" if name == "encoder" else "right")
    for name, one in report["encoders"].items():
        recall, words = one["Recall@50"], one["words_find_title@10"]
        table.add_row(
            Path(name).name,
            f"{recall.mean:.4f} ({recall.low:.4f} to {recall.high:.4f})",
            f"{one['HR@50'].mean:.4f}",
            f"{one['NDCG@20'].mean:.4f}",
            f"{one['items']:.1f}",
            f"{words.mean:.3f}",
        )
    ease = report["ease"]
    table.add_row(
        "(EASE^R's own 50)",
        f"{ease['Recall@50'].mean:.4f}",
        f"{ease['HR@50'].mean:.4f}",
        f"{ease['NDCG@20'].mean:.4f}",
    )
    console.print(table)
