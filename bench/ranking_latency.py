"""How long ranking takes: from 2,000 candidates of one shopper to a slate of 50.

Trains the ranker on one earlier moment of Online Retail, gives each of some hundred shoppers 2,000 candidates with
features and titles' vectors, and times, shopper by shopper on one thread, all of `index.ranking.slate.rank`: the coarse sum,
the ranker on the best few hundred, and the arrangement with likeness, caps by category and a tenth of the places for
discovery. Then its stages by themselves. Prints milliseconds by the clock and of CPU time, which on a
busy machine is what the work itself takes.

    python -m bench.ranking_latency --events FILE [--cutoff 2011-09-01] [--shoppers 200] [--rounds 5] [--fine 200]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from console.verbs.evaluation.purchases import moment_of, read_purchases
from index.evaluate.slate import split
from index.ranking.discovery import DiscoverySettings, kinds, quota
from index.ranking.features import FEATURES, Knowledge
from index.ranking.learned import Ranker, train
from index.ranking.lessons import gather
from index.ranking.slate import Pool, arrange, coarse, rank, shortlist

if TYPE_CHECKING:
    from collections.abc import Iterator

CANDIDATES = 2_000
SLATE = 50
CAPS = {"category": 15}
WEIGHTS = {"ease": 2.0, "ease-recent": 1.0, "ease-basket": 1.0, "user-knn": 1.0, "item-knn": 1.0}


@dataclass
class Case:
    """One shopper's candidates, as they come to be ranked."""

    features: np.ndarray
    columns: dict[str, np.ndarray]
    vectors: np.ndarray | None
    groups: dict[str, np.ndarray]
    wanted: np.ndarray
    places: int


class Stopwatch:
    """Milliseconds by name, by the clock and of this thread."""

    def __init__(self) -> None:
        self.clock: dict[str, list[float]] = defaultdict(list)
        self.cpu: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time what is within."""
        began, spent = time.perf_counter(), time.thread_time()
        yield
        self.cpu[name].append((time.thread_time() - spent) * 1e3)
        self.clock[name].append((time.perf_counter() - began) * 1e3)


def prepare(events: Path, cutoff: str, shoppers: int) -> tuple[Ranker, list[Case]]:
    """The trained ranker, and each shopper's candidates."""
    moment = moment_of(cutoff)
    bought = read_purchases(events, None, known_before=moment)
    cut = split(bought.log, moment)
    vectors = bought.vectors()
    ranker = train(gather(cut.history, moment, ["novel"], vectors, gaps=(28,))["novel"], "novel")
    known = Knowledge(cut.history, moment, vectors)
    some = cut.task("novel").shoppers.part(slice(0, shoppers))
    found = known.candidates(some, novel=True, depth=CANDIDATES, most=CANDIDATES)
    category = bought.category if bought.category is not None else np.full(len(bought.log.items), -1)
    cases = []
    for shopper in range(some.count):
        mine = found.owner == shopper
        rows, features = found.rows[mine], found.features[mine]
        new = kinds(
            DiscoverySettings(),
            age=known.item("age")[rows],
            trend=known.item("trend")[rows],
            sales=known.item("sales_14")[rows],
        )
        cases.append(
            Case(
                features,
                {name: features[:, FEATURES.index(name)] for name in WEIGHTS},
                None if vectors is None else vectors[rows],
                {"category": category[rows]},
                new["new"] | new["trending"],
                quota(0.1, SLATE, str(shopper), 0),
            )
        )
    return ranker, cases


def measure(ranker: Any, cases: list[Case], rounds: int, fine: int, arranged: int) -> Stopwatch:
    """Time each case ``rounds`` times, whole and by stages."""
    watch = Stopwatch()
    for _ in range(rounds):
        for case in cases:
            with watch.of("whole"):
                parts = coarse(case.columns, WEIGHTS)
                rank(
                    Pool(parts, case.vectors, case.groups, case.wanted),
                    SLATE,
                    features=case.features,
                    ranker=ranker,
                    caps=CAPS,
                    places=case.places,
                    fine=fine,
                    arranged=arranged,
                )
            with watch.of("coarse"):
                pool = Pool(coarse(case.columns, WEIGHTS), case.vectors, case.groups, case.wanted)
                at = shortlist(pool.relevance, fine, pool.discovery, case.places)
                short = pool.take(at)
            with watch.of("ranker"):
                score = ranker.score(case.features[at], np.zeros(len(at), dtype=np.int64))
            with watch.of("arrange"):
                arrange(
                    short.take(shortlist(score, arranged, short.discovery, case.places)),
                    SLATE,
                    caps=CAPS,
                    places=case.places,
                )
    return watch


def main() -> None:
    """Train, time, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--cutoff", default="2011-09-01")
    parser.add_argument("--shoppers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--fine", type=int, nargs="*", default=[200], help="candidates that the ranker scores"
    )
    parser.add_argument("--arranged", type=int, default=120, help="candidates that places are filled from")
    options = parser.parse_args()
    ranker, cases = prepare(options.events, options.cutoff, options.shoppers)
    sizes = [len(case.features) for case in cases]
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"{len(sizes) * options.rounds} slates of {SLATE} from {min(sizes)} to {max(sizes)} candidates"
    )
    print(f"{'fine':>5} {'ms':10}{'cpu p50':>9}{'p95':>9}{'p99':>9}{'clock p50':>11}{'p95':>9}{'p99':>9}")
    for fine in options.fine:
        watch = measure(ranker, cases, options.rounds, fine, options.arranged)
        for name, cpu in watch.cpu.items():
            c50, c95, c99 = np.quantile(cpu, [0.5, 0.95, 0.99])
            p50, p95, p99 = np.quantile(watch.clock[name], [0.5, 0.95, 0.99])
            print(
                f"{fine:5} {name:10}{c50:9.2f}{c95:9.2f}{c99:9.2f}{p50:11.2f}{p95:9.2f}{p99:9.2f}", flush=True
            )


if __name__ == "__main__":
    main()
