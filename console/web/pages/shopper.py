"""The page Shopper: everything known of one, from events to each item of the slate."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import RedirectResponse
from starlette.routing import Route

from console.web.sampling import some_with_slates
from console.web.shopper import read_shopper
from console.web.state import console_of
from console.web.templates import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["ROUTES"]

_LONGEST_ID = 256
_SUGGESTED = 12


async def shopper(request: Request) -> Response:
    """The shopper that ``user`` names; without one, a place to look for them."""
    user = request.query_params.get("user", "")
    if user != user.strip():
        return RedirectResponse(f"/shopper?{urlencode({'user': user.strip()})}", status_code=303)
    if not user:
        return page(request, "shopper_find.html")
    console = console_of(request)
    if len(user) > _LONGEST_ID:
        return page(request, "shopper_none.html", {"user": user, "too_long": True}, status=404)
    await console.catalog.look()
    view = await read_shopper(
        console.redis, console.stream, user, await console.partitions(), console.catalog
    )
    if not view.known:
        return page(request, "shopper_none.html", {"user": user, "too_long": False}, status=404)
    return page(
        request,
        "shopper.html",
        {
            "view": view,
            "no_titles": console.catalog.problem,
            "kept_s": console.stream.slates.ttl_s,
            "prefix": console.stream.redis.prefix,
        },
    )


async def some(request: Request) -> Response:
    """A few shoppers who have a slate, to begin with."""
    console = console_of(request)
    users = await some_with_slates(console.redis, console.stream.redis.prefix, _SUGGESTED)
    links = [(user, f"/shopper?{urlencode({'user': user}, errors='replace')}") for user in sorted(users)]
    return page(request, "parts/some_shoppers.html", {"links": links})


ROUTES = [Route("/shopper", shopper), Route("/shopper/some", some)]
