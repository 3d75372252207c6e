"""What discovery costs and brings: the same slates with one share of discovery after the other.

========================  ====================================================================================
share of places           places kept for discovery, of all places; what `index.ranking.discovery.quota` gives. An item of
                          these kinds that comes by its own relevance counts for them, and others may come beside
farthest                  the largest distance of that share from the one asked for over any 1,000 slates in a row,
                          every shopper having several, one after the other
exposure                  share of all places with an item that is new, trending, of a category the shopper
                          never bought from, any of the three, or of the long tail (items beyond those that
                          together make 80 % of the order lines)
categories                different ones in a slate, on average
novelty                   mean of -log2(buyers / shoppers) over places: the self-information of Castells and others,
                          "Novelty and Diversity in Recommender Systems", 2015; RecTools' MeanInvUserFreq
========================  ====================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from index.evaluate.metrics import Estimate, bootstrap, coverage, per_shopper
from index.ranking.discovery import DiscoverySettings, kinds, quota
from index.ranking.slate import Pool, rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from index.evaluate.slate import Task
    from index.ranking.features import Knowledge
    from index.ranking.learned import Fused

__all__ = ["RUN", "SIZE", "VERSIONS", "AtShare", "at_shares"]

SIZE: Final = 50
VERSIONS: Final = 4
"""Slates of a shopper, one after the other, over which the share is looked at."""

RUN: Final = 1_000
_BLOCK: Final = 256
_HEAD_OF_SALES: Final = 0.8
_KINDS: Final = ("new", "trending", "unseen category")


@dataclass(frozen=True, slots=True)
class AtShare:
    """What slates with one share of discovery are like.

    Attributes:
        share: The share asked for.
        met: Share of all places that were kept for discovery.
        farthest: From the share asked for, over any 1,000 slates in a row (all, where there are fewer).
        short: Slates with fewer such places than they should have had.
        ndcg_20: NDCG@20.
        loss: Of NDCG@20 against the first share, shoppers resampled in pairs; a share of the first one's mean.
        hr_50: HR@50.
        coverage_50: Share of the items on offer that are in anybody's slate.
        exposure: By kind, share of all places; ``any`` is the three kinds together, ``long tail`` stands beside them.
        categories: Different categories in a slate; NaN without categories.
        novelty: Bits.
    """

    share: float
    met: float
    farthest: float
    short: int
    ndcg_20: Estimate
    loss: Estimate
    hr_50: Estimate
    coverage_50: float
    exposure: dict[str, float]
    categories: float
    novelty: float


def at_shares(
    fused: Fused,
    task: Task,
    shares: Sequence[float],
    *,
    names: Sequence[str],
    category: npt.NDArray[np.int64] | None = None,
    settings: DiscoverySettings | None = None,
    seed: int = 0,
) -> list[AtShare]:
    """Make every shopper's slate of 50 at each share and measure.

    Args:
        fused: Where candidates and their relevance come from.
        task: Shoppers and targets.
        shares: From 0 to 1; losses are against the first one.
        names: The shoppers' ids, in the task's order.
        category: (items,) the number of each item's category, -1 where unknown.
        settings: What is new and trending; its own share is not used.
        seed: Of the resampling.
    """
    limits = settings if settings is not None else DiscoverySettings()
    known = fused.knowledge
    age, trend, sales = known.item("age"), known.item("trend"), known.item("sales_14")
    made = _Made.empty(len(shares), task.shoppers.count)
    for start in range(0, task.shoppers.count, _BLOCK):
        part = task.shoppers.part(slice(start, start + _BLOCK))
        for shopper, items in enumerate(fused.ordered(part), start):
            mine = part.item[part.shopper == shopper - start]
            of = kinds(
                limits,
                age=age[items],
                trend=trend[items],
                sales=sales[items],
                category=None if category is None else category[items],
                seen=None if category is None else np.unique(category[mine]),
            )
            table = np.array([of.get(kind, np.zeros(len(items), dtype=bool)) for kind in _KINDS])
            order = 1.0 - np.arange(len(items)) / max(len(items), 1)
            pool = Pool({"order": order}, discovery=np.asarray(table.any(axis=0)))
            for at, share in enumerate(shares):
                places = [quota(share, SIZE, names[shopper], version) for version in range(VERSIONS)]
                slates = {one: rank(pool, SIZE, places=one) for one in set(places)}
                for version, asked in enumerate(places):
                    made.kept[at, version, shopper] = sum(one.discovery for one in slates[asked])
                    made.asked[at, version, shopper] = asked
                    made.size[at, version, shopper] = len(slates[asked])
                chosen = np.array([one.at for one in slates[places[0]]], dtype=np.int64)
                made.rows[at, shopper, : len(chosen)] = items[chosen]
                made.seen[:, at, shopper, : len(chosen)] = table[:, chosen]
    return _measured(known, task, shares, made, category, seed)


@dataclass(frozen=True, slots=True)
class _Made:
    """The slates of n shoppers at s shares.

    Attributes:
        rows: (s, n, 50) the items of everybody's first slate; -1 where it has ended.
        seen: (kinds, s, n, 50) of which kinds they are.
        kept: (s, versions, n) places of each slate that were kept for discovery.
        asked: (s, versions, n) that should have been.
        size: (s, versions, n) places of each slate.
    """

    rows: npt.NDArray[np.int64]
    seen: npt.NDArray[np.bool_]
    kept: npt.NDArray[np.int64]
    asked: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, shares: int, shoppers: int) -> _Made:
        counts = [np.zeros((shares, VERSIONS, shoppers), dtype=np.int64) for _ in range(3)]
        return cls(
            np.full((shares, shoppers, SIZE), -1, dtype=np.int64),
            np.zeros((len(_KINDS), shares, shoppers, SIZE), dtype=bool),
            *counts,
        )

    def farthest(self, at: int, share: float) -> float:
        kept, size = (np.r_[0, np.cumsum(one[at].ravel())] for one in (self.kept, self.size))
        run = min(RUN, len(kept) - 1)
        got = (kept[run:] - kept[:-run]) / np.maximum(size[run:] - size[:-run], 1)
        return float(np.abs(got - share).max())


def _measured(
    known: Knowledge,
    task: Task,
    shares: Sequence[float],
    made: _Made,
    category: npt.NDArray[np.int64] | None,
    seed: int,
) -> list[AtShare]:
    lines, buyers = known.item("sales"), known.item("buyers")
    order = np.argsort(-lines, kind="stable")
    tail = np.ones(len(lines), dtype=bool)
    tail[order[: int(np.searchsorted(np.cumsum(lines[order]), _HEAD_OF_SALES * lines.sum())) + 1]] = False
    surprise = -np.log2(np.maximum(buyers, 1.0) / known.shoppers)
    report = []
    first: npt.NDArray[np.float64] | None = None
    for at, share in enumerate(shares):
        rows = made.rows[at]
        shown = rows >= 0
        items = rows[shown]
        values = per_shopper(rows, task.targets, (20, 50))
        ndcg = values["NDCG@20"]
        first = ndcg if first is None else first
        base = max(float(first.mean()), 1e-12)
        exposure = {kind: float(one[at][shown].mean()) for kind, one in zip(_KINDS, made.seen, strict=True)}
        exposure["any"] = float(np.asarray(made.seen[:, at].any(axis=0))[shown].mean())
        exposure["long tail"] = float(tail[items].mean())
        breadth = float("nan")
        if category is not None:
            breadth = float(np.mean([len(np.unique(category[one[one >= 0]])) for one in rows]))
        report.append(
            AtShare(
                share,
                float(made.kept[at].sum() / made.size[at].sum()),
                made.farthest(at, share),
                int((made.kept[at] < made.asked[at]).sum()),
                bootstrap(ndcg, seed=seed),
                bootstrap((first - ndcg) / base, seed=seed),
                bootstrap(values["HR@50"], seed=seed),
                coverage(rows, SIZE, int(task.offered.sum())),
                exposure,
                breadth,
                float(surprise[items].mean()),
            )
        )
    return report
