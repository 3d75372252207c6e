"""Signing in and out, and health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from console.web.access import COOKIE, Stranger, TooManyTriesError
from console.web.doors import STRANGERS, form_of, must_ask
from console.web.pages.rules import editor
from console.web.state import console_of
from console.web.templates import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.web.access import Operator

__all__ = ["ROUTES"]


async def ask(request: Request) -> Response:
    """The form."""
    if console_of(request).access.open:
        return RedirectResponse("/", status_code=303)
    why = request.query_params.get("why", "")
    words = STRANGERS[Stranger(why)] if why in set(Stranger) else ""
    values = {"words": words, "next": _local(request.query_params.get("next", "/")), "draft": None}
    return page(request, "sign_in.html", values)


async def come_in(request: Request) -> Response:
    """Sign in; go on where the session ended, or with the draft that was on its way."""
    console = console_of(request)
    form = await form_of(request)
    name, address = form.get("name", "").strip(), request.client.host if request.client else ""
    draft: dict[str, str] | None = None
    if "text" in form:
        draft = {key: form.get(key, "") for key in ("text", "base", "note")}
    try:
        operator = console.access.sign_in(name, form.get("secret", ""), address)
        words, status = STRANGERS[Stranger.WRONG], 401
    except TooManyTriesError as error:
        operator, words, status = None, str(error), 429
    if operator is None:
        await console.trail.write(name, "sign-in refused", address=address)
        values = {"words": words, "next": _local(form.get("next", "/")), "draft": draft}
        return page(request, "sign_in.html", values, status=status)
    await console.trail.write(operator.name, "signed in", on=str(operator.role), address=address)
    answer: Response
    if draft is not None:
        request.state.operator = operator
        answer = await editor(request, draft, "You are signed in again, and your draft is as you left it.")
    else:
        answer = RedirectResponse(_local(form.get("next", "/")), status_code=303)
    _set_cookie(request, answer, operator)
    return answer


async def leave(request: Request) -> Response:
    """Sign out."""
    operator = must_ask(request, await form_of(request))
    await console_of(request).trail.write(operator.name, "signed out")
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


async def health(_request: Request) -> Response:
    """That the console answers; whatever becomes of Redis."""
    return JSONResponse({"status": "live"})


def _set_cookie(request: Request, answer: Response, operator: Operator) -> None:
    console = console_of(request)
    secure = console.settings.behind_tls or console.settings.certificate is not None
    # The cookie outlives the session: a browser that still sends it can be told that it has expired.
    answer.set_cookie(
        COOKIE,
        console.access.session(operator),
        max_age=int(console.access.session_s) + 30 * 86_400,
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def _local(target: str) -> str:
    """``target`` if it is a page of this site, else the first page."""
    good = (
        target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    )
    return target if good else "/"


ROUTES = [
    Route("/sign-in", ask),
    Route("/sign-in", come_in, methods=["POST"]),
    Route("/sign-out", leave, methods=["POST"]),
    Route("/health", health),
]
