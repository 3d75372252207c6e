"""The page Discovery: what categories and new items shoppers are shown, and how broad slates are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from starlette.routing import Route

from console.web.chart import Series, bars, line_chart
from console.web.discovery import shown
from console.web.effect import breadth_of, share_of_places
from console.web.live.minutes import MINUTE_MS
from console.web.state import console_of
from console.web.templates import page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from console.web.chart import Chart
    from console.web.live.minutes import At

__all__ = ["BREADTH", "ROUTES", "over_time"]

BREADTH = "Categories of a slate, over time"
_DAY_MS = 86_400_000
_STEPS = 240
_STEPS_MS = (MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS)
_CATEGORIES = 6


async def discovery(request: Request) -> Response:
    """The page; its sample of slates is at most half a minute old."""
    console = console_of(request)
    await console.catalog.look()
    slates = await console.slates.slates(console.redis, console.stream.redis.prefix)
    found = shown(slates, console.catalog)
    end = console.watch.seen_at or 0.0
    minutes = console.minutes.between(end - _DAY_MS, end) if end else []
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
            "breadth_title": BREADTH,
            "no_titles": console.catalog.problem,
        },
    )


def over_time(minutes: Sequence[At], end: float) -> dict[str, Chart]:
    """What slates held, in steps of one to fifteen minutes: new items, categories, breadth. Empty for fewer than two."""
    made = [one for one in minutes if one.made]
    if not made:
        return {}
    step = next((size for size in _STEPS_MS if (end - made[0].at) / size <= _STEPS), _STEPS_MS[-1])
    parts: dict[int, list[At]] = {}
    for minute in made:
        parts.setdefault(minute.at // step * step, []).append(minute)
    if len(parts) < 2:
        return {}
    names = Counter[str]()
    for minute in made:
        names.update(minute.categories)
    names.pop("other", None)

    def line(name: str, colour: int, of: Callable[[list[At]], float | None], scale: float = 1.0) -> Series:
        points = [
            (at + step / 2, value * scale) for at, part in parts.items() if (value := of(part)) is not None
        ]
        return Series(name, points, colour, unit="%" if scale == 100 else "")

    shares = [
        line("items new to the shop", 0, lambda part: share_of_places(part, "new"), 100),
        line("categories new to the shopper", 1, lambda part: share_of_places(part, "unseen_category"), 100),
    ]
    categories = [
        line(name, place, lambda part, name=name: _of_category(part, name), 100)  # type: ignore[misc]  # a default is bound now
        for place, (name, _) in enumerate(names.most_common(_CATEGORIES))
    ]
    start = min(parts)
    return {
        "New to the shop, new to the shopper: share of places": line_chart(shares, start, end),
        "Categories shown most: share of places": line_chart(categories, start, end),
        BREADTH: line_chart([line("mean", 2, breadth_of)], start, end),
    }


def _of_category(part: list[At], name: str) -> float | None:
    places = sum(one.places for one in part)
    return sum(one.categories.get(name, 0) for one in part) / places if places else None


ROUTES = [Route("/discovery", discovery)]
