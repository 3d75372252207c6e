"""Demands by a distilled student in process: time of one trigger, and what a batch of 16 gains.

    python -m bench.u2q_student STUDENT PAIRS [--triggers 200] [--threads 2]

Profiles are histories out of a folder of pairs (`nearline distill prepare`), so they are as long as real ones. Wall and CPU
milliseconds of the whole runtime call, from profile text to parsed answer; on a shared machine the CPU time says more.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import time
from pathlib import Path

import numpy as np

from agents import AgentSettings, open_runtime, prompts
from agents.distill.pairs import Pairs, read_pairs
from agents.runtime import Request, Runtime
from agents.structured import queries

_BATCH = 16


def _requests(pairs: Pairs, settings: AgentSettings, many: int, demands: int) -> list[Request]:
    prompt, structure = prompts.load(settings.prompt), queries(demands, settings.query_chars)
    chosen = np.random.default_rng(0).permutation(len(pairs))[:many]
    # Every second pair is a cut history; whole ones are longer and so the harder case.
    profiles = [
        "bought: " + "; ".join(pairs.phrases[number] for number in pairs.history(int(at) // 2 * 2))
        for at in chosen
    ]
    return [Request(prompt, profile, structure, settings.max_tokens, 0.0, 0) for profile in profiles]


async def _timed(runtime: Runtime, requests: list[Request], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Wall and CPU milliseconds of each call of ``size`` requests."""
    wall, cpu = [], []
    for at in range(0, len(requests) - size + 1, size):
        began, spent = time.perf_counter(), time.process_time()
        await runtime.generate(requests[at : at + size])
        wall.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.process_time() - spent) * 1e3)
    return np.array(wall), np.array(cpu)


async def _measure(arguments: argparse.Namespace) -> None:
    pairs = read_pairs(arguments.pairs)
    settings = AgentSettings.model_validate(
        {"runtime": "student", "student": {"model": str(arguments.student), "threads": arguments.threads}}
    )
    runtime = open_runtime(settings, pairs.phrases)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads"
    )
    print(
        f"{'demands':>8} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8} {'CPU ms each of 16':>18} {'gain, wall':>11} {'gain, CPU':>10}"
    )
    for demands in (5, 20, 40):
        requests = _requests(pairs, settings, arguments.triggers, demands)
        await runtime.prepare(requests[0].prompt, requests[0].structure)
        await _timed(runtime, requests[:_BATCH], 1)
        alone, alone_cpu = await _timed(runtime, requests, 1)
        together, together_cpu = await _timed(runtime, requests, _BATCH)
        print(
            f"{demands:>8} {np.median(alone):>8.1f} {np.quantile(alone, 0.95):>8.1f} {np.median(alone_cpu):>8.1f} "
            f"{np.median(together_cpu) / _BATCH:>18.2f} {np.median(alone) * _BATCH / np.median(together):>11.2f} "
            f"{np.median(alone_cpu) * _BATCH / np.median(together_cpu):>10.2f}"
        )
    await runtime.close()


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("student", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--triggers", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    asyncio.run(_measure(parser.parse_args()))


if __name__ == "__main__":
    main()
