"""How long ranking takes: from 2,000 candidates of one shopper to a slate of 50.

Trains the ranker on one earlier moment of Online Retail, gives each of some hundred shoppers 2,000 candidates with
features and titles' vectors, and times, shopper by shopper on one thread: the coarse sum, the ranker on the best 200,
and the arrangement with likeness, caps by category and a tenth of the places for discovery. Prints milliseconds; a
column `cpu` counts only the time of this process, which on a busy machine is what the work itself takes.

    python -m bench.ranking_latency --events FILE [--cutoff 2011-09-01] [--shoppers 200] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np

from console.verbs.evaluation.purchases import moment_of, read_purchases
from index.evaluate.slate import split
from index.ranking.discovery import DiscoverySettings, kinds, quota
from index.ranking.features import FEATURES, Knowledge
from index.ranking.learned import gather, train
from index.ranking.slate import Pool, arrange, coarse, rank

CANDIDATES = 2_000
SLATE = 50
WEIGHTS = {"ease": 2.0, "ease-recent": 1.0, "ease-basket": 1.0, "user-knn": 1.0, "item-knn": 1.0}


def main() -> None:
    """Train, time, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--cutoff", default="2011-09-01")
    parser.add_argument("--shoppers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    moment = moment_of(options.cutoff)
    bought = read_purchases(options.events, None, known_before=moment)
    cut = split(bought.log, moment)
    vectors = bought.vectors()
    ranker = train(gather(cut.history, moment, ["novel"], vectors, gaps=(28,))["novel"], "novel")
    known = Knowledge(cut.history, moment, vectors)
    shoppers = cut.task("novel").shoppers.part(slice(0, options.shoppers))
    found = known.candidates(shoppers, novel=True, depth=CANDIDATES, most=CANDIDATES)
    category = bought.category if bought.category is not None else np.full(len(bought.log.items), -1)

    times: dict[str, list[float]] = {"whole": [], "cpu": [], "coarse": [], "ranker": [], "arrange": []}
    sizes = []
    for _ in range(options.rounds):
        for shopper in range(shoppers.count):
            mine = found.owner == shopper
            rows, features = found.rows[mine], found.features[mine]
            sizes.append(len(rows))
            columns = {name: features[:, FEATURES.index(name)] for name in WEIGHTS}
            new = kinds(
                DiscoverySettings(),
                age=known.item("age")[rows],
                trend=known.item("trend")[rows],
                sales=known.item("sales_14")[rows],
            )
            wanted = new["new"] | new["trending"]
            near = None if vectors is None else vectors[rows]
            groups = {"category": category[rows]}
            places = quota(0.1, SLATE, str(shopper), 0)

            began, spent = time.perf_counter(), time.process_time()
            parts = coarse(columns, WEIGHTS)
            rank(
                Pool(parts, near, groups, wanted),
                SLATE,
                features=features,
                ranker=ranker,
                caps={"category": 15},
                places=places,
            )
            times["whole"].append((time.perf_counter() - began) * 1e3)
            times["cpu"].append((time.process_time() - spent) * 1e3)

            began = time.perf_counter()
            pool = Pool(coarse(columns, WEIGHTS), near, groups, wanted)
            times["coarse"].append((time.perf_counter() - began) * 1e3)
            top = np.argsort(-pool.relevance)[:200]
            began = time.perf_counter()
            ranker.score(features[top], np.zeros(len(top), dtype=np.int64))
            times["ranker"].append((time.perf_counter() - began) * 1e3)
            few = pool.take(top[:120])
            began = time.perf_counter()
            arrange(few, SLATE, caps={"category": 15}, places=places)
            times["arrange"].append((time.perf_counter() - began) * 1e3)

    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"{len(sizes)} slates of {SLATE} from {min(sizes)} to {max(sizes)} candidates"
    )
    print(f"{'ms':10}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}")
    for name, taken in times.items():
        p50, p95, p99 = np.quantile(taken, [0.5, 0.95, 0.99])
        print(f"{name:10}{p50:9.2f}{p95:9.2f}{p99:9.2f}{max(taken):9.2f}")


if __name__ == "__main__":
    main()
