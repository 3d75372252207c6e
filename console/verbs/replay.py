"""``nearline replay``: what happened, again, under other rules, prompts, models or another catalogue; and what differs."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from console.errors import ConsoleError
from console.verbs import replay_diff
from stream.replay.calls import Mode

if TYPE_CHECKING:
    from console.settings import Settings
    from stream.replay.in_place import Progress as Replayed
    from stream.replay.replaying import Setup, Wish
    from stream.replay.run import Run
    from stream.replay.wire.on_the_wire import Wire

_RUNS = replay_diff.RUNS


class _RunUnlessNamed(TyperGroup):
    """A group whose first word is a capture unless it is the name of a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``run`` before what names no command."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunUnlessNamed,
    help="Replay a capture: `nearline replay CAPTURE [OPTIONS]`; `nearline replay run --help` lists them.",
    no_args_is_help=True,
)

_Runs = Annotated[Path, typer.Option(help="Folder of the runs.")]
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command("run")
def run(
    capture: Annotated[Path, typer.Argument(help="Folder that `nearline record` wrote.")],
    rules: Annotated[
        Path | None,
        typer.Option(help="Rules to try; those recorded, each where it was in force, if not given."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Version of the prompt.")] = None,
    model: Annotated[
        str | None, typer.Option(help="The language model: a folder, or its name on the server.")
    ] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Demands by code alone.")] = False,
    index: Annotated[Path | None, typer.Option(help="Folder of the built catalogue.")] = None,
    cassette: Annotated[Path | None, typer.Option(help="File of recorded model calls.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="What the cassette is for; replay if not given.")] = None,
    users: Annotated[str | None, typer.Option(help="Only these shoppers, separated by commas.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; the capture's if not given.")] = None,
    speed: Annotated[str, typer.Option(help="max, or 20x for twenty times the shoppers' clocks.")] = "max",
    only_triggers: Annotated[bool, typer.Option("--only-triggers", help="Stop at the triggers.")] = False,
    chains: Annotated[bool, typer.Option("--chains", help="Keep the whole chain of every slate.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a run of the same name.")
    ] = False,
    wire: Annotated[
        bool,
        typer.Option(
            "--wire", help="Publish to topics of its own and let real workers consume them; the same run."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(help="With --wire: how many workers.", min=1)] = 3,
    topic_prefix: Annotated[
        str | None, typer.Option(help="With --wire: before topics and groups; one of its own if not given.")
    ] = None,
    redis_prefix: Annotated[
        str | None, typer.Option(help="With --wire: before keys; one of its own if not given.")
    ] = None,
    yes_production: Annotated[
        bool,
        typer.Option(
            "--yes-production",
            help="With --wire: prefixes may be production's, where nothing lies under them.",
        ),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="With --wire: leave topics and keys where they are.")
    ] = False,
    runs: _Runs = _RUNS,
    as_json: _Json = False,
) -> None:
    """Replay a capture and keep the run: in this process, or with --wire through broker, workers and Redis."""
    from console.output import print_json  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from console.verbs.replay_print import print_run  # noqa: PLC0415
    from stream.replay.replaying import Wish  # noqa: PLC0415

    if mode is not None and mode is not Mode.OFF and cassette is None:
        raise ConsoleError(f"--mode {mode} needs a cassette.", way_out="Name its file with --cassette.")
    if no_model and model is not None:
        raise ConsoleError("--model and --no-model contradict each other.", way_out="Leave one of them out.")
    wish = Wish(
        capture=capture,
        run=runs / (name or capture.resolve().name),
        rules=rules,
        users=_users(users),
        slates=not only_triggers,
        model=not no_model,
        cassette=cassette,
        mode=mode or (Mode.REPLAY if cassette is not None else Mode.OFF),
        speed=_speed(speed),
        chains=chains,
        replace=replace,
    )
    over: Wire | None = None
    if wire:
        from stream.replay.wire.on_the_wire import Wire  # noqa: PLC0415
        from stream.replay.wire.plan import Asked  # noqa: PLC0415

        over = Wire(
            (sys.executable, "-m", "console", "worker"),
            workers,
            Asked(topic_prefix, redis_prefix),
            production=yes_production,
            keep=keep,
        )
    elif topic_prefix is not None or redis_prefix is not None or yes_production or keep:
        raise ConsoleError(
            "--topic-prefix, --redis-prefix, --yes-production and --keep are for a replay on the wire.",
            way_out="Add --wire, or leave them out.",
        )
    found = _replay(_setup(load_settings(), prompt, model, index), wish, over, quiet=as_json)
    if as_json:
        print_json(found)
    else:
        print_run(found, wish.run)


app.command("diff")(replay_diff.diff)


def _users(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x", text)
    if match is None or not float(match[1]):
        raise ConsoleError(f"--speed {text!r} is none.", way_out="Give max, or such as 1x or 20x.")
    return float(match[1])


def _setup(settings: Settings, prompt: str | None, model: str | None, index: Path | None) -> Setup:
    from agents.settings import RuntimeKind  # noqa: PLC0415
    from stream.replay.replaying import Setup  # noqa: PLC0415

    agents = settings.agents
    if prompt is not None:
        agents = agents.model_copy(update={"prompt": prompt})
    if model is not None:
        kind = "local" if agents.runtime is RuntimeKind.LOCAL else "server"
        runtime = getattr(agents, kind).model_copy(update={"model": model})
        agents = agents.model_copy(update={kind: runtime})
    found = settings.index if index is None else settings.index.model_copy(update={"catalog": index})
    return Setup(settings.stream, agents, found)


def _replay(setup: Setup, wish: Wish, wire: Wire | None, *, quiet: bool) -> Run:
    from datetime import UTC, datetime  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from stream.replay.replaying import replay  # noqa: PLC0415

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
    with bar:
        task = bar.add_task("opening", total=None)

        def told(now: Replayed) -> None:
            at = f"{datetime.fromtimestamp(now.at / 1000, UTC):%Y-%m-%d %H:%M}" if now.at else "begun"
            bar.update(task, description=f"{at}  {now.events:,} events, {now.triggers:,} triggers")

        if wire is not None:
            from stream.replay.wire.on_the_wire import OnTheWire  # noqa: PLC0415

            return asyncio.run(OnTheWire(setup, wish, wire).run(told))
        return asyncio.run(replay(setup, wish, told))
