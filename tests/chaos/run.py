"""``make chaos SEEDS=500``: runs seeds one after the other; what is finished is not run again.

Every seed leaves its verdict in the folder of results. A history is kept where the checker found a fault.
Ends with 1 if any seed has a fault, whenever it was run.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .checker import check
from .driver import drive, plan_of
from .servers import Servers
from .shopping import load_shopping

__all__ = ["main", "run_seeds", "total"]

_SEEDS_PER_BROKER = 25


def total(results: list[dict[str, Any]]) -> str:
    """One line over all results."""
    figures: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for result in results:
        figures.update(result["figures"])
        faults.update(result["faults"])
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items())) or "none"
    return (
        f"{len(results)} seeds, {figures['kills']} kills, {figures['records received']} events, "
        f"{figures['triggers']} triggers ({figures['trigger records'] - figures['triggers']} published again), "
        f"faults found: {told}"
    )


def run_seeds(
    seeds: list[int],
    results: Path,
    *,
    rounds: int,
    nodes: int = 1,
    minutes: float = 1e9,
    kills: int = 10**9,
) -> list[dict[str, Any]]:
    """Run the seeds that have no result yet; return the results of all that have one."""
    results.mkdir(parents=True, exist_ok=True)
    done = {
        seed: json.loads(_file(results, seed).read_text()) for seed in seeds if _file(results, seed).exists()
    }
    for seed, result in done.items():  # judged again: the checker may have been what was wrong
        if not result["good"] and _history(results, seed).exists():
            done[seed] = _judge(results, seed)
    missing = [seed for seed in seeds if seed not in done]
    if done:
        _say(f"finished before: {total(list(done.values()))}")
    deadline = time.monotonic() + 60 * minutes
    shopping = load_shopping() if missing else []
    while missing and time.monotonic() < deadline and _kills(done) < kills:
        part, missing = missing[:_SEEDS_PER_BROKER], missing[_SEEDS_PER_BROKER:]
        with Servers(results / f"servers-{part[0]}-{int(time.time())}", nodes) as servers:
            for seed in part:
                if time.monotonic() > deadline or _kills(done) >= kills:
                    break
                began = time.monotonic()
                drive(plan_of(seed, rounds, nodes), servers, shopping, _history(results, seed))
                done[seed] = verdict = _judge(results, seed)
                took = time.monotonic() - began
                what = "good" if verdict["good"] else json.dumps(verdict["examples"], indent=1)
                _say(f"seed {seed}, {took:.0f} s: {what}\n  so far {total(list(done.values()))}")
    return list(done.values())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _judge(results: Path, seed: int) -> dict[str, Any]:
    """Check a seed's history and write its result; the history is kept where something is wrong."""
    verdict = check(_history(results, seed)).summary()
    _file(results, seed).write_text(json.dumps(verdict, indent=1))
    if verdict["good"]:
        _history(results, seed).unlink()
    return verdict


def _history(results: Path, seed: int) -> Path:
    return results / f"history-{seed}.jsonl.gz"


def _file(results: Path, seed: int) -> Path:
    return results / f"seed-{seed}.json"


def _kills(done: dict[int, dict[str, Any]]) -> int:
    return sum(result["figures"].get("kills", 0) for result in done.values())


def main() -> int:
    """``python -m tests.chaos.run``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=500, help="run the seeds 1 to this")
    parser.add_argument("--first", type=int, default=1, help="begin with this seed")
    parser.add_argument("--rounds", type=int, default=6, help="faults in each run")
    parser.add_argument(
        "--nodes", type=int, choices=(1, 3), default=1, help="broker nodes; of three, one may be lost"
    )
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no seed after this time")
    parser.add_argument("--kills", type=int, default=10**9, help="begin no seed after so many kills")
    parser.add_argument("--results", type=Path, help="folder of results, by default in .nearline")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # clients tell at length that a server is away, which it is
    seeds = list(range(options.first, options.seeds + 1))
    results = options.results or Path(
        ".nearline", "chaos" if options.nodes == 1 else f"chaos-{options.nodes}"
    )
    found = run_seeds(
        seeds,
        results.resolve(),
        rounds=options.rounds,
        nodes=options.nodes,
        minutes=options.minutes,
        kills=options.kills,
    )
    _say(f"in all: {total(found)}")
    return 0 if all(result["good"] for result in found) else 1


if __name__ == "__main__":
    sys.exit(main())
