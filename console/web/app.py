"""The application: its routes, its life, and what is said when something is away or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from kafka.errors import KafkaError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from console.web.access import Access
from console.web.catalog import OpenCatalog
from console.web.discovery import Kept
from console.web.doors import Doors, RefusedError
from console.web.live.broker import BrokerWatch
from console.web.live.minutes import Minutes
from console.web.live.watch import Watch
from console.web.pages import dead, discovery, now, redrive, rules, shopper, sign_in, trail
from console.web.redrives import Redrives
from console.web.simulations import Simulations
from console.web.state import Console
from console.web.templates import STATIC, page
from console.web.trail import Trail
from nearline import NearlineError
from stream.errors import BrokerUnavailableError, RedisUnavailableError
from stream.redis_client import address_of, make_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from console.settings import Settings

__all__ = ["make_app"]

log = logging.getLogger(__name__)

_REDIS_S = 2.0


class _Static(StaticFiles):
    """Static files; their addresses change with their contents, so they may be kept."""

    def file_response(self, *args: object, **named: object) -> Response:
        """The file, to be kept for a year."""
        answer: Response = super().file_response(*args, **named)  # type: ignore[arg-type]  # handed through
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


def make_app(settings: Settings) -> Starlette:
    """The application for these settings. It starts without Redis and without a broker, and says so.

    Raises:
        ConsoleError: a secret or the audit log cannot be read or written.
    """
    mine, stream = settings.console, settings.stream
    # A page waits two seconds for Redis at most, whatever workers do.
    patience = min(_REDIS_S, stream.redis.timeout_s)
    redis = make_redis(stream.redis.model_copy(update={"timeout_s": patience}))
    redis.set_retry(
        Retry(NoBackoff(), 1)
    )  # a connection gone stale is made anew; a Redis that is away is said at once
    access = Access(mine)
    record = Trail(redis, stream.redis.prefix, mine.audit_log, mine.audit_entries)
    console = Console(
        settings=mine,
        stream=stream,
        redis=redis,
        access=access,
        trail=record,
        watch=Watch(redis, stream.redis.prefix),
        minutes=Minutes(redis, stream.redis.prefix, stream.minutes.kept_s),
        broker=BrokerWatch(stream.kafka),
        simulations=Simulations(mine.simulate_s),
        redrives=Redrives(stream.kafka, redis, stream.redis.prefix, record),
        catalog=OpenCatalog(settings.index.catalog),
        slates=Kept(),
    )

    @contextlib.asynccontextmanager
    async def life(_app: Starlette) -> AsyncIterator[None]:
        followed = (console.watch, console.minutes, console.broker)
        tasks = [asyncio.create_task(one.run()) for one in followed]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await console.simulations.close()
            await console.redrives.close()
            with contextlib.suppress(RedisError, OSError):
                await redis.aclose()

    pages = (now, rules, shopper, discovery, dead, redrive, trail, sign_in)
    app = Starlette(
        routes=[
            *(route for one in pages for route in one.ROUTES),
            Mount("/static", _Static(directory=STATIC), name="static"),
        ],
        middleware=[
            Middleware(Doors, access=access, tls=mine.certificate is not None or mine.behind_tls),
        ],
        exception_handlers={
            NearlineError: _refused,
            RedisError: _redis_away,
            OSError: _redis_away,
            KafkaError: _broker_away,
            HTTPException: _no_page,
            Exception: _broken,
        },
        lifespan=life,
    )
    app.state.console = console
    app.state.access = access
    return app


async def _refused(request: Request, error: Exception) -> Response:
    """An error that names its cause and the way out."""
    assert isinstance(error, NearlineError)  # noqa: S101  # it is registered for nothing else
    if isinstance(error, RedisUnavailableError):
        return await _redis_away(request, error)
    if isinstance(error, BrokerUnavailableError):
        return await _broker_away(request, error)
    status = 403 if isinstance(error, RefusedError) else 422
    return _problem(request, status, "That did not work", error.message, error.way_out)


async def _redis_away(request: Request, error: Exception) -> Response:
    """Redis does not answer: nothing can be shown or changed, and nothing is lost."""
    console: Console = request.app.state.console
    where = address_of(console.stream.redis)
    log.warning("Redis at %s does not answer (%s: %s)", where, type(error).__name__, error)
    if request.method in {"GET", "HEAD"}:
        way_out = "Storefronts that read slates there see the same; this page works again once it answers."
    else:  # the change may have been made, and the answer lost
        way_out = (
            "Look whether the change was made once it answers, before you repeat it: made twice it is refused. What you "
            "typed is still there when you go back."
        )
    return _problem(
        request,
        503,
        "Redis does not answer",
        f"There is no answer from {where} ({type(error).__name__}).",
        way_out,
    )


async def _broker_away(request: Request, error: Exception) -> Response:
    """The broker does not answer."""
    console: Console = request.app.state.console
    log.warning("the broker does not answer (%s: %s)", type(error).__name__, error)
    return _problem(
        request,
        503,
        "The broker does not answer",
        f"There is no answer from Kafka at {console.stream.kafka.brokers}.",
        "No event is lost: producers keep what they cannot send, and workers go on where they stopped. Slates in Redis "
        "are served as before.",
    )


async def _no_page(request: Request, error: Exception) -> Response:
    """An address that is no page, or a method that it does not take."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for nothing else
    if error.status_code == 404:
        return _problem(
            request, 404, "No such page", "There is nothing at this address.", "Choose from the menu."
        )
    return _problem(request, error.status_code, "That did not work", str(error.detail), "")


async def _broken(request: Request, error: Exception) -> Response:
    """A defect of this page; its log has the rest."""
    log.error("a page failed: %s", request.url.path, exc_info=error)
    return _problem(
        request,
        500,
        "This page failed",
        f"{type(error).__name__} while making it.",
        "That is a defect of the console; its log has the whole. Workers are not touched by it.",
    )


def _problem(request: Request, status: int, title: str, what: str, way_out: str) -> Response:
    if not hasattr(request.state, "operator"):
        request.state.operator = None
    part = request.headers.get("hx-request") == "true"
    name = "parts/problem.html" if part else "problem.html"
    return page(request, name, {"title": title, "what": what, "way_out": way_out}, status=status)
