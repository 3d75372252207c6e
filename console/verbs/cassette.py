"""``nearline cassette``: what a cassette holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.errors import ConsoleError

app = typer.Typer(help="Look into cassettes of recorded model calls.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(help="The cassette.")]


@app.command("list")
def list_(
    file: _File,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the models whose calls it holds, and how many."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from console.output import console, print_json  # noqa: PLC0415
    from stream.replay.calls import Mode  # noqa: PLC0415
    from stream.replay.cassette import Cassette  # noqa: PLC0415

    with Cassette(file, Mode.STRICT) as cassette:
        held = cassette.summary()
    if as_json:
        print_json([{**one._asdict(), "model": one.model._asdict()} for one in held])
        return
    table = Table("kind", "runtime", "model", "hash", "calls", "asked in a replay", "MiB")
    for one in held:
        model = one.model
        table.add_row(
            model.kind, model.runtime, escape(model.model), escape(model.hash[:23]),
            f"{one.calls:,}", f"{one.marked:,}", f"{one.bytes / 2**20:.2f}",
        )  # fmt: skip
    console.print(table)


@app.command()
def show(
    file: _File,
    address: Annotated[str, typer.Argument(help="The beginning of a call's address, hexadecimal.")] = "",
    most: Annotated[int, typer.Option(min=1, help="Show at most this many.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show calls with what was asked and answered."""
    from itertools import islice  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    from console.output import console, print_json  # noqa: PLC0415
    from stream.replay.calls import Mode  # noqa: PLC0415
    from stream.replay.cassette import Cassette  # noqa: PLC0415

    with Cassette(file, Mode.STRICT) as cassette:
        found = list(islice(cassette.find(address), most))
    if not found:
        raise ConsoleError(
            f"{file} has no call whose address begins with {address!r}.",
            way_out="Leave the address out to see the first calls.",
        )
    shown = []
    for one in found:
        embedding = one.call.model.kind == "embedding"
        answer = np.frombuffer(one.answer, "<f4").round(4).tolist() if embedding else one.answer.decode()
        shown.append(
            {"address": one.key.hex(), "model": one.call.model._asdict(), "prompt": one.call.prompt,
             "parameters": one.call.parameters, "input": one.call.input, "answer": answer,
             "made_in": one.made_in, "made_at": one.made_at}
        )  # fmt: skip
    if as_json:
        print_json(shown)
        return
    for each in shown:
        for name, value in each.items():
            text = str(value)
            console.print(f"{name}: {text[:400]}{'…' if len(text) > 400 else ''}", markup=False)
        console.print()


@app.command()
def compact(
    file: _File,
    drop: Annotated[
        list[str] | None, typer.Option(help="Forget the models whose hash begins so; may be repeated.")
    ] = None,
) -> None:
    """Give back the space of what was replaced, and forget models that are no longer used."""
    from console.output import console  # noqa: PLC0415
    from stream.replay.calls import Mode  # noqa: PLC0415
    from stream.replay.cassette import Cassette  # noqa: PLC0415

    with Cassette(file, Mode.REPLAY) as cassette:
        gone, before, after = cassette.compact(drop=drop or [])
    console.print(f"{gone:,} calls forgotten; {before / 2**20:.2f} MiB before, {after / 2**20:.2f} MiB now.")
