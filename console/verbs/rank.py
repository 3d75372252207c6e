"""``nearline rank``: learns to rank from what shoppers bought."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated

import typer

from console.errors import ConsoleError
from console.verbs.evaluation.options import Catalog, Events  # noqa: TC001  # typer reads the annotations at run time
from console.verbs.evaluation.purchases import read_purchases

if TYPE_CHECKING:
    from stream.settings import KafkaSettings

__all__ = ["app"]

app = typer.Typer(help="Learn to rank.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Learn to rank."""


@app.command()
def train(
    events: Events,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; by default `ranking` in the run folder.")
    ] = None,
    catalog: Catalog = None,
    slates: Annotated[
        Path | None,
        typer.Option(
            help="Records of nearline.slates as .jsonl or .jsonl.gz: learn the live ranker from these and the events that followed."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Learn the ranker and what goes together from purchases, or the live ranker from recorded slates; check, and save."""
    if slates is not None:
        _train_live(slates, events, out, as_json=as_json)
        return
    from rich.status import Status  # noqa: PLC0415

    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.ranking.training import Course  # noqa: PLC0415

    if not events.is_file():
        raise ConsoleError(f"There is no file {events}.", way_out="Name a file of purchases with --events.")
    place = out if out is not None else load_settings().run / "ranking"
    bought = read_purchases(events, catalog)
    with Status("", console=console) as status:
        if as_json:
            status.stop()
        course = Course(bought.log, bought.vectors(), tell=status.update)
        held_out = course.check()
        learnt = course.learn(held_out=held_out)
    learnt.manifest.update({"events": str(events), "rejected": dict(bought.rejects)})
    learnt.save(place)
    if as_json:
        print_json(learnt.manifest)
        return
    for rule in ("novel", "all"):
        fused, ease = held_out[rule]["fused"], held_out[rule]["ease"]
        console.print(
            f"{rule}: NDCG@20 {fused['NDCG@20']:.4f} (EASE^R {ease['NDCG@20']:.4f}), HR@50 {fused['HR@50']:.4f} "
            f"({ease['HR@50']:.4f}), {held_out[rule]['shoppers']:,} shoppers since {held_out['cutoff']}",
            markup=False,
            highlight=False,
        )
    for reason, count in bought.rejects.items():
        console.print(f"left out: {count:,} orders with {reason}", markup=False)
    console.print(f"saved in {place}", markup=False)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File to write, .jsonl or .jsonl.gz.")],
    days: Annotated[
        float | None, typer.Option(min=0, help="Only records of this many days; all if not given.")
    ] = None,
) -> None:
    """Write the recorded slates of nearline.slates to a file, for `nearline rank train --slates`."""
    import asyncio  # noqa: PLC0415
    import time  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415

    since = None if days is None else int((time.time() - days * 86_400) * 1000)
    written = asyncio.run(_export(load_settings().stream.kafka, out, since))
    console.print(f"{written:,} records of slates written to {out}", markup=False, highlight=False)


async def _export(kafka: KafkaSettings, out: Path, since: int | None) -> int:
    """Write the topic's records, one a line; return how many."""
    from stream.datasets import json_lines  # noqa: PLC0415
    from stream.recorded import RecordedTopics  # noqa: PLC0415

    with json_lines(out) as lines:
        async with RecordedTopics(kafka, [kafka.slates_topic]) as topics:
            parts = [tp for found in (await topics.partitions()).values() for tp in found]
            async for read, _ in topics.read(await topics.starts(parts, since)):
                for record in (one for records in read.values() for one in records if one.value):
                    lines.write(record.value)
    return lines.count


def _train_live(slates: Path, events: Path, out: Path | None, *, as_json: bool) -> None:
    """Learn `ranker-live.json` and put it into the folder of rankings, beside what purchases taught."""
    from console.output import console, print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.ranking.from_slates import join_events, learn_live  # noqa: PLC0415
    from index.ranking.live_ranker import LIVE_RANKER  # noqa: PLC0415
    from stream.datasets import FileDataset  # noqa: PLC0415

    records = FileDataset(events=slates).events()
    ranker = learn_live(join_events(records, FileDataset(events=events).events()))
    ranker.manifest["files"] = {"slates": slates.name, "events": events.name}
    settings = load_settings()
    place = (out or settings.index.ranking or settings.run / "ranking") / LIVE_RANKER
    ranker.save(place)
    if as_json:
        print_json(ranker.manifest)
        return
    held = ranker.manifest["held_out"]
    console.print(
        f"{ranker.manifest['slates']:,} slates with a response, of {ranker.manifest['counts']['slates']:,}; on the last "
        f"{held['slates']:,} of them NDCG@10 {held['learnt NDCG@10']:.4f} (as shown: {held['shown NDCG@10']:.4f})",
        markup=False,
        highlight=False,
    )
    console.print(f"saved as {place}; workers read it when index.ranking names its folder", markup=False)
