"""Whether paths through the knowledge graph tell a shopper's own next purchases from somebody else's.

For each test shopper of `nearline eval slate` NOVEL: the titles they next bought are the queries that should be relevant, the
titles that another shopper next bought are those that should not; so both are equally popular. Each title is a query and recalls
items sold before the cutoff by BM25. AUC is the chance that an own title is scored above a foreign one (0.5 is guessing), the
mean over shoppers with its 95 % interval; also for the queries whose product was first sold after the cutoff.

    python -m bench.path_relevance --orders online_retail.csv.gz [--cutoff 2011-09-01]
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from index.channels.lexical import Lexical
from index.channels.purchases import Purchases
from index.demand_weights import Paths, Recalled, bought_by, factors
from index.evaluate.metrics import bootstrap
from index.evaluate.slate import Task, split
from stream.datasets.online_retail import OnlineRetail

_QUERIES, _DEPTH = 20, 10


def main() -> None:
    """Build the graph before the cutoff, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=Path, required=True)
    parser.add_argument("--cutoff", default="2011-09-01")
    parser.add_argument("--depth", type=int, default=_DEPTH, help="items that a query recalls")
    options = parser.parse_args()
    cutoff = int(datetime.fromisoformat(options.cutoff).replace(tzinfo=UTC).timestamp() * 1000)
    known = list(OnlineRetail(options.orders, known_before=cutoff).catalog())
    shop = OnlineRetail(options.orders)
    titles = {one["item_id"]: one["title"] for one in shop.catalog()}
    ids = [one["item_id"] for one in known]
    log = Purchases.of(
        (
            (basket.user_id, line.item_id, line.ts, line.quantity, line.amount)
            for basket in shop.baskets()
            for line in basket.lines
        ),
        ids,
    )
    cut = split(log, cutoff)
    task = cut.task("novel")
    paths = Paths.build(
        [one["category"] for one in known],
        [factors(one["title"], one["brand"]) for one in known],
        bought=bought_by(cut.history, ids),
    )
    asked = sorted({int(item) for target in task.targets for item in target})
    place = {item: at for at, item in enumerate(asked)}
    answers = Lexical.build({"title": [one["title"] for one in known]}).answer(
        [titles[log.items[item]] for item in asked], options.depth
    )
    queries = [
        Recalled(rows[rows >= 0], scores[rows >= 0].astype(float))
        for rows, scores in zip(answers.rows, answers.scores, strict=True)
    ]
    measure(task, paths, queries, place, np.array([one["category"] for one in known]))


def measure(task: Task, paths: Paths, queries: list[Recalled], place: dict[int, int], category: Any) -> None:
    """Score own and foreign titles of every shopper and print AUC by scorer."""
    random = np.random.default_rng(0)
    bought = task.shoppers.bought(len(task.offered))
    weights = task.shoppers.weights(len(task.offered), 3.0)
    found: dict[str, list[float]] = {}
    unseen: dict[str, list[float]] = {}
    spent, walked = 0.0, 0
    for at, own in enumerate(task.targets):
        other = task.targets[(at + 1 + int(random.integers(len(task.targets) - 1))) % len(task.targets)]
        foreign = other[~np.isin(other, own) & ~bought[at][other]]
        if not len(foreign):
            continue
        own, foreign = (random.permutation(one)[:_QUERIES] for one in (own, foreign))  # noqa: PLW2901 - a sample of them
        items = np.concatenate([own, foreign])
        truth = np.arange(len(items)) < len(own)
        mine = np.flatnonzero(weights[at])
        history = dict(zip(mine.tolist(), weights[at][mine].tolist(), strict=True))
        chosen = [queries[place[item]] for item in items.tolist()]
        paths.relevance(history, chosen[:5])
        began = time.process_time()
        paths.relevance(history, chosen[:5])
        spent, walked = spent + time.process_time() - began, walked + 1
        scored = paths.relevance(history, chosen)
        share = {name: weights[at][mine][category[mine] == name].sum() for name in set(category[mine])}
        columns = {
            "all paths": [one.value for one in scored],
            **{f"path {name}": [one.by_path[name] for one in scored] for name in paths.counts},
            "category match": [
                share.get(category[query.rows[0]], 0.0) if len(query.rows) else 0.0 for query in chosen
            ],
        }
        new = ~task.offered[items]
        for name, column in columns.items():
            values = np.array(column)
            found.setdefault(name, []).append(auc(values, truth))
            if (new & truth).any() and (new & ~truth).any():
                unseen.setdefault(name, []).append(auc(values[new], truth[new]))
    print(
        f"{len(found['all paths'])} shoppers, {len(paths):,} items, "
        f"{len(paths.links.nodes):,} edges; "
        f"{spent / walked * 1e3:.2f} ms of CPU a shopper with 5 queries (warm)"
    )
    print(f"{'':18}{'AUC':>7}{'95 % interval':>18}{'products unseen':>18}{'95 % interval':>18}")
    for name, each in found.items():
        all_, new_ = bootstrap(np.array(each)), bootstrap(np.array(unseen.get(name, [])))
        print(
            f"{name:18}{all_.mean:>7.3f}{f'{all_.low:.3f} to {all_.high:.3f}':>18}"
            f"{new_.mean:>18.3f}{f'{new_.low:.3f} to {new_.high:.3f}':>18}"
        )


def auc(values: np.ndarray, truth: np.ndarray) -> float:
    """Chance that a true one has the larger value, ties half (Mann and Whitney, 1947)."""
    more = values[truth][:, None] - values[~truth][None, :]
    return float((more > 0).mean() + (more == 0).mean() / 2)


if __name__ == "__main__":
    main()
