"""``nearline encoder``: teaches an encoder what goes together in the shop."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.errors import ConsoleError
from console.verbs.evaluation.options import Catalog, Events  # noqa: TC001  # typer reads the annotations at run time
from console.verbs.evaluation.purchases import moment_of, read_purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from index.encoder_training import Lessons, Pairs

__all__ = ["app"]

app = typer.Typer(help="Train encoders.", no_args_is_help=True, rich_markup_mode=None)

_PARTS = 1_000


class Variant(StrEnum):
    """How an encoder is trained."""

    projection = "projection"
    """A memory of known titles laid over frozen vectors: under a minute."""
    tower = "tower"
    """The model itself, fine-tuned: for a GPU, or a night."""


@app.callback()
def _group() -> None:
    """Train encoders."""


@app.command()
def train(
    events: Events,
    out: Annotated[Path, typer.Option(help="Folder to write; replaced if it holds a trained encoder.")],
    catalog: Catalog = None,
    variant: Annotated[
        Variant, typer.Option(help="projection (under a minute) or tower (fine-tunes the model).")
    ] = Variant.projection,
    cutoff: Annotated[
        str | None, typer.Option(help="Learn only from before this day, such as 2011-09-01.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="Folder of the general encoder; the packaged one if not given.")
    ] = None,
    texts: Annotated[
        int, typer.Option(min=50, max=30_000, help="Titles to learn at most, those sold to most shoppers.")
    ] = 8_000,
    trend_days: Annotated[float, typer.Option(min=1, help="How many days count as recent.")] = 14.0,
    steps: Annotated[
        int | None, typer.Option(min=2, help="Steps of training; by default the variant's own.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate; by default the variant's own.")] = None,
    batch: Annotated[int, typer.Option(min=2, help="Pairs in a step of the tower.")] = 64,
    device: Annotated[str, typer.Option(help="Torch's device for the tower, such as cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads for the tower.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print how it was learnt as JSON.")] = False,
) -> None:
    """Train an encoder on what shoppers searched for, looked at and bought; use it by `index.encoder.path`."""
    from rich.status import Status  # noqa: PLC0415

    from console.output import console, print_json  # noqa: PLC0415
    from index.encoder_training.folder import free_for_encoder  # noqa: PLC0415

    if not events.is_file():
        raise ConsoleError(f"There is no file {events}.", way_out="Name a file of purchases with --events.")
    if rate is not None and rate <= 0:
        raise ConsoleError(f"The learning rate {rate:g} is not above 0.", way_out="Give one such as 0.003.")
    free_for_encoder(out)
    with Status("reading what was bought", console=console) as status:
        if as_json:
            status.stop()
        lessons, about = _lessons(events, catalog, cutoff, texts, trend_days, status.update)
        given = {name: value for name, value in (("steps", steps), ("rate", rate)) if value is not None}
        if variant is Variant.projection:
            readings = _readings(events, catalog, cutoff, lessons.texts)
            training = _projection(lessons, readings, about, out, base, given, seed, status.update)
        else:
            given |= {"batch": batch}
            training = _tower(lessons, about, out, base, given, seed, device, threads, status.update)
    if as_json:
        print_json(training)
        return
    figures = training["figures"]
    console.print(
        f"{training['texts']:,} titles, {training['shoppers']:,} shoppers, {training['pairs']:,} pairs; loss "
        f"{figures['loss_first']:.3f}, {figures['loss_before_mining']:.3f} before mining, {figures['loss_last']:.3f} "
        f"at the end; {figures['cpu_s']:.0f} CPU seconds of learning",
        markup=False,
    )
    console.print(
        f"saved in {out}; build the catalogue again with index.encoder.path set to it", markup=False
    )


def _lessons(
    events: Path,
    catalog: Path | None,
    cutoff: str | None,
    texts: int,
    trend_days: float,
    tell: Callable[[str], None],
) -> tuple[Lessons, dict[str, Any]]:
    from index.channels.purchases import DAY_MS, date_of  # noqa: PLC0415
    from index.encoder_training import learn_from  # noqa: PLC0415

    moment = None if cutoff is None else moment_of(cutoff)
    bought = read_purchases(events, catalog, known_before=moment)
    now = moment if moment is not None else (int(bought.log.time.max()) // DAY_MS + 1) * DAY_MS
    tell("reading what was searched for and looked at")
    pairs = _pairs(events, now)
    tell("learning what goes together")
    lessons = learn_from(bought.log, bought.titles, now, pairs=pairs, most_texts=texts, trend_days=trend_days)
    about = {
        "events": str(events),
        "until": date_of(now),
        "texts": len(lessons.texts),
        "queries": len(lessons.asked) - len(lessons.texts),
        "shoppers": len(lessons.wants),
        "pairs": len(lessons.pairs),
        "trend_days": trend_days,
        "left_out": dict(bought.rejects),
        "passed_over": dict(pairs.skipped) if pairs is not None else {},
    }
    return lessons, about


def _pairs(events: Path, now: int) -> Pairs | None:
    """From a file of one's own events; public purchases have none but invented ones."""
    from index.encoder_training import take_pairs  # noqa: PLC0415
    from stream.datasets import FileDataset, open_dataset  # noqa: PLC0415

    dataset = open_dataset(str(events))
    return take_pairs(dataset.events(), before=now) if isinstance(dataset, FileDataset) else None


def _readings(
    events: Path, catalog: Path | None, cutoff: str | None, texts: Sequence[str]
) -> list[tuple[str, int]]:
    """What the index reads of items beyond their titles (brand, category), with the titles' numbers."""
    from index.items.titles import embedding_text  # noqa: PLC0415
    from stream.datasets import OnlineRetail, open_dataset  # noqa: PLC0415

    dataset = open_dataset(str(events), catalog=catalog)
    if isinstance(dataset, OnlineRetail) and cutoff is not None:
        dataset = OnlineRetail(events, known_before=moment_of(cutoff))
    number = {text: at for at, text in enumerate(texts)}
    found: dict[str, int] = {}
    for row in dataset.catalog():
        title, category, brand = (
            " ".join(value.split()) if isinstance(value := row.get(name), str) else None
            for name in ("title", "category", "brand")
        )
        if title in number and title is not None:
            reading = embedding_text(title, category, brand)
            if reading not in number:
                found[reading] = number[title]
    return list(found.items())


def _projection(
    lessons: Lessons,
    readings: list[tuple[str, int]],
    about: dict[str, Any],
    out: Path,
    base: Path | None,
    given: dict[str, Any],
    seed: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    import time  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    from index.encoder_training import Recipe, parts_of, train_projection, write_folder  # noqa: PLC0415
    from index.encoders.local import SentenceTransformerEncoder  # noqa: PLC0415
    from index.encoders.shop_memory import MEMORY_RECORD, MemoryRecord  # noqa: PLC0415

    if base is not None and (base / MEMORY_RECORD).is_file():
        raise ConsoleError(
            f"{base} is a trained encoder already.", way_out="Name the general encoder it was trained over."
        )
    recipe = Recipe(**given)
    started = time.process_time()
    general = SentenceTransformerEncoder(base)
    parts = parts_of(lessons.texts, _PARTS, seed)
    tell(f"encoding {len(lessons.asked) + len(parts) + len(readings):,} texts")
    vectors = general.encode(lessons.asked)
    part_vectors = general.encode([text for text, _ in parts])
    reading_vectors = general.encode([text for text, _ in readings])
    encoding = time.process_time() - started
    record = MemoryRecord(
        base=None if base is None else str(base.resolve()),
        base_fingerprint=general.fingerprint,
        sharpness=recipe.sharpness,
        sink=recipe.sink,
        nearest=recipe.nearest,
        digest="",
    )
    memory, figures = train_projection(
        lessons, vectors, parts, part_vectors, record, recipe=recipe, seed=seed, tell=tell
    )
    which = np.array([number for _, number in readings], dtype=np.int64)
    memory = memory.reading(which, reading_vectors)
    figures["encoding_cpu_s"] = round(encoding, 2)
    training = {
        "variant": "projection",
        **about,
        "readings": len(readings),
        "recipe": recipe.model_dump(),
        "seed": seed,
        "figures": figures,
    }
    write_folder(out, lambda folder: memory.save(folder, training))
    return training


def _tower(
    lessons: Lessons,
    about: dict[str, Any],
    out: Path,
    base: Path | None,
    given: dict[str, Any],
    seed: int,
    device: str,
    threads: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    import json  # noqa: PLC0415
    import shutil  # noqa: PLC0415

    from index.encoder_training import TowerRecipe, parts_of, train_tower, write_folder  # noqa: PLC0415
    from index.encoders.local import packaged_model  # noqa: PLC0415

    recipe = TowerRecipe(**given)
    work = out.absolute().with_name(f".{out.name}.checkpoint")
    parts = parts_of(lessons.texts, _PARTS, seed)
    folder = (base or packaged_model()).resolve()
    model, figures = train_tower(
        lessons, folder, parts, work, recipe=recipe, seed=seed, device=device, threads=threads, tell=tell
    )
    training = {
        "variant": "tower",
        **about,
        "recipe": recipe.model_dump(),
        "seed": seed,
        "figures": figures,
    }

    def write(place: Path) -> None:
        model.save(str(place), create_model_card=False)
        text = json.dumps(training, indent=2, ensure_ascii=False)
        (place / "training.json").write_text(text + "\n", encoding="utf-8")

    write_folder(out, write)
    shutil.rmtree(work, ignore_errors=True)
    return training
