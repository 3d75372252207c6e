"""The templates, and what every page has in common."""

from __future__ import annotations

import hashlib
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from console.web.words import FILTERS, finalize
from nearline import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

__all__ = ["STATIC", "page", "render"]

STATIC = Path(__file__).with_name("static")
_TEMPLATES = Path(__file__).with_name("templates")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(static=_static, version=__version__)
    return environment


@cache
def _static(name: str) -> str:
    """The address of a static file; it changes with the contents, so that the file may be kept for ever."""
    mark = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={mark}"


def render(name: str, values: Mapping[str, Any]) -> str:
    """A template with its values."""
    return _environment().get_template(name).render(values)


def page(
    request: Request, name: str, values: Mapping[str, Any] | None = None, *, status: int = 200
) -> HTMLResponse:
    """A page, or a part of one, with what all of them have: who asks, the guard of their forms, the time."""
    operator = getattr(request.state, "operator", None)
    access = request.app.state.access
    shared = {
        "path": request.url.path,
        "operator": operator,
        "guard": access.guard(operator) if operator is not None else "",
        "open": access.open,
        "now": time.time() * 1000,
    }
    return HTMLResponse(render(name, {**shared, **(values or {})}), status_code=status)
