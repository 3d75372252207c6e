"""The doors of the page: who may pass, what is refused before any page sees it, and what every answer carries.

Every request but the sign-in page, static files and health needs an operator. A change needs, besides, that the
request comes from this very site, and the operator's guard token, unless it carries a bearer token, which no
browser sends on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.errors import ConsoleError
from console.web.access import COOKIE, Operator, Stranger, TooManyTriesError
from console.web.settings import is_loopback
from console.web.templates import page

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from console.web.access import Access

__all__ = [
    "DRAFT_PATH",
    "FORM_BYTES",
    "STRANGERS",
    "Doors",
    "RefusedError",
    "fields_of",
    "form_of",
    "must_ask",
    "must_change",
]

FORM_BYTES = 3_100_000  # a rules text of a million characters, percent-encoded
DRAFT_PATH = "/rules/apply"
_SAFE = frozenset({"GET", "HEAD"})
_FREE = ("/static/", "/sign-in", "/health")

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

STRANGERS = {
    Stranger.NEW: "",
    Stranger.EXPIRED: "Your session has expired. Sign in to go on.",
    Stranger.FORGED: "Your session is not known here any more: the console was started anew. Sign in to go on.",
    Stranger.GONE: "Your account is not among those configured any more. Sign in with another one.",
    Stranger.WRONG: "Name and secret do not fit.",
}
"""What is said to somebody who is not signed in, by why."""


class RefusedError(ConsoleError):
    """A change that this operator, or this request, may not make."""


class Doors:
    """ASGI middleware; see the module.

    Args:
        app: what is behind the doors.
        access: tells who is asking.
        tls: whether browsers come over HTTPS.
    """

    def __init__(self, app: ASGIApp, access: Access, *, tls: bool) -> None:
        self._app = app
        self._access = access
        self._headers = dict(_HEADERS)
        if tls:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if not path.startswith("/static/"):
                    headers["cache-control"] = "no-store"
            await send(message)

        request = Request(scope, receive)
        refused = self._refused(request)
        await (refused or self._app)(scope, receive, sending)

    def _refused(self, request: Request) -> Response | None:
        """The answer to a request that may not pass; None for one that may."""
        if self._access.open and not is_loopback(
            urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        ):
            # A name of somebody else's that leads to this machine would let their page act as the operator.
            return _plain(
                421, "This console answers on its loopback address only; open http://127.0.0.1 and its port."
            )
        change = request.method not in _SAFE
        if change and not _same_site(request):
            return _plain(403, "Another site sent this request, so nothing was changed.")
        if request.url.path.startswith(_FREE):
            return None
        try:
            found = self._access.who(request)
        except TooManyTriesError as error:
            return _plain(429, str(error))
        if isinstance(found, Operator):
            request.state.operator = found
            return None
        if change and request.url.path == DRAFT_PATH and "authorization" not in request.headers:
            # What somebody typed must not be lost with their session: that page asks them to sign in, and keeps it.
            request.state.operator, request.state.stranger = None, found
            return None
        return _ask(request, found)


def _ask(request: Request, stranger: Stranger) -> Response:
    """Ask somebody to sign in: a page for a browser, a status for a program or a part of a page."""
    words = STRANGERS[stranger] or "Sign in first."
    if "authorization" in request.headers:
        return _plain(401, words, {"www-authenticate": 'Basic realm="Nearline", charset="UTF-8"'})
    if request.headers.get("hx-request") == "true":
        return page(request, "parts/stranger.html", {"words": words}, status=401)
    if request.method not in _SAFE:
        values = {"words": f"{words} Nothing was changed.", "next": _came_from(request), "draft": None}
        return page(request, "sign_in.html", values, status=401)
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    answer = RedirectResponse(f"/sign-in?why={stranger}&next={quote(target, safe='')}", status_code=303)
    if stranger is not Stranger.NEW:
        answer.delete_cookie(COOKIE)
    return answer


def _came_from(request: Request) -> str:
    """The page of this site that a form was sent from; the first page where that is not known."""
    sent = urlsplit(request.headers.get("referer", ""))
    if sent.netloc != request.headers.get("host") or not sent.path:
        return "/"
    return sent.path + (f"?{sent.query}" if sent.query else "")


def _same_site(request: Request) -> bool:
    """Whether a browser says that this very site sent the request; programs say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form (URL-encoded); of a field given twice the last. Raises as :func:`fields_of`."""
    return dict(await fields_of(request))


async def fields_of(request: Request) -> list[tuple[str, str]]:
    """The fields of a form (URL-encoded), in their order.

    Raises:
        RefusedError: it is longer than any form of this page, or of another kind.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in {"", "application/x-www-form-urlencoded"}:
        raise RefusedError(f"A form of kind {kind!r}.", way_out="Send it URL-encoded.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise RefusedError(f"The form is longer than {FORM_BYTES:,} bytes.", way_out="Shorten the rules.")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError as error:
        raise RefusedError(
            f"The form cannot be read ({error}).", way_out="Send it URL-encoded, as UTF-8."
        ) from error


def must_ask(request: Request, form: dict[str, str]) -> Operator:
    """The operator, if this request comes from one of their own pages here.

    Raises:
        RefusedError: it lacks the guard of this operator's own pages.
    """
    operator: Operator = request.state.operator
    token = form.get("guard") or request.headers.get("x-nearline-guard", "")
    access: Access = request.app.state.access
    if not operator.by_token and not access.guarded(operator, token):
        raise RefusedError(
            "This form was not made for you by this console, so nothing was changed.",
            way_out="The console may have been started anew: keep what you typed, load the page again and repeat.",
        )
    return operator


def must_change(request: Request, form: dict[str, str]) -> Operator:
    """The operator, if this request may change something.

    Raises:
        RefusedError: a viewer's, or one without the guard of this operator's own pages.
    """
    operator = must_ask(request, form)
    if not operator.may_change:
        raise RefusedError(
            f"{operator.name} is a viewer: viewers look and try, operators change.",
            way_out="Nothing was changed; ask an operator, or sign in as one.",
        )
    return operator


def _plain(status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    return Response(words + "\n", status_code=status, media_type="text/plain; charset=utf-8", headers=headers)
