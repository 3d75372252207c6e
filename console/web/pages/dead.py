"""The page of dead events: how many for which reason, the newest, and one whole."""

from __future__ import annotations

import asyncio
import heapq
import re
import time
from collections import Counter
from typing import TYPE_CHECKING

from starlette.routing import Route

from console.errors import ConsoleError
from console.web.state import console_of
from console.web.templates import page
from stream.dead.redrive import refusal
from stream.dead.search import Filters, find_dead, one_dead

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stream.dead.search import Dead
    from stream.settings import KafkaSettings

__all__ = ["ROUTES"]

_SPANS = {"1h": 3_600, "24h": 86_400, "all": None}
_LISTED = 30
_MOST_READ = 20_000
_READ_S = 8.0
_PLACE = re.compile(r"(\d{1,9}):(\d{1,18})")


async def dead(request: Request) -> Response:
    """The page; the topic is read by the part that fills it."""
    since = request.query_params.get("since", "1h")
    return page(request, "dead.html", {"since": since if since in _SPANS else "1h", "spans": list(_SPANS)})


async def listed(request: Request) -> Response:
    """Counts by reason and topic, and the newest."""
    kafka = console_of(request).stream.kafka
    seconds = _SPANS.get(request.query_params.get("since", "1h"), 3_600)
    since = None if seconds is None else int((time.time() - seconds) * 1000)
    counts, newest, whole = await _read(kafka, Filters(since=since))
    rows = [(reason, topic, count) for (reason, topic), count in counts.most_common()]
    return page(
        request, "parts/dead.html", {"rows": rows, "newest": newest, "whole": whole, "most": counts.total()}
    )


async def _read(kafka: KafkaSettings, filters: Filters) -> tuple[Counter[tuple[str, str]], list[Dead], bool]:
    """Counts, the newest, and whether all of it was read within the time of a page."""
    counts: Counter[tuple[str, str]] = Counter()
    newest: list[tuple[tuple[int, int, int], Dead]] = []
    try:
        async with asyncio.timeout(_READ_S):
            async for found in find_dead(kafka, filters):
                record = found.record
                counts[(record.reason, record.topic) if record else ("unreadable", "")] += 1
                entry = ((record.at if record else 0, found.partition, found.offset), found)
                if len(newest) < _LISTED:
                    heapq.heappush(newest, entry)
                else:
                    heapq.heappushpop(newest, entry)
                if counts.total() >= _MOST_READ:
                    return counts, [one for _, one in sorted(newest, reverse=True)], False
    except TimeoutError:
        return counts, [one for _, one in sorted(newest, reverse=True)], False
    return counts, [one for _, one in sorted(newest, reverse=True)], True


async def one(request: Request) -> Response:
    """One dead event whole."""
    place = request.query_params.get("place", "")
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ConsoleError(
            f"{place[:40]!r} is no place of a dead event.", way_out="Choose one from the list."
        )
    kafka = console_of(request).stream.kafka
    found = await one_dead(kafka, int(match[1]), int(match[2]))
    if found is None:
        raise ConsoleError(
            f"There is no dead event at {place} any more.", way_out="Its topic keeps them for a time only."
        )
    return page(request, "dead_one.html", {"found": found, "refused": refusal(found, kafka)})


ROUTES = [Route("/dead", dead), Route("/dead/list", listed), Route("/dead/one", one)]
