"""Trigger to slate at a steady rate: real events, broker, Valkey, language model and index.

    python bench/trigger_to_slate.py [--triggers 60] [--every 2.0] [--runtime local] [--warm 50]

A rule that fires once for each shopper, on the fifth detail view, makes the rate exact: every so many seconds the
first events of another shopper of The Complete Journey are sent, up to the one that fires. Prints percentiles by
stage, from the records on ``nearline.slates``, and the machine they were measured on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from agents.settings import RuntimeKind
from console.demo.run import PLAYED_SINCE, Demo
from console.demo.summary import STAGES, summarise
from console.demo.watch import Watch
from console.settings import load_settings
from console.verbs.evaluation.purchases import moment_of
from stream.datasets import open_dataset
from stream.player import Player

RULES = """
rules:
  - id: fifth-view
    when: {types: [view], count: 5, within: 7d}
    cooldown: 366d
"""


def shoppers(count: int) -> list[list[dict[str, Any]]]:
    """For each of ``count`` shoppers the events up to the fifth view."""
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    views: dict[str, int] = defaultdict(int)
    done: list[list[dict[str, Any]]] = []
    for event in open_dataset("completejourney").events(since=moment_of(PLAYED_SINCE["completejourney"])):
        user = event["user_id"]
        if views[user] >= 5:
            continue
        events[user].append(event)
        views[user] += event["type"] == "view"
        if views[user] == 5:
            done.append(events[user])
            if len(done) == count:
                break
    return done


async def measure(settings: Any, triggers: int, every: float, warm: int) -> dict[str, Any]:
    """Send the shoppers' events, one shopper every ``every`` seconds; return the summary without the first ``warm``."""
    watch = Watch(settings.stream.kafka)
    watching = asyncio.create_task(watch.run())
    sent = 0
    async with Player(settings.stream.kafka) as player:
        began = time.monotonic()
        for number, events in enumerate(shoppers(triggers)):
            await asyncio.sleep(max(0.0, began + number * every - time.monotonic()))
            sent += (await player.play(events)).events
        patience = time.monotonic() + 60
        while (watch.fired < triggers or watch.outstanding) and time.monotonic() < patience:
            await asyncio.sleep(0.1)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return summarise(
        sent=sent,
        partitions=[],
        fired=watch.fired,
        outcomes={},
        rungs=watch.rungs,
        empty=watch.empty,
        timings={stage: values[warm:] for stage, values in watch.timings.items()},
        seconds={},
        restarts=0,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triggers", type=int, default=60)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between triggers")
    parser.add_argument(
        "--warm",
        type=int,
        default=0,
        help="first triggers that are not counted: a worker that has just started",
    )
    parser.add_argument("--runtime", choices=["student", "local", "server"], default="student")
    options = parser.parse_args()
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yaml"
        rules.write_text(RULES)
        os.environ["NEARLINE_STREAM__GATE__RULES"] = str(rules)
        demo = Demo(settings, open_dataset("completejourney"), 0, 0.0, 0, RuntimeKind(options.runtime))
        catalog, _ = demo.prepare()
        with demo.running(catalog):
            summary = asyncio.run(measure(settings, options.triggers, options.every, options.warm))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(
        f"{summary['triggers']} triggers, one every {options.every:g} s, the first {options.warm} not counted; slates by rung {summary['slates_by_rung']}"
    )
    print(f"{'stage':<26}{'p50':>10}{'p95':>10}{'p99':>10}   (milliseconds)")
    for stage, figures in summary["stages_ms"].items():
        print(f"{STAGES[stage]:<26}{figures['p50']:>10,.1f}{figures['p95']:>10,.1f}{figures['p99']:>10,.1f}")


if __name__ == "__main__":
    main()
