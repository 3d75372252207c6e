"""``nearline worker``: runs the gate, inference, or both."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotation at run time
from typing import Annotated

import typer

from console.errors import ConsoleError


def worker(
    roles: Annotated[str, typer.Option(help="gate, infer, or both with a comma between.")] = "gate,infer",
    rules: Annotated[Path | None, typer.Option(help="Rules file, in place of the configured one.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of health and readiness, in place of the configured one.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Plan of a replay to work on; `nearline replay CAPTURE --wire` gives it."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C. Health: /health/live, /health/ready, /stats, /metrics."""
    from console.output import set_up_logging  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.worker import Role, run_worker  # noqa: PLC0415

    names = [name.strip() for name in roles.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Role)]
    if unknown or not names:
        raise ConsoleError(
            f"--roles {roles!r}: expected {' or '.join(Role)}, or both with a comma between.",
            way_out="For example --roles gate,infer.",
        )
    set_up_logging(verbose)
    settings = load_settings()
    stream = settings.stream
    if rules is not None:
        stream.gate.rules = rules
    if port is not None:
        stream.web.port = port
    plan = None
    if replay is not None:
        from stream.replay.wire.plan import Plan  # noqa: PLC0415

        plan = Plan.load(replay)
    run_worker(stream, settings.agents, settings.index, {Role(name) for name in names}, plan)
