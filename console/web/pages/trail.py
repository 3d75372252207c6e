"""The page of the trail: who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from console.web.state import console_of
from console.web.templates import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["ROUTES"]


async def trail(request: Request) -> Response:
    """The newest two hundred entries."""
    return page(request, "trail.html", {"entries": await console_of(request).trail.read()})


ROUTES = [Route("/trail", trail)]
