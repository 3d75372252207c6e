"""The summary of a demo run: counts that must add up, and percentiles by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stream.gate.state.accounting import Accounting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["STAGES", "percentiles", "summarise"]

STAGES = {
    "gate": "event sent to trigger",
    "queue": "trigger read",
    "prepare": "profile",
    "infer": "language model",
    "encode": "embed demands",
    "search": "search index",
    "fuse": "fuse and rank",
    "write": "write to Redis",
    "own": "all but model and queue",
    "total": "trigger to slate",
}
"""Stages in their order, in words."""


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds (linear interpolation), rounded to a tenth."""
    if not values:
        return {}
    p50, p95, p99 = np.percentile(np.asarray(values), [50, 95, 99])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "p99": round(float(p99), 1)}


def summarise(
    *,
    sent: int,
    partitions: Iterable[Accounting],
    fired: int,
    outcomes: Mapping[str, int],
    rungs: Mapping[str, int],
    empty: int,
    timings: Mapping[str, Sequence[float]],
    seconds: Mapping[str, float | None],
    restarts: int,
) -> dict[str, Any]:
    """The summary as it is printed and written with ``--json``."""
    counted = list(partitions)
    counts = sum(counted, Accounting())
    served = sum(rungs.values())
    stages = dict(timings)
    if {"prepare", "recall", "write"} <= stages.keys():
        stages["own"] = [
            sum(parts) for parts in zip(*(stages[s] for s in ("prepare", "recall", "write")), strict=True)
        ]
    return {
        "sent": sent,
        "received": counts.received,
        "applied": counts.applied,
        "duplicate": counts.duplicate,
        "late": counts.late,
        "dead": counts.dead,
        "balanced": all(partition.balanced for partition in counted),
        "all_received": counts.received == sent,
        "triggers": fired,
        "triggers_accounted": counts.triggers,
        "outcomes": dict(outcomes),
        "slates": served,
        "slates_by_rung": dict(rungs),
        "slates_without_candidates": empty,
        "llm_share": round(rungs.get("llm", 0) / served, 4) if served else None,
        "stages_ms": {stage: percentiles(stages[stage]) for stage in STAGES if stage in stages},
        "worker_restarts": restarts,
        **{name: None if value is None else round(value, 2) for name, value in seconds.items()},
    }
