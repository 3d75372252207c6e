"""Reads the heartbeats every two seconds, and knows what has become of each worker since."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from console.web.live.beats import by_label, named, read_beats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis

    from stream.metrics.heartbeat import Beat

__all__ = ["LOST_S", "Sample", "Watch"]

log = logging.getLogger(__name__)

EVERY_S = 2.0
LOST_S = 8.0
"""Silence after which a worker counts as lost; heartbeats come every two seconds."""
_SAMPLES = 40
_RATE_OVER_S = 10.0


@dataclass(frozen=True)
class Sample:
    """All heartbeats at one moment; ``at`` is this console's clock, milliseconds."""

    at: float
    beats: Mapping[str, Beat]


@dataclass
class _Heard:
    """When a worker last said something new, by this console's own clock: clocks of machines may differ."""

    beat: Beat
    at: float


@dataclass
class Watch:
    """Follows the workers. :meth:`run` until cancelled; all else reads what it knows.

    Attributes:
        problem: why Redis cannot be read now; empty while it can.
    """

    redis: Redis
    prefix: str
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    problem: str = ""
    _heard: dict[str, _Heard] = field(default_factory=dict)

    async def run(self) -> None:
        """Look every two seconds, for ever."""
        while True:
            started = time.monotonic()
            try:
                await self.look(time.time() * 1000)
            except (RedisError, OSError) as error:
                if not self.problem:
                    log.warning("Redis cannot be read (%s: %s)", type(error).__name__, error)
                self.problem = f"{type(error).__name__}: {error}"
            await asyncio.sleep(max(EVERY_S - (time.monotonic() - started), 0.2))

    async def look(self, now: float) -> None:
        """Read the heartbeats once."""
        roll = await read_beats(self.redis, self.prefix, now)
        self.problem = ""
        self.take(roll.beats, set(roll.last), now)

    def take(self, beats: Mapping[str, Beat], roll: set[str], now: float) -> None:
        """Take in the heartbeats of now; who is not on the roll has ended in order. Pure."""
        for name in [name for name in self._heard if name not in roll]:
            del self._heard[name]
        for name, beat in beats.items():
            before = self._heard.get(name)
            if before is None or before.beat.at != beat.at or before.beat.started_at != beat.started_at:
                self._heard[name] = _Heard(beat, now)
        self.samples.append(Sample(now, dict(beats)))

    @property
    def beats(self) -> list[Beat]:
        """The newest heartbeat of each worker that is not lost."""
        lost = {beat.worker for beat, _ in self.lost()}
        return [heard.beat for heard in self._heard.values() if heard.beat.worker not in lost]

    @property
    def seen_at(self) -> float | None:
        """When the heartbeats were read last, milliseconds; None before the first time."""
        return self.samples[-1].at if self.samples else None

    def lost(self) -> list[tuple[Beat, float]]:
        """Workers that fell silent without saying goodbye, with the seconds since."""
        now = self.seen_at or 0.0
        silent = [(heard.beat, (now - heard.at) / 1000) for heard in self._heard.values()]
        return [(beat, seconds) for beat, seconds in silent if seconds > LOST_S]

    def per_second(self, name: str, **labels: str) -> float | None:
        """How fast a counter grows, over the last ten seconds and all workers; None where that is not known yet."""
        rates = [
            rate
            for after in self.beats
            if (before := self.earlier(after)) is not None
            and (rate := _rate(before, after, name, labels)) is not None
        ]
        return sum(rates) if rates else None

    def per_second_by(self, name: str, label: str) -> dict[str, float]:
        """How fast a counter grows, by the values of one of its labels."""
        return {
            value: self.per_second(name, **{label: value}) or 0.0
            for value in by_label(self.beats, name, label)
        }

    def grew(self, name: str, **labels: str) -> float:
        """By how much a counter grew within the last ten seconds."""
        return sum(
            _sum(after, name, labels) - _sum(before, name, labels)
            for after in self.beats
            if (before := self.earlier(after)) is not None
        )

    def before(self, seconds: float) -> Sample | None:
        """The sample of so long ago; None where this console does not look back so far."""
        now = self.seen_at or 0.0
        return next((one for one in self.samples if 0 <= now - one.at - seconds * 1000 < 10_000), None)

    def earlier(self, after: Beat) -> Beat | None:
        """The same worker's heartbeat of about ten seconds before, or the oldest since."""
        since = after.at - (_RATE_OVER_S + 1) * 1000
        for sample in self.samples:
            before = sample.beats.get(after.worker)
            if before is not None and before.started_at == after.started_at and since <= before.at < after.at:
                return before
        return None


def _sum(beat: Beat, name: str, labels: Mapping[str, str]) -> float:
    return sum(
        value
        for key, value in beat.metrics.items()
        if key.startswith(name)
        and (sample := named(key)).name == name
        and all(sample.labels.get(label) == of for label, of in labels.items())
    )


def _rate(before: Beat, after: Beat, name: str, labels: Mapping[str, str]) -> float | None:
    if not any(key.startswith(name) for key in after.metrics):
        return None
    return max(0.0, _sum(after, name, labels) - _sum(before, name, labels)) / ((after.at - before.at) / 1000)
