"""Workers' heartbeats, and asking them for metrics."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from stream.metrics.heartbeat import HEARTBEAT_SCHEMA, Beat, heartbeat_key, workers_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis.asyncio import Redis

__all__ = ["Named", "Roll", "by_label", "has_role", "largest", "named", "read_beats", "total", "versions_of"]

_HEARD_WITHIN_MS = 600_000
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Named(NamedTuple):
    """A sample's metric and labels."""

    name: str
    labels: Mapping[str, str]


class Roll(NamedTuple):
    """The workers on the roll, by name: when each last said something (ms), and its heartbeat if it still lives."""

    last: dict[str, float]
    beats: dict[str, Beat]


@lru_cache(maxsize=20_000)
def named(key: str) -> Named:
    """``name{label="value"}`` in its parts."""
    name, _, inside = key.partition("{")
    labels = {
        label: re.sub(r"\\[\\\"n]", lambda match: _ESCAPES[match[0]], value)
        for label, value in _LABEL.findall(inside)
    }
    return Named(name, labels)


async def read_beats(redis: Redis, prefix: str, now: float) -> Roll:
    """The workers heard of within the last ten minutes: one small key, and one for each worker."""
    found: Any = await redis.zrangebyscore(
        workers_key(prefix), now - _HEARD_WITHIN_MS, "+inf", withscores=True
    )
    last = {name.decode(errors="replace"): float(at) for name, at in found}
    pipe = redis.pipeline(transaction=False)
    for name in last:
        pipe.get(heartbeat_key(prefix, name))
    values = await pipe.execute() if last else []
    beats = {}
    for name, value in zip(last, values, strict=True):
        if value is not None and (beat := _decode(value)) is not None:
            beats[name] = beat
    return Roll(last, beats)


def total(beats: Iterable[Beat], name: str, **labels: str) -> float | None:
    """The sum of a metric over workers and over all labels but those given; None where nobody has it."""
    found = [value for beat in beats for value in _values(beat, name, labels)]
    return sum(found) if found else None


def by_label(beats: Iterable[Beat], name: str, label: str) -> dict[str, float]:
    """The sums of a metric over workers, by the values of one of its labels."""
    sums: defaultdict[str, float] = defaultdict(float)
    for beat in beats:
        for key, value in beat.metrics.items():
            if key.startswith(name) and (sample := named(key)).name == name and label in sample.labels:
                sums[sample.labels[label]] += value
    return dict(sorted(sums.items()))


def largest(beats: Sequence[Beat], name: str, labels: dict[str, str] | None = None) -> float | None:
    """The largest value of a metric over workers, each worker's summed over all labels but those given."""
    found = [value for beat in beats if (value := total([beat], name, **(labels or {}))) is not None]
    return max(found, default=None)


def has_role(beats: Sequence[Beat], role: str) -> bool:
    """Whether a worker plays the role."""
    return any(role in beat.roles for beat in beats)


def versions_of(beats: Sequence[Beat]) -> dict[str, list[str]]:
    """The versions that workers have, by what they are of."""
    found: dict[str, set[str]] = {}
    for beat in beats:
        for what, value in beat.versions.items():
            if value is not None:
                found.setdefault(what, set()).add(str(value))
    return {what: sorted(values) for what, values in found.items()}


def _values(beat: Beat, name: str, labels: Mapping[str, str]) -> Iterable[float]:
    for key, value in beat.metrics.items():
        if key.startswith(name):
            sample = named(key)
            if sample.name == name and all(sample.labels.get(label) == of for label, of in labels.items()):
                yield value


def _decode(value: bytes) -> Beat | None:
    """The heartbeat; None for one of another version of Nearline, which this console cannot read."""
    try:
        beat = msgspec.json.decode(value, type=Beat)
    except msgspec.DecodeError:
        return None
    return beat if beat.schema == HEARTBEAT_SCHEMA else None
