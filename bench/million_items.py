"""A million items: recall of the exact first 100, latency of a call of five queries, size, build time, start-up.

Types are built over the vectors of `bench.million_titles`. Breadths are chosen on one half of the queries and the figures
are of the other. Latency is of one thread, by the clock and in CPU time. Start-up is opening the file memory-mapped and
answering one call in a process of its own; what that process then has for itself, and what of the file it reads through the
page cache that all workers share, is told apart by the kernel (`smaps_rollup`).

    python -m bench.million_titles --out DIR
    python -m bench.million_items --vectors DIR [--types "IVF4096,SQ8:32,64,128"] [--threads 2]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.million_titles import load
from index.nearest.vectors import VectorIndex, read_index
from index.tuning import Candidate, exact_neighbours, measure
from index.tuning.measure import CALL, DEPTH

if TYPE_CHECKING:
    from index.encoders.encoder import Vectors
    from index.nearest.choice import IndexChoice

TYPES = ("IVF4096,PQ128x4fsr,Refine(SQ8):64,128,192,256:8,12,16", "IVF4096,SQ8:64,96,128,192")


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
        f"{'type':32}{'breadth':>8}{'refine':>7}{'chosen on':>10}{'held out':>9}{'worst 5%':>9}"
        f"{'p50 ms':>8}{'p99':>8}{'cpu p50':>8}{'p99':>7}{'MB':>7}{'build s':>8}{'cpu s':>7}{'open s':>7}{'own MB':>7}{'mapped':>7}",
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
        path = folder / f"{place}.faiss"
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            opened, own, mapped = process.submit(_start_up, path, one.choice, held_out).result()
        index = VectorIndex(read_index(path), one.choice)
        recall, worst = _recall(index, held_out, truth)
        p50, p99, cpu50, cpu99 = _latency(index, held_out, options.calls)
        print(
            f"{one.choice.factory:32}{one.choice.breadth:8}{one.choice.refine:7}{one.recall:10.4f}{recall:9.4f}{worst:9.2f}"
            f"{p50:8.2f}{p99:8.2f}{cpu50:8.2f}{cpu99:7.2f}{one.mb:7.0f}{one.build_s:8.0f}{one.build_cpu_s:7.0f}"
            f"{opened:7.2f}{own:7.0f}{mapped:7.0f}",
            flush=True,
        )


def _start_up(path: Path, choice: IndexChoice, queries: Vectors) -> tuple[float, float, float]:
    """Seconds to the first answer, and after all queries 10^6 bytes of its own and 10^6 bytes of the mapped file."""
    before = _memory()
    began = time.perf_counter()
    index = VectorIndex(read_index(path), choice)
    index.search(queries[:CALL], DEPTH)
    opened = time.perf_counter() - began
    for at in range(0, len(queries), CALL):
        index.search(queries[at : at + CALL], DEPTH)
    after = _memory()
    own = after["Anonymous"] - before["Anonymous"]
    return opened, own, after["Rss"] - before["Rss"] - own


def _memory() -> dict[str, float]:
    """The kernel's account of this process's memory, in 10^6 bytes."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(size) * 1024 / 1e6 for name, size, *_ in map(str.split, lines)}


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
    (p50, p99), (cpu50, cpu99) = (np.percentile(taken, [50, 99]) for taken in (times, cpu))
    return float(p50), float(p99), float(cpu50), float(cpu99)


def _candidate(text: str) -> Candidate:
    factory, *settings = text.split(":")
    breadths, refines = (tuple(map(int, each.split(","))) for each in (*settings, "0", "0")[:2])
    return Candidate(factory, breadths, refines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--types", nargs="*", default=list(TYPES), help="TYPE:BREADTH,...[:REFINE,...]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
