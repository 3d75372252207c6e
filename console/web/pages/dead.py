"""The page of dead events: how many for which reason, the newest, one whole."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.routing import Route

from console.errors import ConsoleError
from console.web.state import console_of
from console.web.templates import page
from stream.dead.redrive import refusal
from stream.dead.search import Filters, find_dead, is_place, one_dead
from stream.dead.summary import Summary
from stream.events import Defect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from stream.settings import KafkaSettings

__all__ = ["ROUTES", "Asked", "asked_of"]

_SPANS = {
    "1h": (3_600, "Last hour"),
    "24h": (86_400, "Last 24 hours"),
    "7d": (604_800, "Last 7 days"),
    "all": (None, "All"),
}
_LISTED = 30
_LONGEST = 256
_MOST_READ = 20_000
_READ_S = 8.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page is asked for: a span of :data:`_SPANS`, a reason, a topic, a shopper; empty for any."""

    since: str
    reason: str
    topic: str
    user: str

    def filters(self) -> Filters:
        """As filters, from now on."""
        seconds = _SPANS[self.since][0]
        return Filters(
            frozenset({self.reason} if self.reason else ()),
            frozenset({self.topic} if self.topic else ()),
            None if seconds is None else int((time.time() - seconds) * 1000),
            None,
            frozenset({self.user} if self.user else ()),
        )

    def words(self) -> str:
        """In words, for people and for the trail."""
        parts = [
            f"reason {self.reason}" if self.reason else "every reason",
            f"from {self.topic}" if self.topic else "",
            f"of shopper {self.user}" if self.user else "",
            _SPANS[self.since][1].lower() if self.since != "all" else "all the topic holds",
        ]
        return ", ".join(part for part in parts if part)

    def query(self, **other: str) -> str:
        """As a query string, with ``other`` values for some."""
        values = {"since": self.since, "reason": self.reason, "topic": self.topic, "user": self.user, **other}
        return urlencode({name: value for name, value in values.items() if value}, errors="replace")


def asked_of(values: Mapping[str, str]) -> Asked:
    """What a form or a query string asks for."""
    since = values.get("since", "24h")
    reason, topic, user = (values.get(name, "").strip()[:_LONGEST] for name in ("reason", "topic", "user"))
    return Asked(since if since in _SPANS else "24h", reason, topic, user)


async def dead(request: Request) -> Response:
    """The page; the topic is read by the part that fills it."""
    kafka = console_of(request).stream.kafka
    return page(
        request,
        "dead.html",
        {
            "asked": asked_of(request.query_params),
            "spans": {name: words for name, (_, words) in _SPANS.items()},
            "reasons": sorted(str(reason) for reason in Defect),
            "topics": [*kafka.event_topic_names(), kafka.triggers_topic],
        },
    )


async def listed(request: Request) -> Response:
    """Counts by reason and topic, and the newest."""
    kafka = console_of(request).stream.kafka
    asked = asked_of(request.query_params)
    found, whole = await _read(kafka, asked.filters())
    rows = [(reason, topic, count) for (reason, topic), count in found.counts.most_common()]
    values = {
        "asked": asked, "rows": rows, "newest": found.newest, "whole": whole, "most": found.counts.total(),
    }  # fmt: skip
    return page(request, "parts/dead.html", values)


async def _read(kafka: KafkaSettings, filters: Filters) -> tuple[Summary, bool]:
    """What there is, and whether all of it was read within the time of a page."""
    found = Summary(_LISTED)
    try:
        async with asyncio.timeout(_READ_S):
            async for dead in find_dead(kafka, filters):
                found.add(dead)
                if found.counts.total() >= _MOST_READ:
                    return found, False
    except TimeoutError:
        return found, False
    return found, True


async def one(request: Request) -> Response:
    """One dead event whole."""
    place = request.query_params.get("place", "")
    if not is_place(place):
        raise ConsoleError(
            f"{place[:40]!r} is no place of a dead event.", way_out="Choose one from the list."
        )
    kafka = console_of(request).stream.kafka
    found = await one_dead(kafka, place)
    if found is None:
        raise ConsoleError(
            f"There is no dead event at {place} any more.", way_out="Its topic keeps them for a time only."
        )
    return page(request, "dead_one.html", {"found": found, "refused": refusal(found, kafka)})


ROUTES = [Route("/dead", dead), Route("/dead/list", listed), Route("/dead/one", one)]
