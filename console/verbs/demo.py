"""``nearline demo``: the main job on embedded parts, from start to story."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from agents.settings import RuntimeKind  # noqa: TC001  # typer reads the annotation at run time

if TYPE_CHECKING:
    from console.demo.run import DemoResult


def demo(
    events: Annotated[int, typer.Option(min=1, help="Events to play.")] = 2000,
    dataset: Annotated[
        str, typer.Option(help="completejourney, or a CSV file of UCI Online Retail.")
    ] = "completejourney",
    rate: Annotated[float, typer.Option(min=1, help="Events per second at the most.")] = 300.0,
    seed: Annotated[int, typer.Option(help="Seed of the synthesised browsing.")] = 0,
    runtime: Annotated[
        RuntimeKind | None,
        typer.Option(
            help="Where the language model runs: student (packaged with this shop), local (Gemma 3 270M), server."
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep everything running afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """Play real shopping events through the whole pipeline and tell one shopper's story."""
    started = time.monotonic()
    from console.demo.run import Demo  # noqa: PLC0415
    from console.output import console  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.datasets import open_dataset  # noqa: PLC0415

    settings = load_settings()
    run = Demo(settings, open_dataset(dataset), events, rate, seed, runtime)
    catalog, prepare_s = run.prepare()
    with run.running(catalog) as stack:
        console.print(
            f"Broker {stack.bootstrap}, Valkey {stack.redis_url}. Playing {events:,} events.", markup=False
        )
        result = asyncio.run(run.play(stack, started, prepare_s))
        _report(result, settings.run)
        if json_file is not None:
            json_file.write_bytes(msgspec.json.format(msgspec.json.encode(result.summary), indent=2) + b"\n")
        if stay:
            console.print("Still running; Ctrl-C ends it.")
            stack.supervisor.run_forever()
    if not (result.summary["balanced"] and result.summary["all_received"]):
        console.print("The accounts do not balance: this is a defect.", style="red")
        raise typer.Exit(1)


def _report(result: DemoResult, run: Path) -> None:
    from console.demo.story import tell  # noqa: PLC0415
    from console.demo.summary import STAGES  # noqa: PLC0415
    from console.output import console  # noqa: PLC0415

    s: dict[str, Any] = result.summary
    console.print()
    console.print(
        f"received {s['received']:,} = applied {s['applied']:,} + duplicate {s['duplicate']:,} + late {s['late']:,} "
        f"+ dead {s['dead']:,}; sent {s['sent']:,}."
    )
    rungs = ", ".join(f"{rung} {count:,}" for rung, count in s["slates_by_rung"].items())
    outcomes = ", ".join(f"{outcome} {count:,}" for outcome, count in s["outcomes"].items())
    console.print(f"{s['triggers']:,} triggers ({outcomes}); {s['slates']:,} slates by rung: {rungs}.")
    if s["first_slate_s"] is not None:
        console.print(f"First slate {s['first_slate_s']:.1f} s after the start.")
    table = Table(title="Milliseconds by stage", title_justify="left")
    for heading in ("stage", "p50", "p95", "p99"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage, figures in s["stages_ms"].items():
        table.add_row(STAGES[stage], *(f"{figures[p]:,.1f}" for p in ("p50", "p95", "p99")))
    console.print(table)
    if result.trace is not None:
        console.print(Text("\nOne shopper's story", "bold"))
        for paragraph in tell(result.trace):
            console.print(Text(paragraph))
        console.print(
            Text(
                "\nGo on with `nearline demo --stay`, and in another terminal `nearline explain "
                f"{result.trace.user}`, `nearline slate {result.trace.user}` or `nearline doctor`. "
                f"The worker's log is {run / 'logs' / 'worker.log'}."
            )
        )
