"""``nearline replay``: what happened, again, under other rules, prompts, models or another catalogue; and what differs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from console.errors import ConsoleError
from stream.replay.calls import Mode

if TYPE_CHECKING:
    from console.settings import Settings
    from stream.replay.in_place import Progress as Replayed
    from stream.replay.replaying import Setup, Wish
    from stream.replay.run import Run

_RUNS = Path(".nearline/runs")


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
    runs: _Runs = _RUNS,
    as_json: _Json = False,
) -> None:
    """Replay a capture in this process, with no broker and no Redis, and keep the run."""
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
    found = _replay(_setup(load_settings(), prompt, model, index), wish, quiet=as_json)
    if as_json:
        print_json(found)
    else:
        print_run(found, wish.run)


@app.command("diff")
def diff(
    one: Annotated[str, typer.Argument(help="A run: its name, or its folder.")],
    other: Annotated[str, typer.Argument(help="The run to hold against it.")],
    horizon: Annotated[
        str, typer.Option(help="How long after a trigger clicks and orders count, such as 24h.")
    ] = "24h",
    runs: _Runs = _RUNS,
    as_json: _Json = False,
) -> None:
    """Tell what changed between two runs: triggers, demands, slates, and what shoppers really did next."""
    from console.output import print_json  # noqa: PLC0415
    from console.verbs.replay_print import print_difference  # noqa: PLC0415
    from stream.replay.diff import compare  # noqa: PLC0415

    found = compare(_folder(one, runs), _folder(other, runs), horizon_s=_seconds(horizon))
    if as_json:
        print_json(found)
    else:
        print_difference(found)


def _folder(run: str, runs: Path) -> Path:
    """The folder of a run by name or path."""
    return named if (named := runs / run).is_dir() else Path(run)


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


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        raise ConsoleError(f"--horizon {text!r} is no duration.", way_out="Give one such as 30m, 24h or 7d.")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[match[2]]


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


def _replay(setup: Setup, wish: Wish, *, quiet: bool) -> Run:
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
            at = f"{datetime.fromtimestamp(now.at / 1000, UTC):%Y-%m-%d %H:%M}"
            bar.update(task, description=f"{at}  {now.events:,} events, {now.triggers:,} triggers")

        return asyncio.run(replay(setup, wish, told))
