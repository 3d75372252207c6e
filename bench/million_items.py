"""A million items: recall of the exact first 100, latency of a call of five queries, size, build time, start-up.

Types are built over the vectors of `bench.million_titles`. Breadths are chosen on one half of the queries and the figures
are of the other. Latency is of one thread; start-up is opening the file memory-mapped and answering one call.

    python -m bench.million_titles --out DIR
    python -m bench.million_items --vectors DIR [--types IVF4096,SQ8:32,64,128] [--threads 2]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from bench.million_titles import load
from index.tuning import Candidate, exact_neighbours, measure
from index.tuning.measure import CALL, DEPTH
from index.vectors import VectorIndex, read_index

if TYPE_CHECKING:
    from index.encoder import Vectors

TYPES = ("IVF4096,SQ8:32,64,96,128,192", "IVF4096,PQ96x4fs,Refine(SQ8):64,128,256:4")


def main() -> None:
    """Measure, print a table."""
    options = _options()
    vectors, encoded, queries = load(options.vectors)
    vectors = vectors[: options.items]
    order = np.random.default_rng(5).permutation(len(queries))
    chosen_on, held_out = queries[order[: len(order) // 2]], queries[order[len(order) // 2 :]]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {len(vectors):,} vectors,"
        f" {len(encoded):,} of them encoded titles; {len(chosen_on)} queries to choose on, {len(held_out)} held out"
    )
    print(
        f"{'type':36}{'breadth':>8}{'chosen on':>10}{'held out':>10}{'worst 5%':>9}"
        f"{'p50 ms':>8}{'p99':>8}{'cpu p50':>8}{'p99':>8}{'MB':>8}{'build s':>9}{'cpu s':>7}{'open s':>8}{'RSS MB':>8}",
        flush=True,
    )
    truth = exact_neighbours(vectors, held_out)
    tried = [_candidate(text) for text in options.types]
    folder: Path = options.vectors
    told = time.monotonic()

    def progress(factory: str, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"  {factory}: {done:,} of {total:,}", flush=True)

    for one in measure(
        vectors, chosen_on, tried, threads=options.threads, calls=50, folder=folder, told=progress
    ):
        if one.problem:
            print(f"{one.choice.factory:36} {one.problem}")
            continue
        place = next(at for at, each in enumerate(tried) if each.factory == one.choice.factory)
        before = psutil.Process().memory_info().rss
        began = time.perf_counter()
        index = VectorIndex(read_index(folder / f"{place}.faiss"), one.choice)
        index.search(held_out[:CALL], DEPTH)
        opened = time.perf_counter() - began
        recall, worst = _recall(index, held_out, truth)
        p50, p99, cpu50, cpu99 = _latency(index, held_out, options.calls)
        grown = (psutil.Process().memory_info().rss - before) / 1e6
        print(
            f"{one.choice.factory:36}{one.choice.breadth:8}{one.recall:10.4f}{recall:10.4f}{worst:9.2f}"
            f"{p50:8.2f}{p99:8.2f}{cpu50:8.2f}{cpu99:8.2f}{one.mb:8.1f}{one.build_s:9.0f}{one.build_cpu_s:7.0f}{opened:8.2f}{grown:8.0f}",
            flush=True,
        )


def _recall(index: VectorIndex, queries: Vectors, truth: np.ndarray) -> tuple[float, float]:
    found = np.concatenate(
        [index.search(queries[at : at + CALL], DEPTH)[1] for at in range(0, len(queries), CALL)]
    )
    shares = [len(np.intersect1d(a, b)) / truth.shape[1] for a, b in zip(found, truth, strict=True)]
    return float(np.mean(shares)), float(np.percentile(shares, 5))


def _latency(index: VectorIndex, queries: Vectors, calls: int) -> tuple[float, float, float, float]:
    """Milliseconds of a call: p50 and p99 by the clock, which counts what else runs on the machine, and of CPU time."""
    rng = np.random.default_rng(1)
    times, cpu = [], []
    for _ in range(calls):
        group = queries[rng.choice(len(queries), CALL, replace=False)]
        began, spent = time.perf_counter(), time.thread_time()
        index.search(group, DEPTH)
        times.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.thread_time() - spent) * 1e3)
    return (
        *(float(one) for one in np.percentile(times, [50, 99])),
        *(float(one) for one in np.percentile(cpu, [50, 99])),
    )


def _candidate(text: str) -> Candidate:
    factory, breadths, *refine = text.split(":")
    return Candidate(factory, tuple(map(int, breadths.split(","))), int(refine[0]) if refine else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--types", nargs="*", default=list(TYPES), help="TYPE:BREADTH,...[:REFINE]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--items", type=int, default=1_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
