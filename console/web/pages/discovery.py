"""The page Discovery: what categories and new items shoppers are shown, and how broad slates are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from console.web.chart import Series, bars, line_chart
from console.web.discovery import shown
from console.web.state import console_of
from console.web.templates import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.web.chart import Chart
    from console.web.live.minutes import Minute

__all__ = ["ROUTES"]

_DAY_MS = 86_400_000
_BIN_MS = 300_000


async def discovery(request: Request) -> Response:
    """The page; its sample of slates is at most half a minute old."""
    console = console_of(request)
    await console.catalog.look()
    slates = await console.slates.slates(console.redis, console.stream.redis.prefix)
    found = shown(slates, console.catalog)
    end = console.watch.seen_at or 0.0
    minutes = await console.minutes.read(end - _DAY_MS, end) if end else []
    breadth = {
        f"{one.categories} {'category' if one.categories == 1 else 'categories'}": float(one.slates)
        for one in found.breadth
    }
    categories = {name: float(places) for name, places, _ in found.categories}
    words = {name: f"{places:,} places, {slates:,} slates" for name, places, slates in found.categories}
    return page(
        request,
        "discovery.html",
        {
            "found": found,
            "breadth": bars(breadth),
            "categories": bars(categories, words),
            "channels": bars({name: float(count) for name, count in found.channels}),
            "over_time": over_time(minutes, end),
            "no_titles": console.catalog.problem,
        },
    )


def over_time(minutes: list[Minute], end: float) -> Chart | None:
    """The share of new items and of unseen categories among the places of slates, in steps of five minutes."""
    sums: dict[int, dict[str, int]] = {}
    for minute in minutes:
        into = sums.setdefault(int(minute.at // _BIN_MS) * _BIN_MS, {})
        for name, count in minute.places.items():
            into[name] = into.get(name, 0) + count
    steps = [(at, counts) for at, counts in sorted(sums.items()) if counts.get("all")]
    if len(steps) < 2:
        return None
    series = [
        Series(
            name,
            [(at + _BIN_MS / 2, 100 * counts.get(key, 0) / counts["all"]) for at, counts in steps],
            place,
        )
        for place, (key, name) in enumerate(
            (("new", "new items, %"), ("unseen_category", "categories not touched before, %"))
        )
    ]
    return line_chart(series, steps[0][0], end)


ROUTES = [Route("/discovery", discovery)]
