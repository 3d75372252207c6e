"""Ten minutes of `make chaos`: a whole gate loses nothing, a broken one is found out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stream.gate.rules.ruleset import DEFAULT_RULES

from .checker import Verdict, check
from .driver import BROKEN, DENSE_RULES, Plan, drive, plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .servers import Servers

pytestmark = [pytest.mark.real, pytest.mark.slow]

MIXED_SEEDS = (501, 503)  # beyond those of `make chaos`


def run(plan: Plan, servers: Servers, shopping: Sequence[dict[str, Any]], folder: Path) -> Verdict:
    history = folder / "history.jsonl.gz"
    drive(plan, servers, shopping, history)
    return check(history)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(1, 3, 250.0, DEFAULT_RULES, {"CHECKPOINT_S": "0.2"}, ("rules", "zombie", "storm")),
        Plan(
            2, 2, 250.0, DENSE_RULES, {"MAX_MEMORY_MB": "0.05"}, ("cut", "broker", "kill_starting", "scale")
        ),
        *(plan_of(seed) for seed in MIXED_SEEDS),
    ],
    ids=["workers-valkey-and-rules", "connections-and-broker", *(f"seed-{seed}" for seed in MIXED_SEEDS)],
)
def test_whatever_is_killed_every_trigger_fires_once_and_every_event_is_accounted_for(
    plan: Plan, servers: Servers, shopping: Sequence[dict[str, Any]], tmp_path: Path
) -> None:
    verdict = run(plan, servers, shopping, tmp_path)
    assert verdict.good, json.dumps(verdict.summary(), indent=1)
    assert verdict.figures["kills"] >= 1
    assert verdict.figures["triggers"] > 50
    assert verdict.figures["activities compared"] > 30
    assert verdict.figures["ties"] == 0


@pytest.mark.parametrize(
    ("way", "checkpoint_s", "faults", "told"),
    [
        ("offsets-first", "0.2", ("kill",) * 4, {"activity wrong", "trigger lost", "accounting"}),
        ("state-first", "0.2", ("kill",) * 4, {"trigger lost"}),
        ("no-fencing", "2.0", ("zombie", "zombie", "zombie"), {"activity wrong", "accounting"}),
    ],
)
def test_a_gate_that_is_broken_on_purpose_is_found_out(
    way: str,
    checkpoint_s: str,
    faults: tuple[str, ...],
    told: set[str],
    servers: Servers,
    shopping: Sequence[dict[str, Any]],
    tmp_path: Path,
) -> None:
    command = (*BROKEN, way, "worker", "--roles", "gate")
    # Checkpoints follow one another without a longer pause, so that a kill seldom misses the moment that must not exist.
    settings = {"CHECKPOINT_S": checkpoint_s, "CHECKPOINT_SHARE": "1"}
    plan = Plan(3, 2, 300.0, DENSE_RULES, settings, faults, command)
    verdict = run(plan, servers, shopping, tmp_path)
    assert told & verdict.faults.keys(), json.dumps(verdict.summary(), indent=1)
