"""``nearline console``: the operators' web page."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Any

import typer

from console.errors import ConsoleError

_NEEDS = ("starlette", "uvicorn", "jinja2", "itsdangerous")


def console(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on, in place of the configured one.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on, in place of the configured one.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Serve the operators' web page: see the pipeline, try rules and apply them, explain a slate."""
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise ConsoleError(
            f"The web page needs {', '.join(missing)}, which is not installed.",
            way_out="Install nearline[console].",
        )
    from pydantic import ValidationError  # noqa: PLC0415

    from console.errors import SettingsError  # noqa: PLC0415
    from console.invalid import problems  # noqa: PLC0415
    from console.output import console as out  # noqa: PLC0415
    from console.output import set_up_logging  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from console.web.server import address, serve  # noqa: PLC0415
    from console.web.settings import ConsoleSettings  # noqa: PLC0415

    set_up_logging(verbose)
    settings = load_settings()
    given: dict[str, Any] = {
        name: value for name, value in (("host", host), ("port", port)) if value is not None
    }
    if given:
        try:
            settings.console = ConsoleSettings.model_validate({**dict(settings.console), **given})
        except ValidationError as error:
            raise SettingsError(
                f"The console cannot listen there: {problems(error, ConsoleSettings)}.",
                way_out="See docs/console.md.",
            ) from error
    who = (
        "accounts of the configuration"
        if settings.console.accounts
        else "whoever uses this machine, as operator"
    )
    out.print(f"console   {address(settings)}", markup=False)
    out.print(f"open to   {who}", markup=False)
    serve(settings)
