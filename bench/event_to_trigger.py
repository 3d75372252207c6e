"""How soon an event becomes a trigger, at a live rate on Apache Kafka, by one gate worker with default settings.

    python -m bench.event_to_trigger [--rate 3000] [--seconds 60] [--runs 3] [--json FILE] [--users N]
                                      [--set NAME=VALUE ...]

Shopping of the Complete Journey data set is played at a steady rate. Columns, in milliseconds: from the timestamp of
the event's record to the broker's time of the trigger (p50, p95, p99, max); ``made`` is the part up to where the rule
fired. ``reached`` is the rate that the player kept, ``load`` the machine's load of the last minute, from least to most.
The first ten seconds are not counted. The data set is played so fast that a shopper's session is over within a second;
with ``--users`` neighbouring events are of different shoppers, so a checkpoint has most to write. Ends with 1 where the median of the runs' p99 is over its bar.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
from pathlib import Path
from typing import Any

from bench.live import Scene, Watch, machine, percentile, shopping

WARM_UP_S = 10.0
BAR_MS = 250.0


async def run(scene: Scene, events: list[dict[str, Any]], rate: float) -> dict[str, Any]:
    """Play, and measure what the worker made of it."""
    watch = Watch()
    watching = asyncio.create_task(watch.follow(scene.worker))
    began, ended, sent = await scene.play(events, rate)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    end = await scene.drained(sent)
    samples = await scene.samples(began + WARM_UP_S, ended)
    late = [sample.late_ms for sample in samples]
    made = [(sample.made - sample.sent) * 1000 for sample in samples]
    return {
        "triggers": len(samples),
        "reached": sent / (ended - began),
        "late_ms": {str(share): percentile(late, share) for share in (50, 95, 99, 100)},
        "made_ms": {str(share): percentile(made, share) for share in (50, 95, 99, 100)},
        "cpu_share": watch.cpu_s / watch.seconds,
        "rss_mb": watch.rss_mb,
        "load": [min(watch.load), max(watch.load)],
        "accounting": end["accounting"],
        "balanced": end["balanced"],
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=3000.0, help="events per second")
    parser.add_argument("--seconds", type=float, default=60.0, help="counted seconds of each run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="settings of the worker, e.g. NEARLINE_STREAM__GATE__MERGE_WAIT_MS=40",
    )
    parser.add_argument("--users", type=int, help="hand each event to one of so many shoppers at random")
    options = parser.parse_args()
    events = shopping(int(options.rate * (options.seconds + WARM_UP_S)))
    if options.users:
        dice = random.Random(1)
        for event in events:
            event["user_id"] = f"u{dice.randrange(options.users)}"
    print(machine())
    shoppers = f"{options.users:,} shoppers at random" if options.users else "shoppers as in the data set"
    print(
        f"{options.rate:,.0f} events/s for {options.seconds:g} s, {shoppers}; one gate worker",
        *options.set,
        "\n",
    )
    columns = ("p50", "p95", "p99", "max", "made p50", "made p99")
    print(
        f"{'run':>4}{'reached':>10}{'triggers':>10}"
        + "".join(f"{name:>10}" for name in columns)
        + f"{'CPU':>7}{'RSS MiB':>9}{'load':>12}"
    )
    runs = []
    for number in range(options.runs):
        with Scene(dict(pair.split("=", 1) for pair in options.set)) as scene:
            result = asyncio.run(run(scene, events, options.rate))
        runs.append(result)
        late, made = result["late_ms"], result["made_ms"]
        figures = [*late.values(), made["50"], made["99"]]
        print(
            f"{number + 1:>4}{result['reached']:>10,.0f}{result['triggers']:>10,}"
            + "".join(f"{figure:>10.0f}" for figure in figures)
            + f"{result['cpu_share']:>7.0%}{result['rss_mb']:>9.0f}"
            + f"{result['load'][0]:>7.1f}-{result['load'][1]:.1f}",
            flush=True,
        )
        if not result["balanced"] or result["accounting"]["received"] != len(events):
            print(f"the accounting is wrong: {result['accounting']}")
            return 1
    if options.json:
        options.json.write_text(json.dumps({"options": vars(options), "runs": runs}, default=str, indent=1))
    p99 = statistics.median(result["late_ms"]["99"] for result in runs)
    print(f"\np99, median of {options.runs} runs: {p99:.0f} ms; bar {BAR_MS:g} ms")
    return 0 if p99 < BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
