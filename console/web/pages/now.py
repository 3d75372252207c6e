"""The page Now: the pipeline as it runs, and what needs a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from console.web.chart import Series, line_chart
from console.web.live.minutes import MINUTE_MS
from console.web.state import console_of
from console.web.templates import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.web.chart import Chart
    from console.web.live.minutes import At

__all__ = ["ROUTES"]

_HOUR_MS = 3_600_000


async def now(request: Request) -> Response:
    """The whole page."""
    return page(request, "now.html", {**_live(request), "hour": _hour(request)})


async def live(request: Request) -> Response:
    """The part of it that moves; asked for every two seconds."""
    return page(request, "parts/now.html", _live(request))


async def hour(request: Request) -> Response:
    """The last hour; asked for once a minute."""
    return page(request, "parts/hour.html", {"hour": _hour(request)})


def _live(request: Request) -> dict[str, Any]:
    console = console_of(request)
    return {"picture": console.picture(), "problem": console.watch.problem, "seen_at": console.watch.seen_at}


def _hour(request: Request) -> dict[str, Chart] | None:
    console = console_of(request)
    if console.watch.problem:
        return None
    end = console.watch.seen_at or 0.0
    minutes = console.minutes.between(end - _HOUR_MS, end)
    return hour_charts(minutes, end) if len(minutes) > 1 else None


def hour_charts(minutes: list[At], end: float) -> dict[str, Chart]:
    """Events a second, triggers and slates a minute, over the hour before ``end``."""

    def of(name: str, colour: int, part: str, entry: str | None, scale: float = 1.0) -> Series:
        counts: list[tuple[float, float]] = []
        for minute in minutes:
            found: dict[str, int] = getattr(minute, part)
            value = sum(found.values()) if entry is None else found.get(entry, 0)
            counts.append((minute.at + MINUTE_MS / 2, value * scale))
        return Series(name, counts, colour)

    start = end - _HOUR_MS
    events = [of("received", 0, "events", "received", 1 / 60), of("dead", 3, "events", "dead", 1 / 60)]
    flow = [of("triggers", 1, "triggers", None), of("slates", 2, "slates", None)]
    return {
        "Events a second": line_chart(events, start, end),
        "Triggers and slates a minute": line_chart(flow, start, end),
    }


ROUTES = [Route("/", now), Route("/now/live", live), Route("/now/hour", hour)]
