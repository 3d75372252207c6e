"""What the live slate foretells with each weight of behaviour: from a purchase log, without a language model.

Shoppers with two days of purchases before the cutoff and one after are served as a worker would serve them. Their
demands are the titles of the five items they bought last, which is what the rung `preference` writes of them; their acts
are their last 24 purchases. The targets are what they bought on the first day after the cutoff and never before.

    python -m bench.live_slate --events online_retail.csv.gz --cutoff 2011-08-01 [--shoppers 400]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from console.verbs.evaluation.purchases import moment_of, read_purchases
from index import (
    CachedEncoder,
    Query,
    Recall,
    RecallRequest,
    RecallSettings,
    SentenceTransformerEncoder,
    build_catalog,
)
from index.channels.behaviour import LAMBDA, Behaviour, gram
from index.channels.purchases import DAY_MS
from index.evaluate.slate import split
from index.ranking.closed_form import quick_ease
from index.recall import Act
from index.recall.settings import ChannelWeights

if TYPE_CHECKING:
    from index.channels.behaviour import Neighbours
    from index.channels.purchases import Purchases

HALF_LIFE_DAYS = 3.0
"""In days with a purchase, as `index.channels.behaviour.HALF_LIFE`."""

NONE = dict.fromkeys(ChannelWeights.model_fields, 0.0)
WORDS = {**NONE, "dense": 0.35, "lexical": 1.0}
TRIED = {
    "words alone": (WORDS, 0.1),
    "behaviour alone": ({**NONE, "behaviour": 1.0}, 0.1),
    **{
        f"words, behaviour {weight:g}": ({**WORDS, "behaviour": weight}, 0.1)
        for weight in (0.5, 1.0, 2.0, 4.0)
    },
    **{f"behaviour 2, diversity {one:g}": ({**WORDS, "behaviour": 2.0}, one) for one in (0.0, 0.2, 0.5)},
}


def main() -> None:
    """Build, ask, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--cutoff", required=True)
    parser.add_argument("--shoppers", type=int, default=400)
    options = parser.parse_args()
    cutoff = moment_of(options.cutoff)
    bought = read_purchases(options.events, None, known_before=cutoff)
    cut = split(bought.log, cutoff)
    task, history = cut.task("novel"), cut.history
    counts = gram(history)
    neighbours = Behaviour("ease", quick_ease(counts, LAMBDA), counts.diagonal() > 0).sparse(200)
    encoder = CachedEncoder(SentenceTransformerEncoder(threads=1), 50_000)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "items.jsonl"
        source.write_text(_items(history, bought.titles, cutoff), encoding="utf-8")
        build_catalog(source, Path(scratch) / "catalog", encoder)
        plain = Recall.open(Path(scratch) / "catalog", encoder)
        chosen = np.random.default_rng(0).permutation(len(task.users))[: options.shoppers]
        requests = [_request(plain, history, int(task.users[at])) for at in chosen]
        targets = [{history.items[item] for item in task.targets[at]} for at in chosen]
        print(f"{len(requests)} shoppers, {len(plain.catalog):,} items, cutoff {options.cutoff}, NOVEL")
        print(f"{'':30}{'NDCG@20':>9}{'HR@50':>9}{'Recall@50':>11}{'coverage@50':>13}")
        for name, (weights, diversity) in TRIED.items():
            _row(name, _recall(plain, neighbours, history.items, weights, diversity), requests, targets)


def _items(history: Purchases, titles: list[str], cutoff: int) -> str:
    lately = np.bincount(history.item[history.time >= cutoff - 30 * DAY_MS], minlength=len(history.items))
    sold = np.unique(history.item).tolist()
    rows = [
        {
            "item_id": history.items[at],
            "title": titles[at] or history.items[at],
            "popularity": int(lately[at]),
        }
        for at in sold
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def _request(recall: Recall, history: Purchases, user: int) -> RecallRequest:
    mine = history.user == user
    items, days = history.item[mine], history.time[mine] // DAY_MS
    back = {day: place for place, day in enumerate(sorted(set(days.tolist()), reverse=True))}
    last: dict[int, int] = {}
    for item, day in zip(items.tolist(), days.tolist(), strict=True):
        last[item] = max(day, last.get(item, 0))
    latest = sorted(last, key=lambda item: -last[item])
    rows = [recall.catalog.row(history.items[item]) for item in latest[:5]]
    return RecallRequest(
        tuple(Query(recall.catalog.short_title(row)) for row in rows if row is not None),
        frozenset(history.items[item] for item in last),
        acts=tuple(
            Act(history.items[item], 0.5 ** (back[last[item]] / HALF_LIFE_DAYS)) for item in latest[:24]
        ),
        user=str(user),
    )


def _recall(
    plain: Recall, neighbours: Neighbours, items: tuple[str, ...], weights: dict[str, float], diversity: float
) -> Recall:
    settings = RecallSettings(weights=ChannelWeights(**weights), diversity=diversity, discovery_share=0.0)
    beside = replace(plain.beside, neighbours=(neighbours, items))
    return Recall(plain.catalog, plain.encoder, plain.vectors, beside=beside, settings=settings)


def _row(name: str, recall: Recall, requests: list[RecallRequest], targets: list[set[str]]) -> None:
    discount = 1 / np.log2(2 + np.arange(20))
    ndcg, hit, reached, shown = [], [], [], set()
    for request, wanted in zip(requests, targets, strict=True):
        slate = [one.item for one in recall.recall([request]).candidates[0]]
        good = np.array([item in wanted for item in slate[:20]], dtype=float)
        ndcg.append((good * discount[: len(good)]).sum() / discount[: len(wanted)].sum())
        hit.append(any(item in wanted for item in slate))
        reached.append(len(wanted.intersection(slate)) / len(wanted))
        shown.update(slate)
    coverage = len(shown) / len(recall.catalog)
    print(
        f"{name:30}{np.mean(ndcg):9.4f}{np.mean(hit):9.3f}{np.mean(reached):11.3f}{coverage:13.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
