"""``nearline index``: chooses the vector index by measurement."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from console.errors import ConsoleError

if TYPE_CHECKING:
    from index.encoders.encoder import Vectors
    from index.tuning import Measured

_WIDTH: Final = 128

app = typer.Typer(help="The vector index.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """The vector index."""


@app.command("tune")
def tune(
    queries: Annotated[
        Path,
        typer.Option(help="Real queries: a text file, one a line; or .npy of unit vectors with --vectors."),
    ],
    catalog: Annotated[
        Path | None, typer.Option(help="Folder of a built catalogue; the configured one if neither is given.")
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="A .npy file of unit vectors, in place of a catalogue.")
    ] = None,
    recall: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The least recall of the exact first 100.")
    ] = 0.95,
    most_ms: Annotated[float | None, typer.Option(help="The longest p99 of a call of five queries.")] = None,
    most_mb: Annotated[float | None, typer.Option(help="The largest index, in megabytes.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads for building.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="Try only this type, such as IVF4096,SQ8 (repeatable).")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--dry-run", help="Put the choice into the catalogue, or only show it.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was measured as JSON.")] = False,
) -> None:
    """Try types of index on your own vectors and queries, and take the cheapest that reaches the recall.

    The choice is written into the catalogue and used by the builds that follow; running workers take it up.
    """
    from console.output import print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from index.built.embeddings import open_embeddings  # noqa: PLC0415
    from index.tuning import adopt, candidates, measure, pick  # noqa: PLC0415

    if catalog is not None and vectors is not None:
        raise ConsoleError("Both --catalog and --vectors were given.", way_out="Give one of them.")
    settings = load_settings()
    home = None if vectors is not None else catalog or settings.index.catalog
    matrix = _array(vectors) if vectors is not None else open_embeddings(home or settings.index.catalog)
    asked = _queries(queries, settings, matrix.shape[1])
    tried = [
        one
        for one in candidates(matrix.shape[0], matrix.shape[1], most_mb=most_mb)
        if not only or one.factory in only
    ]
    if not tried:
        raise ConsoleError("Nothing is left to try.", way_out="Loosen --most-mb or --only.")
    with tempfile.TemporaryDirectory(dir=home.absolute().parent if home and keep else None) as folder:
        told = None if as_json else _told
        found = list(measure(matrix, asked, tried, threads=threads, folder=Path(folder), told=told))
        best = pick(found, recall, most_ms=most_ms, most_mb=most_mb)
        if best is not None and home is not None and keep:
            place = next(at for at, one in enumerate(tried) if one.factory == best.choice.factory)
            adopt(home, best.choice, Path(folder) / f"{place}.faiss")
    if as_json:
        print_json({"measured": [_as_data(one) for one in found], "picked": _as_data(best) if best else None})
    else:
        _print(found, best, len(matrix), len(asked))
    if best is None:
        raise ConsoleError(
            f"No type reaches a recall of {recall:g} within the limits.",
            way_out="Loosen --recall, --most-ms or --most-mb.",
        )


def _told(factory: str, done: int, total: int) -> None:
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r{factory}: {done:,} of {total:,} vectors{end}")
    sys.stderr.flush()


def _array(path: Path) -> Any:
    import numpy as np  # noqa: PLC0415

    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ConsoleError(
            f"{path} cannot be read as an array: {str(error).rstrip('.')}.",
            way_out="Save it with numpy.save.",
        ) from error
    if found.ndim != 2 or not len(found) or found.dtype.kind != "f":
        raise ConsoleError(
            f"{path} holds {found.dtype} of shape {found.shape}.",
            way_out="Give (n, d) vectors of a float type.",
        )
    lengths = np.linalg.norm(np.asarray(found[:1000], dtype=np.float32), axis=1)
    if not (np.abs(lengths - 1) < 0.01).all():
        raise ConsoleError(
            f"{path} holds vectors whose length is not 1.",
            way_out="Divide each by its length; none may be zero or NaN.",
        )
    return found


def _queries(path: Path, settings: Any, dimensions: int) -> Vectors:
    import numpy as np  # noqa: PLC0415

    from index.settings import open_encoder  # noqa: PLC0415

    if path.suffix == ".npy":
        found: Vectors = np.ascontiguousarray(_array(path), dtype=np.float32)
    else:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConsoleError(
                f"{path} cannot be read: {error}.", way_out="Give queries as text, one a line."
            ) from error
        texts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        found = open_encoder(settings.index.encoder).encode(texts)
    if found.shape[1] != dimensions:
        raise ConsoleError(
            f"The queries have {found.shape[1]} dimensions and the vectors {dimensions}.",
            way_out="Encode both with the same model.",
        )
    return found


def _as_data(one: Measured) -> dict[str, Any]:
    return {
        **one.choice.model_dump(exclude={"recall"}),
        **{
            name: round(getattr(one, name), 4)
            for name in (
                "recall",
                "worst",
                "p50_ms",
                "p99_ms",
                "cpu_p50_ms",
                "cpu_p99_ms",
                "mb",
                "build_s",
                "build_cpu_s",
            )
        },
        "problem": one.problem,
    }


def _print(found: list[Measured], best: Measured | None, vectors: int, queries: int) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415

    table = Table(
        title=f"{vectors:,} vectors, {queries:,} queries; calls of five queries on one thread", box=None
    )
    for name in (
        "type",
        "breadth",
        "refine",
        "recall@100",
        "worst 5 %",
        "CPU ms p50",
        "p99",
        "ms p50",
        "p99",
        "MB",
        "build s",
    ):
        table.add_column(name, justify="left" if name == "type" else "right", no_wrap=True)
    for one in found:
        style = "bold" if best is not None and one.choice == best.choice else None
        if one.problem:
            table.add_row(f"{one.choice.factory}: {one.problem}", style="dim")
            continue
        table.add_row(
            one.choice.factory,
            str(one.choice.breadth or ""),
            str(one.choice.refine or ""),
            f"{one.recall:.4f}",
            f"{one.worst:.2f}",
            *(f"{ms:.2f}" for ms in (one.cpu_p50_ms, one.cpu_p99_ms, one.p50_ms, one.p99_ms)),
            f"{one.mb:,.1f}",
            f"{one.build_s:,.1f}",
            style=style,
        )
    # A column cut off is worse than a long line, which a narrow terminal wraps.
    Console(highlight=False, width=max(console.width, _WIDTH)).print(table)
    if best is not None:
        refined = f", {best.choice.refine} for each wanted scored again" if best.choice.refine else ""
        console.print(
            f"Picked: {best.choice.factory}, breadth {best.choice.breadth}{refined}.",
            markup=False,
            soft_wrap=True,
        )
