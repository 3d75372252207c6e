"""What all pages share: settings, Redis, who may come in, what runs now."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.web.live.picture import Picture, picture
from stream.gate.rules.book import RuleBook
from stream.gate.state.checkpoint import CheckpointStore

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from starlette.requests import Request

    from console.web.access import Access
    from console.web.catalog import OpenCatalog
    from console.web.discovery import Kept
    from console.web.live.broker import BrokerWatch
    from console.web.live.minutes import Minutes
    from console.web.live.watch import Watch
    from console.web.redrives import Redrives
    from console.web.settings import ConsoleSettings
    from console.web.simulations import Simulations
    from console.web.trail import Trail
    from stream.settings import StreamSettings

__all__ = ["Console", "console_of"]

_COUNT_AGAIN_S = 60.0
_ASKED = 64


@dataclass
class Console:
    """What all pages share."""

    settings: ConsoleSettings
    stream: StreamSettings
    redis: Redis
    access: Access
    trail: Trail
    watch: Watch
    minutes: Minutes
    broker: BrokerWatch
    simulations: Simulations
    redrives: Redrives
    catalog: OpenCatalog
    slates: Kept
    _partitions: tuple[float, int] = field(default=(0.0, 0))
    _picture: Picture | None = None

    @property
    def book(self) -> RuleBook:
        """The book of rules."""
        return RuleBook(self.redis, self.stream.redis.prefix)

    def picture(self) -> Picture:
        """The picture of now; made once for all who look at it."""
        if self._picture is None or self._picture.at != self.watch.seen_at:
            self._picture = picture(self.watch, self.broker.problem)
        return self._picture

    async def partitions(self) -> int:
        """How many partitions there are: those that have a checkpoint, and as many as are configured at least."""
        counted, number = self._partitions
        if number and time.monotonic() - counted < _COUNT_AGAIN_S:
            return number
        store = CheckpointStore(self.redis, self.stream.redis.prefix)
        number = self.stream.kafka.partitions
        start = 0
        while start <= number:
            pipe = self.redis.pipeline(transaction=False)
            for place in range(start, start + _ASKED):
                pipe.exists(store.offsets_key(place))
            there = [place for place, found in enumerate(await pipe.execute(), start) if found]
            number = max([number, *(place + 1 for place in there)])
            start += _ASKED
        self._partitions = (time.monotonic(), number)
        return number


def console_of(request: Request) -> Console:
    """The console that a request came to."""
    found: Console = request.app.state.console
    return found
