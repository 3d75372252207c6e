"""What the page Now shows: the pipeline's stations with their figures, and what needs a look. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.web.live.beats import by_label, named, total
from console.web.words import NOTHING, amount, millis, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from console.web.live.watch import Watch
    from stream.metrics.heartbeat import Beat

__all__ = ["Finding", "PartitionAccount", "Picture", "Stage", "Station", "Worker", "picture"]

_OLD_CHECKPOINT_S = 15.0
_BACKLOG_S = 10.0
_BELOW_MODEL = 0.2
_DEAD_SHARE = 0.01
_RUNGS = ("llm", "cached", "preference", "popular")

# Stages in the order of the way, with their words; a metric and its label.
_STAGES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("event to trigger", "nearline_event_to_trigger_seconds", {}),
    ("waiting for a worker", "nearline_stage_seconds", {"stage": "queue"}),
    ("profile", "nearline_stage_seconds", {"stage": "profile"}),
    ("language model", "nearline_stage_seconds", {"stage": "model"}),
    ("judge", "nearline_stage_seconds", {"stage": "judge"}),
    ("embed demands", "nearline_stage_seconds", {"stage": "encode"}),
    ("search the index", "nearline_stage_seconds", {"stage": "search"}),
    ("fuse and rank", "nearline_stage_seconds", {"stage": "rank"}),
    ("write to Redis", "nearline_stage_seconds", {"stage": "write"}),
    ("trigger to slate", "nearline_stage_seconds", {"stage": "total"}),
    ("event to slate", "nearline_event_to_slate_seconds", {}),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at: ``bad`` or ``warn``, what, and what to do."""

    level: str
    what: str
    act: str = ""


@dataclass(frozen=True, slots=True)
class Station:
    """One station of the pipeline as drawn: its rate, and lines of (label, value)."""

    name: str
    about: str
    rate: float | None
    unit: str
    lines: list[tuple[str, str]]
    state: str = "ok"


@dataclass(frozen=True, slots=True)
class Stage:
    """Times of a stage in milliseconds since the workers started, and the mean of the last ten seconds."""

    name: str
    p50: float | None
    p95: float | None
    p99: float | None
    now: float | None
    count: int


@dataclass(frozen=True, slots=True)
class PartitionAccount:
    """The accounting of a partition: received = applied + duplicate + late + dead."""

    partition: str
    holds: bool
    received: int
    applied: int
    duplicate: int
    late: int
    dead: int
    triggers: int


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
        if not self.accounts:
            return None
        parts = [sum(getattr(one, name) for one in self.accounts) for name in _ACCOUNT]
        return PartitionAccount("all", all(one.holds for one in self.accounts), *parts)


_ACCOUNT = ("received", "applied", "duplicate", "late", "dead", "triggers")


def picture(watch: Watch) -> Picture:
    """The picture of what ``watch`` knows now."""
    beats = watch.beats
    rungs = _rungs(watch, beats)
    accounts = _accounts(beats)
    return Picture(
        at=watch.seen_at,
        findings=_findings(watch, beats, accounts, rungs),
        stations=_stations(watch, beats, rungs),
        stages=_stages(watch, beats),
        rungs=rungs,
        rules=_by(watch, beats, "nearline_triggers_total", "rule"),
        accounts=accounts,
        dead=sorted(_whole(by_label(beats, "nearline_dead_events_total", "reason")), key=lambda one: -one[1]),
        lag=[one for one in _whole(by_label(beats, "nearline_event_lag", "topic")) if one[1]],
        workers=[_worker(watch, beat, None) for beat in beats]
        + [_worker(watch, beat, seconds) for beat, seconds in watch.lost()],
        versions=_versions(beats),
    )


def _stations(watch: Watch, beats: Sequence[Beat], rungs: list[tuple[str, float, float]]) -> list[Station]:
    received = watch.per_second("nearline_events_received_total")
    lag = total(beats, "nearline_event_lag")
    applied = watch.per_second("nearline_events_total", outcome="applied")
    triggers = watch.per_second("nearline_triggers_total")
    slates = watch.per_second("nearline_slates_total")
    model = _quantile(beats, "nearline_stage_seconds", "p95", {"stage": "model"})
    recall = _quantile(beats, "nearline_stage_seconds", "p95", {"stage": "recall"})
    write = _quantile(beats, "nearline_stage_seconds", "p95", {"stage": "write"})
    whole = _quantile(beats, "nearline_event_to_slate_seconds", "p95", {})
    checkpoint = _largest(beats, "nearline_checkpoint_age_seconds")
    below = sum(rate for name, _, rate in rungs if name != "llm")
    gate, infer = _has(beats, "gate"), _has(beats, "infer")
    open_ = total(beats, "nearline_breaker_state", state="open") or 0
    return [
        Station(
            "Topics", "views, searches, orders …", received, "events/s",
            [("waiting", _count(lag))], _state(gate, warn=_behind(lag, received)),
        ),
        Station(
            "Gate", "activity, rules", applied, "applied/s",
            [
                ("shoppers in memory", _count(total(beats, "nearline_users_in_memory"))),
                ("checkpoint", f"{span(checkpoint)} ago" if checkpoint is not None else NOTHING),
            ],
            _state(gate, warn=(checkpoint or 0) > _OLD_CHECKPOINT_S),
        ),
        Station(
            "Triggers", "worth a thought", triggers, "a second",
            [
                ("so far", _count(total(beats, "nearline_triggers_total"))),
                ("waiting", _count(total(beats, "nearline_trigger_lag"))),
            ],
            _state(gate),
        ),
        Station(
            "Agents", "demands, in words", watch.per_second("nearline_stage_seconds_count", stage="model"),
            "thoughts/s",
            [
                ("model p95", _seconds(model)),
                ("below the model", f"{below:.1f}/s"),
            ],
            _state(infer, warn=bool(open_)),
        ),
        Station(
            "Index", "recall and rank", watch.per_second("nearline_stage_seconds_count", stage="recall"),
            "recalls/s",
            [
                ("recall p95", _seconds(recall)),
                ("items", _count(_largest(beats, "nearline_items"))),
            ],
            _state(infer),
        ),
        Station(
            "Redis", "the slate", slates, "slates/s",
            [
                ("write p95", _seconds(write)),
                ("event to slate p95", _seconds(whole)),
            ],
            _state(infer),
        ),
    ]  # fmt: skip


def _findings(
    watch: Watch,
    beats: Sequence[Beat],
    accounts: Sequence[PartitionAccount],
    rungs: list[tuple[str, float, float]],
) -> list[Finding]:
    found: list[Finding] = []
    for beat, seconds in watch.lost():
        found.append(
            Finding(
                "bad",
                f"Worker {beat.worker} ({', '.join(beat.roles)}) fell silent {span(seconds)} ago.",
                "Its partitions move to the others within seconds; see its log, and start it again.",
            )
        )
    for role, does in (("gate", "Events wait on their topics."), ("infer", "Triggers wait on their topic.")):
        if not _has(beats, role):
            found.append(
                Finding(
                    "bad",
                    f"No worker with the role {role} runs. {does}",
                    f"Start one: nearline worker --roles {role}.",
                )
            )
    broken = [one.partition for one in accounts if not one.holds]
    if broken:
        found.append(
            Finding(
                "bad",
                f"The accounting of partition {', '.join(broken)} does not add up.",
                "This is a defect: keep the log and nl:offsets of the partition, and stop the worker.",
            )
        )
    found += _figures(watch, beats)
    below = sum(rate for name, _, rate in rungs if name != "llm")
    whole = sum(rate for _, _, rate in rungs)
    if whole and below / whole > _BELOW_MODEL:
        found.append(
            Finding(
                "warn",
                f"{below / whole:.0%} of the slates of the last seconds are from below the language model.",
                "The model is slow or away: see its server, or lower the rate of triggers.",
            )
        )
    for what, values in _versions(beats).items():
        if len(values) > 1 and what != "nearline":
            found.append(
                Finding(
                    "warn",
                    f"Workers differ in {what}: {', '.join(values)}.",
                    "Normal for a moment after a change.",
                )
            )
    return found


def _figures(watch: Watch, beats: Sequence[Beat]) -> Iterable[Finding]:
    """What single figures say."""
    lag = total(beats, "nearline_event_lag")
    received = watch.per_second("nearline_events_received_total")
    if _behind(lag, received):
        yield Finding(
            "warn",
            f"{amount(lag)} events wait on their topics.",
            "The gate catches up, or needs more workers, up to the number of partitions.",
        )
    checkpoint = _largest(beats, "nearline_checkpoint_age_seconds")
    if checkpoint is not None and checkpoint > _OLD_CHECKPOINT_S:
        yield Finding(
            "bad",
            f"The last checkpoint is {span(checkpoint)} old.",
            "Redis does not take writes; nothing is lost yet.",
        )
    dead, came = (
        watch.grew("nearline_events_total", outcome="dead"),
        watch.grew("nearline_events_received_total"),
    )
    if came and dead / came > _DEAD_SHARE:
        yield Finding(
            "warn",
            f"{dead / came:.1%} of the events of the last seconds cannot be used.",
            "See Dead events for their reasons; a producer may have changed.",
        )
    for metric, what in (
        ("nearline_rules_refused", "A worker refuses the newest rules and keeps those before."),
        ("nearline_index_refused", "A worker refuses the newest index and serves the last one."),
    ):
        if total(beats, metric):
            yield Finding("bad", what, "Its log names the reason.")
    if total(beats, "nearline_breaker_state", state="open"):
        yield Finding("bad", "The model is left alone after failing several times.", "See the model server.")


def _stages(watch: Watch, beats: Sequence[Beat]) -> list[Stage]:
    found = []
    for words, name, labels in _STAGES:
        count = total(beats, f"{name}_count", **labels)
        if not count:
            continue
        grown = watch.grew(f"{name}_count", **labels)
        now = watch.grew(f"{name}_sum", **labels) / grown * 1000 if grown > 0 else None
        p50, p95, p99 = (
            value * 1000 if (value := _quantile(beats, name, which, labels)) is not None else None
            for which in ("p50", "p95", "p99")
        )
        found.append(Stage(words, p50, p95, p99, now, int(count)))
    return found


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


def _accounts(beats: Sequence[Beat]) -> list[PartitionAccount]:
    counts: dict[str, Counter[str]] = {}
    holds: dict[str, bool] = {}
    for beat in beats:
        for key, value in beat.metrics.items():
            sample = named(key)
            if sample.name == "nearline_accounting":
                counts.setdefault(sample.labels["partition"], Counter())[sample.labels["kind"]] += int(value)
            elif sample.name == "nearline_accounting_holds":
                holds[sample.labels["partition"]] = value == 1 and holds.get(sample.labels["partition"], True)
    return [
        PartitionAccount(name, holds.get(name, True), *(counts[name][kind] for kind in _ACCOUNT))
        for name in sorted(counts, key=lambda name: (len(name), name))
    ]


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


def _versions(beats: Sequence[Beat]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for beat in beats:
        for what, value in beat.versions.items():
            if value is not None:
                found.setdefault(what, set()).add(str(value))
    return {what: sorted(values) for what, values in found.items()}


def _quantile(beats: Sequence[Beat], name: str, which: str, labels: dict[str, str]) -> float | None:
    """The slowest worker's, in seconds."""
    return _largest(beats, f"{name}_{which}", labels)


def _largest(beats: Sequence[Beat], name: str, labels: dict[str, str] | None = None) -> float | None:
    found = [value for beat in beats if (value := total([beat], name, **(labels or {}))) is not None]
    return max(found, default=None)


def _has(beats: Sequence[Beat], role: str) -> bool:
    return any(role in beat.roles for beat in beats)


def _state(alive: bool, *, warn: bool = False) -> str:
    return "bad" if not alive else "warn" if warn else "ok"


def _behind(lag: float | None, received: float | None) -> bool:
    """Whether more waits than ten seconds bring."""
    return lag is not None and lag > max(1000.0, _BACKLOG_S * (received or 0.0))


def _whole(values: dict[str, float]) -> list[tuple[str, int]]:
    return [(name, int(value)) for name, value in values.items()]


def _count(value: float | None) -> str:
    return amount(value)


def _seconds(value: float | None) -> str:
    return millis(value * 1000 if value is not None else None)
