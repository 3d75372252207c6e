"""What the page Now shows: the pipeline's stations with their figures, and what needs a look. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.web.live.accounts import PartitionAccount, accounts_of, sum_of
from console.web.live.beats import by_label, versions_of
from console.web.live.findings import Finding, findings
from console.web.live.stations import Stage, Station, stages, stations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.web.live.watch import Watch
    from stream.metrics.heartbeat import Beat

__all__ = ["Picture", "Worker", "picture"]

_RUNGS = ("llm", "cached", "preference", "popular")


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker: what it does, its versions, memory in MiB; ``silent_s`` where it is lost."""

    name: str
    roles: list[str]
    url: str
    started_at: int
    versions: dict[str, str]
    memory_mb: float | None
    cpu: float | None
    ready: bool
    silent_s: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """All of the page Now."""

    at: float | None
    findings: list[Finding]
    stations: list[Station]
    stages: list[Stage]
    rungs: list[tuple[str, float, float]]
    rules: list[tuple[str, float, float]]
    accounts: list[PartitionAccount]
    dead: list[tuple[str, int]]
    lag: list[tuple[str, int]]
    workers: list[Worker]
    versions: dict[str, list[str]] = field(default_factory=dict)

    @property
    def sums(self) -> PartitionAccount | None:
        """The accounting over all partitions; None before the first."""
        return sum_of(self.accounts)


def picture(watch: Watch, broker: str = "") -> Picture:
    """The picture of what ``watch`` knows now; ``broker`` says why the broker does not answer, where it does not."""
    beats = watch.beats
    rungs = _rungs(watch, beats)
    accounts = accounts_of(beats)
    return Picture(
        at=watch.seen_at,
        findings=findings(watch, beats, accounts, rungs, broker),
        stations=stations(watch, beats, rungs, broker=not broker),
        stages=stages(watch, beats),
        rungs=rungs,
        rules=_by(watch, beats, "nearline_triggers_total", "rule"),
        accounts=accounts,
        dead=sorted(_whole(by_label(beats, "nearline_dead_events_total", "reason")), key=lambda one: -one[1]),
        lag=[one for one in _whole(by_label(beats, "nearline_event_lag", "topic")) if one[1]],
        workers=[_worker(watch, beat, None) for beat in beats]
        + [_worker(watch, beat, seconds) for beat, seconds in watch.lost()],
        versions=versions_of(beats),
    )


def _rungs(watch: Watch, beats: Sequence[Beat]) -> list[tuple[str, float, float]]:
    """By rung, all of them: slates so far, and slates a second."""
    so_far = by_label(beats, "nearline_slates_total", "rung")
    rates = watch.per_second_by("nearline_slates_total", "rung")
    names = [*_RUNGS, *(name for name in so_far if name not in _RUNGS)]
    return [(name, so_far.get(name, 0.0), rates.get(name, 0.0)) for name in names]


def _by(watch: Watch, beats: Sequence[Beat], metric: str, label: str) -> list[tuple[str, float, float]]:
    rates = watch.per_second_by(metric, label)
    found = [(name, count, rates.get(name, 0.0)) for name, count in by_label(beats, metric, label).items()]
    return sorted(found, key=lambda one: -one[1])


def _worker(watch: Watch, beat: Beat, silent_s: float | None) -> Worker:
    memory = beat.metrics.get("nearline_process_resident_memory_bytes")
    earlier = watch.earlier(beat)
    cpu = None
    if earlier is not None:
        name = "nearline_process_cpu_seconds_total"
        cpu = (beat.metrics.get(name, 0) - earlier.metrics.get(name, 0)) / ((beat.at - earlier.at) / 1000)
    ready = [value for key, value in beat.metrics.items() if key.startswith("nearline_worker_ready")]
    return Worker(
        beat.worker,
        beat.roles,
        beat.url,
        beat.started_at,
        {name: value for name, value in beat.versions.items() if value is not None},
        memory / 2**20 if memory is not None else None,
        cpu,
        all(value == 1 for value in ready),
        silent_s,
    )


def _whole(values: dict[str, float]) -> list[tuple[str, int]]:
    return [(name, int(value)) for name, value in values.items()]
