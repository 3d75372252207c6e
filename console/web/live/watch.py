"""Reads the heartbeats every two seconds, and knows what has become of each worker since."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from console.web.live.beats import by_label, named, read_beats
from console.web.live.minutes import MINUTE_MS, Minute, Minutes

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

# What a minute keeps: its part, the metric, and the label that its entries are named by.
_COUNTED = {
    "nearline_events_received_total": ("events", "", "received"),
    "nearline_events_total": ("events", "outcome", ""),
    "nearline_triggers_total": ("triggers", "rule", ""),
    "nearline_slates_total": ("slates", "rung", ""),
    "nearline_slate_places_total": ("places", "", "all"),
    "nearline_slate_discovery_places_total": ("places", "kind", ""),
}


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
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _began: float = 0.0
    _minute: int = 0

    async def run(self) -> None:
        """Look every two seconds, for ever."""
        minutes = Minutes(self.redis, self.prefix)
        while True:
            started = time.monotonic()
            try:
                finished = await self.look(time.time() * 1000)
                if finished is not None:
                    await minutes.write(finished)
            except (RedisError, OSError) as error:
                if not self.problem:
                    log.warning("Redis cannot be read (%s: %s)", type(error).__name__, error)
                self.problem = f"{type(error).__name__}: {error}"
            await asyncio.sleep(max(EVERY_S - (time.monotonic() - started), 0.2))

    async def look(self, now: float) -> Minute | None:
        """Read the heartbeats once; return the minute before this one where one has just ended."""
        roll = await read_beats(self.redis, self.prefix, now)
        self.problem = ""
        return self.take(roll.beats, set(roll.last), now)

    def take(self, beats: Mapping[str, Beat], roll: set[str], now: float) -> Minute | None:
        """Take in the heartbeats of now; who is not on the roll has ended in order. Pure."""
        self._began = self._began or now
        for name in [name for name in self._heard if name not in roll]:
            del self._heard[name]
        for name, beat in beats.items():
            before = self._heard.get(name)
            if before is None or before.beat.at != beat.at or before.beat.started_at != beat.started_at:
                self._count(before.beat if before else None, beat)
                self._heard[name] = _Heard(beat, now)
        self.samples.append(Sample(now, dict(beats)))
        return self._turn(now)

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

    def _count(self, before: Beat | None, after: Beat) -> None:
        """Add what has happened between two heartbeats to the running counts."""
        if before is not None and before.started_at != after.started_at:
            before = None
        if before is None and after.started_at < self._began:
            return  # it counted before anybody watched: only what comes from now on is of this minute
        for key, value in after.metrics.items():
            sample = named(key)
            if sample.name in _COUNTED:
                part, label, plain = _COUNTED[sample.name]
                grown = value - (before.metrics.get(key, 0.0) if before else 0.0)
                self._counts[part, sample.labels.get(label, "") if label else plain] += max(0, int(grown))

    def _turn(self, now: float) -> Minute | None:
        """The minute that has ended, if it was watched from its beginning."""
        minute = int(now // MINUTE_MS)
        ended, self._minute = self._minute, minute
        if minute == ended:
            return None
        counts, self._counts = self._counts, Counter()
        if not ended or ended * MINUTE_MS < self._began or minute != ended + 1:
            return None
        parts: dict[str, dict[str, int]] = {"events": {}, "triggers": {}, "slates": {}, "places": {}}
        for (part, name), count in counts.items():
            parts[part][name] = count
        lag = sum(by_label(self.beats, "nearline_event_lag", "topic").values())
        return Minute(ended * MINUTE_MS, lag=int(lag), **parts)


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
