"""``nearline up``: the embedded broker and Valkey, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stream.embedded.state import StackState


def up(
    broker_port: Annotated[
        int | None, typer.Option(help="Port of the broker; a free one if not given.")
    ] = None,
    redis_port: Annotated[int | None, typer.Option(help="Port of Valkey; a free one if not given.")] = None,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Apache Kafka (needs Java and Maven) in place of Tansu.")
    ] = False,
    persist: Annotated[
        bool, typer.Option("--persist", help="Keep data for the next start (with --kafka).")
    ] = False,
) -> None:
    """Start a broker and a Valkey on loopback; Ctrl-C or `nearline down` ends them.

    Where the configuration names a broker or a Redis of your own, use those: nothing needs starting.
    """
    from console.output import console  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.embedded import EmbeddedStack  # noqa: PLC0415

    run = load_settings().run

    def ready(state: StackState) -> None:
        console.print(f"broker ({state.broker})  {state.bootstrap}")
        console.print(f"redis (valkey)   {state.redis_url}")
        console.print(f"logs             {state.log_dir}")
        console.print("Running. Other `nearline` commands in this folder find it. Ctrl-C ends it.")

    EmbeddedStack(
        run,
        broker_port=broker_port,
        redis_port=redis_port,
        broker="kafka" if kafka else "tansu",
        persist=persist,
    ).run_forever(on_ready=ready)
