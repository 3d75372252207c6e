"""The accounting of each partition, as workers tell it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.web.live.beats import named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.metrics.heartbeat import Beat

__all__ = ["PartitionAccount", "accounts_of", "sum_of"]

_ACCOUNT = ("received", "applied", "duplicate", "late", "dead", "triggers")


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


def accounts_of(beats: Sequence[Beat]) -> list[PartitionAccount]:
    """Of each partition, by number."""
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


def sum_of(accounts: Sequence[PartitionAccount]) -> PartitionAccount | None:
    """The accounting over all partitions; None before the first."""
    if not accounts:
        return None
    parts = [sum(getattr(one, name) for one in accounts) for name in _ACCOUNT]
    return PartitionAccount("all", all(one.holds for one in accounts), *parts)
