"""Sharded search by simulation: the vectors dealt out to parts, each searched by itself, the answers merged.

The parts would be on machines of their own and are searched here one after another; the time of a call is that of its slowest part
and of merging, by CPU time, plus whatever the network takes, which is not simulated. Recall is of the exact first 100.

    python -m bench.shards --vectors DIR [--items 200000] [--parts 1 2 4 8]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from bench.million_titles import load
from index.choice import IndexChoice, cells_for
from index.shards import Shards
from index.tuning import exact_neighbours
from index.vectors import VectorIndex

_DEPTH, _CALL = 100, 5


class Timed:
    """A part that notes the CPU time of its last search."""

    def __init__(self, index: VectorIndex) -> None:
        self.index = index
        self.ms = 0.0

    def __len__(self) -> int:
        return len(self.index)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As the index's."""
        began = time.thread_time()
        found = self.index.search(queries, k)
        self.ms = (time.thread_time() - began) * 1e3
        return found


def main() -> None:
    """Build the parts, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--parts", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--share", type=float, default=0.03, help="of the cells searched in each part")
    options = parser.parse_args()
    vectors, _, queries = load(options.vectors)
    vectors = vectors[: options.items]
    truth = exact_neighbours(vectors, queries)
    print(
        f"{len(vectors):,} vectors, {len(queries)} queries, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"{'parts':>6}{'type of a part':>18}{'recall':>9}{'slowest part ms':>17}{'merge ms':>10}{'call p50':>10}{'p99':>8}{'CPU of all':>12}"
    )
    for count in options.parts:
        size = -(-len(vectors) // count)
        cells = cells_for(size)
        choice = IndexChoice(factory=f"IVF{cells},SQ8", breadth=max(1, round(options.share * cells)))
        parts = [
            Timed(VectorIndex.build(vectors[start : start + size], choice))
            for start in range(0, len(vectors), size)
        ]
        whole = Shards(parts)
        shares, slowest, merge, total = [], [], [], []
        for at in range(0, len(queries) - _CALL + 1, _CALL):
            began = time.thread_time()
            _, found = whole.search(queries[at : at + _CALL], _DEPTH)
            spent = (time.thread_time() - began) * 1e3
            slowest.append(max(part.ms for part in parts))
            total.append(spent)
            merge.append(spent - sum(part.ms for part in parts))
            shares += [
                len(np.intersect1d(a, b)) / _DEPTH for a, b in zip(found, truth[at : at + _CALL], strict=True)
            ]
        call = np.array(slowest) + np.array(merge)
        p50, p99 = np.percentile(call, [50, 99])
        print(
            f"{count:6}{choice.factory:>18}{np.mean(shares):9.4f}{np.median(slowest):17.2f}{np.median(merge):10.2f}"
            f"{p50:10.2f}{p99:8.2f}{np.median(total):12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
