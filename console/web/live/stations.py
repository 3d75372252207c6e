"""The pipeline as drawn: its stations with their figures, and the time that each stage takes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.web.live.beats import has_role, largest, total
from console.web.words import NOTHING, amount, millis, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.web.live.watch import Watch
    from stream.metrics.heartbeat import Beat

__all__ = ["OLD_CHECKPOINT_S", "Stage", "Station", "is_behind", "stages", "stations"]

OLD_CHECKPOINT_S = 15.0
"""Age of a checkpoint from which something is wrong; they come every second."""
_BACKLOG_S = 10.0

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


def stations(
    watch: Watch, beats: Sequence[Beat], rungs: list[tuple[str, float, float]], *, broker: bool = True
) -> list[Station]:
    """The six stations, from the topics to Redis; ``rungs`` with slates so far and a second, ``broker`` whether it answers."""
    received = watch.per_second("nearline_events_received_total")
    lag = total(beats, "nearline_event_lag")
    applied = watch.per_second("nearline_events_total", outcome="applied")
    triggers = watch.per_second("nearline_triggers_total")
    slates = watch.per_second("nearline_slates_total")
    model = _quantile(beats, "nearline_stage_seconds", "p95", {"stage": "model"})
    recall = _quantile(beats, "nearline_stage_seconds", "p95", {"stage": "recall"})
    write = _quantile(beats, "nearline_stage_seconds", "p95", {"stage": "write"})
    whole = _quantile(beats, "nearline_event_to_slate_seconds", "p95", {})
    checkpoint = largest(beats, "nearline_checkpoint_age_seconds")
    below = sum(rate for name, _, rate in rungs if name != "llm")
    gate, infer = has_role(beats, "gate"), has_role(beats, "infer")
    open_ = total(beats, "nearline_breaker_state", state="open") or 0
    return [
        Station(
            "Topics", "views, searches, orders …", received, "events/s",
            [("waiting", amount(lag))], _state(gate and broker, warn=is_behind(lag, received)),
        ),
        Station(
            "Gate", "activity, rules", applied, "applied/s",
            [
                ("shoppers in memory", amount(total(beats, "nearline_users_in_memory"))),
                ("checkpoint", f"{span(checkpoint)} ago" if checkpoint is not None else NOTHING),
            ],
            _state(gate, warn=(checkpoint or 0) > OLD_CHECKPOINT_S),
        ),
        Station(
            "Triggers", "worth a thought", triggers, "a second",
            [
                ("so far", amount(total(beats, "nearline_triggers_total"))),
                ("waiting", amount(total(beats, "nearline_trigger_lag"))),
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
                ("items", amount(largest(beats, "nearline_items"))),
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


def stages(watch: Watch, beats: Sequence[Beat]) -> list[Stage]:
    """The stages that something has gone through."""
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


def is_behind(lag: float | None, received: float | None) -> bool:
    """Whether more waits than ten seconds bring."""
    return lag is not None and lag > max(1000.0, _BACKLOG_S * (received or 0.0))


def _quantile(beats: Sequence[Beat], name: str, which: str, labels: dict[str, str]) -> float | None:
    """The slowest worker's, in seconds."""
    return largest(beats, f"{name}_{which}", labels)


def _state(alive: bool, *, warn: bool = False) -> str:
    return "bad" if not alive else "warn" if warn else "ok"


def _seconds(value: float | None) -> str:
    return millis(value * 1000 if value is not None else None)
