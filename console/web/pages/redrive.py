"""Dead events sent again: chosen on their page, looked for, confirmed, sent, and told what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse
from starlette.routing import Route

from console.errors import ConsoleError
from console.web.doors import fields_of, form_of, must_change
from console.web.pages.dead import asked_of
from console.web.redrives import MOST
from console.web.state import console_of
from console.web.templates import page
from stream.dead.search import Filters, is_place

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.web.redrives import Redriving

__all__ = ["ROUTES"]

_NAMED = 5


async def choose(request: Request) -> Response:
    """Begin to look for what a form means: the places it names, or else all that its filters let through."""
    console = console_of(request)
    fields = await fields_of(request)
    form = dict(fields)
    operator = must_change(request, form)
    places = sorted({value for name, value in fields if name == "place"})
    for place in places:
        if not is_place(place):
            raise ConsoleError(
                f"{place[:40]!r} is no place of a dead event.", way_out="Choose from the list."
            )
    if "chosen" in form and not places:
        raise ConsoleError("No event was chosen, so nothing was done.", way_out="Tick some in the list.")
    if places:
        named = ", ".join(places[:_NAMED]) + (
            f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        )
        one = console.redrives.look(operator.name, Filters(), frozenset(places), f"those at {named}")
    else:
        asked = asked_of(form)
        one = console.redrives.look(operator.name, asked.filters(), None, asked.words())
    return RedirectResponse(f"/dead/redrive/{one.id}", status_code=303)


async def whole(request: Request) -> Response:
    """The page of one redrive."""
    return _shown(request, _one_of(request), "dead_redrive.html")


async def moving(request: Request) -> Response:
    """How far it is."""
    return _shown(request, _one_of(request), "parts/redrive.html")


async def send(request: Request) -> Response:
    """Send what was found."""
    operator = must_change(request, await form_of(request))
    one = _one_of(request)
    await console_of(request).redrives.send(one, operator.name)
    return _shown(request, one, "parts/redrive.html")


async def stop(request: Request) -> Response:
    """Stop it, or leave it be."""
    must_change(request, await form_of(request))
    one = _one_of(request)
    await console_of(request).redrives.stop(one)
    return _shown(request, one, "parts/redrive.html")


def _one_of(request: Request) -> Redriving:
    one = console_of(request).redrives.get(request.path_params["name"])
    if one is None:
        raise ConsoleError(
            "What became of these events is no longer kept here.",
            way_out="The trail says whether they were sent; those still to be sent can be chosen again.",
        )
    return one


def _shown(request: Request, one: Redriving, template: str) -> Response:
    return page(request, template, {"one": one, "most": MOST})


ROUTES = [
    Route("/dead/redrive", choose, methods=["POST"]),
    Route("/dead/redrive/{name}", whole),
    Route("/dead/redrive/{name}/state", moving),
    Route("/dead/redrive/{name}/send", send, methods=["POST"]),
    Route("/dead/redrive/{name}/stop", stop, methods=["POST"]),
]
