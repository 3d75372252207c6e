"""Sharded search by simulation: parts of one size, each searched by itself, the answers merged.

The catalogue grows with the number of parts. The parts would be on machines of their own and are searched here one after
another; the time of a call is that of its slowest part and of merging, by CPU time, plus whatever the network takes, which is not
simulated. Recall is of the exact first 100 of all parts. Each part has the index that a catalogue of its size has by
default. Built parts are kept in DIR and not built again.

    python -m bench.million_titles --out DIR --items 2000000
    python -m bench.shards --vectors DIR [--items 250000] [--parts 1 2 4 8]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.million_titles import load
from index.nearest.choice import default_choice
from index.nearest.shards import Shards
from index.nearest.vectors import VectorIndex, read_index
from index.tuning import exact_neighbours

if TYPE_CHECKING:
    from index.encoders.encoder import Vectors

_DEPTH, _CALL = 100, 5


class Timed:
    """A part that notes the CPU time of its last search."""

    def __init__(self, index: VectorIndex) -> None:
        self.index = index
        self.dimensions, self.build_id, self.added = index.dimensions, index.build_id, index.added
        self.ms = 0.0

    def __len__(self) -> int:
        return len(self.index)

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, np.ndarray]:
        """As the index's."""
        began = time.thread_time()
        found = self.index.search(queries, k)
        self.ms = (time.thread_time() - began) * 1e3
        return found


def main() -> None:
    """Build the parts, measure, print."""
    options = _options()
    vectors, _, queries = load(options.vectors)
    size, most = options.items, max(options.parts)
    if size * most > len(vectors):
        raise SystemExit(
            f"{options.vectors} has {len(vectors):,} vectors, and {most} parts need {size * most:,}."
        )
    parts = []
    for at in range(most):
        began = time.process_time()
        parts.append(
            Timed(_part(vectors[at * size : (at + 1) * size], options.vectors / f"part-{size}-{at}"))
        )
        print(f"  part {at + 1} of {most}: {time.process_time() - began:.0f} CPU s", flush=True)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; parts of {size:,} vectors,"
        f" {parts[0].index.choice.factory}, breadth {parts[0].index.choice.breadth}; {options.calls} calls of {_CALL} of"
        f" {len(queries)} queries"
    )
    print(
        f"{'parts':>6}{'vectors':>11}{'recall':>9}{'a part p50':>12}{'slowest p50':>13}{'merge p50':>11}"
        f"{'call p50':>10}{'p99':>8}{'CPU of all':>12}"
    )
    for count in options.parts:
        _measure(
            parts[:count], queries, exact_neighbours(vectors[: count * size], queries, _DEPTH), options.calls
        )


def _part(vectors: Vectors, path: Path) -> VectorIndex:
    choice = default_choice(*vectors.shape)
    if not path.is_file():
        VectorIndex.build(vectors, choice).save(path)
    return VectorIndex(read_index(path), choice)


def _measure(parts: list[Timed], queries: Vectors, truth: np.ndarray, calls: int) -> None:
    whole = Shards(parts)
    found = np.concatenate(
        [whole.search(queries[at : at + _CALL], _DEPTH)[1] for at in range(0, len(queries), _CALL)]
    )
    recall = np.mean([len(np.intersect1d(a, b)) / _DEPTH for a, b in zip(found, truth, strict=True)])
    rng = np.random.default_rng(1)
    each, slowest, merge, total = [], [], [], []
    for _ in range(calls):
        group = queries[rng.choice(len(queries), _CALL, replace=False)]
        began = time.thread_time()
        whole.search(group, _DEPTH)
        total.append((time.thread_time() - began) * 1e3)
        taken = [part.ms for part in parts]
        each += taken
        slowest.append(max(taken))
        merge.append(total[-1] - sum(taken))
    p50, p99 = np.percentile(np.array(slowest) + np.array(merge), [50, 99])
    print(
        f"{len(parts):6}{len(whole):11,}{recall:9.4f}{np.median(each):12.2f}{np.median(slowest):13.2f}"
        f"{np.median(merge):11.2f}{p50:10.2f}{p99:8.2f}{np.median(total):12.2f}",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--items", type=int, default=250_000, help="of a part")
    parser.add_argument("--parts", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--calls", type=int, default=1_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
