"""Asks the broker every ten seconds whether it answers, so that a page that is open can say when it does not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from console.web.words import when
from nearline import NearlineError
from stream.kafka_clients import check_broker

if TYPE_CHECKING:
    from stream.settings import KafkaSettings

__all__ = ["BrokerWatch"]

_EVERY_S = 10.0
_WITHIN_S = 5.0


class BrokerWatch:
    """Follows the broker. :meth:`run` until cancelled.

    Attributes:
        problem: in words since when it has not answered, and where; empty while it does.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._away_since: float | None = None
        self.problem = ""

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.ask(time.time() * 1000)
            await asyncio.sleep(_EVERY_S)

    async def ask(self, now: float) -> None:
        """Ask once; ``now`` is wall clock, milliseconds."""
        try:
            await check_broker(self._kafka, _WITHIN_S)
        except NearlineError as error:
            self._away_since = self._away_since or now
            self.problem = f"{error.message} Noticed at {when(self._away_since, '%H:%M:%S')}."
        else:
            self._away_since, self.problem = None, ""
