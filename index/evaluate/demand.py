"""What demands in words are worth: queries of each shopper, the items they bring, and what was then bought.

The protocol is that of `index.evaluate.slate`, NOVEL: what the shopper never bought before and bought on the first day
after the cutoff. It is asked of several offers:

- NOVEL: what was sold before the cutoff, as there;
- LISTED: that, and what was first sold within 30 days after it, which the catalogue has by title only;
- NEW: as LISTED, with the items first sold after the cutoff as the only targets;
- THIN k: as NOVEL, with each history cut to its last k products.

A shopper's slate is made of the lists of their queries in turns: the best item of each query, then the second of each,
and so on, each item once and without what the shopper bought. Nothing here knows who wrote the queries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.channels.channel import best
from index.errors import CatalogError
from index.evaluate.metrics import Estimate, bootstrap, per_shopper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.channels.channel import QueryChannel, ShopperChannel
    from index.channels.purchases import Histories, Purchases
    from index.evaluate.slate import Split, Task

__all__ = [
    "CUTS",
    "DEPTH",
    "Answers",
    "Measured",
    "exclusive",
    "fused",
    "measure",
    "new_task",
    "of_channel",
    "slates",
    "some",
    "swapped",
    "thin_task",
    "times",
    "with_new",
]

CUTS: Final = (20, 50)
DEPTH: Final = 50
NEW_DAYS: Final = 30
_DAY_MS: Final = 86_400_000
_BLOCK: Final = 256
_DEEP: Final = 200
_RRF: Final = 60
_NOTHING: Final = 1e-9

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measured:
    """What lists reached.

    Attributes:
        values: By metric, such as ``Recall@50``, the mean with its interval.
        each: By metric the value of each shopper, for paired comparisons.
        coverage: Share of the items on offer that are in anybody's list.
        categories: Mean number of categories in a list; NaN without categories.
    """

    values: dict[str, Estimate]
    each: dict[str, npt.NDArray[np.float64]]
    coverage: float
    categories: float


class Answers:
    """The lists of queries, each query asked once however many shoppers have it."""

    def __init__(self, channel: QueryChannel) -> None:
        self._channel = channel
        self._known: dict[str, Rows] = {}

    def __call__(self, queries: Sequence[str]) -> list[Rows]:
        """The items of each query, best first."""
        missing = [query for query in dict.fromkeys(queries) if query not in self._known]
        for start in range(0, len(missing), _BLOCK):
            part = missing[start : start + _BLOCK]
            for query, rows in zip(part, self._channel.answer(part, _DEEP).rows, strict=True):
                self._known[query] = rows[rows >= 0]
        return [self._known[query] for query in queries]


def with_new(cut: Split, log: Purchases, days: int = NEW_DAYS) -> Task:
    """LISTED: the task NOVEL with the items first sold within ``days`` after the cutoff on offer too.

    Args:
        cut: The log cut at the cutoff.
        log: The whole log.
        days: How soon.
    """
    task = cut.task("novel")
    soon = log.keep((log.time >= cut.cutoff) & (log.time < cut.cutoff + days * _DAY_MS))
    offered = task.offered.copy()
    offered[np.unique(soon.item)] = True
    return replace(task, offered=offered, unseen=float((~offered[np.concatenate(task.targets)]).mean()))


def new_task(listed: Task, known: npt.NDArray[np.bool_]) -> tuple[Task, npt.NDArray[np.int64]]:
    """NEW: the shoppers of LISTED with a target that was not ``known`` (items,), and which of LISTED's they are.

    Raises:
        CatalogError: If no shopper has one.
    """
    targets = [target[~known[target] & listed.offered[target]] for target in listed.targets]
    kept = np.array([at for at, target in enumerate(targets) if len(target)], dtype=np.int64)
    if not len(kept):
        raise CatalogError(
            f"No shopper bought anything first sold within {NEW_DAYS} days after the cutoff.",
            way_out="Choose another cutoff.",
        )
    return replace(some(listed, kept), targets=tuple(targets[at] for at in kept), unseen=0.0), kept


def some(task: Task, kept: npt.NDArray[np.int64]) -> Task:
    """The task of some of its shoppers, by their places, rising."""
    targets = tuple(task.targets[at] for at in kept)
    unseen = float((~task.offered[np.concatenate(targets)]).mean())
    return replace(
        task, users=task.users[kept], shoppers=_chosen(task.shoppers, kept), targets=targets, unseen=unseen
    )


def thin_task(task: Task, products: int) -> tuple[Task, npt.NDArray[np.bool_]]:
    """THIN: the task with histories cut to the last ``products``, and what the shoppers really bought.

    Returns:
        The task, and (n, items) the items not to be offered, which are those of the whole histories.
    """
    return (
        replace(task, shoppers=task.shoppers.latest(products)),
        task.shoppers.bought(len(task.offered)),
    )


def slates(
    answers: Answers,
    queries: Sequence[Sequence[str]],
    task: Task,
    *,
    bought: npt.NDArray[np.bool_] | None = None,
    depth: int = DEPTH,
) -> Rows:
    """(n, depth) the slates that queries bring, -1 where one has ended.

    Args:
        answers: Of the channel that is asked, over all items of the task.
        queries: Of each shopper, the most wanted first.
        task: Whose they are.
        bought: (n, items) what is not to be offered; the shoppers' histories if None.
        depth: Length of a slate.
    """
    had = task.shoppers.bought(len(task.offered)) if bought is None else bought
    rows = np.full((len(queries), depth), -1, dtype=np.int64)
    for at, mine in enumerate(queries):
        taken = ~task.offered | had[at]
        lists = [one[~taken[one]] for one in answers(mine)]
        slate: dict[int, None] = {}
        for place in range(max(map(len, lists), default=0)):
            for one in lists:
                if place < len(one):
                    slate.setdefault(int(one[place]))
            if len(slate) >= depth:
                break
        found = list(slate)[:depth]
        rows[at, : len(found)] = found
    return rows


def of_channel(
    channel: ShopperChannel, task: Task, *, bought: npt.NDArray[np.bool_] | None = None, depth: int = DEPTH
) -> Rows:
    """(n, depth) the slates of a channel of shoppers; arguments as in `slates`."""
    had = task.shoppers.bought(len(task.offered)) if bought is None else bought
    parts = []
    for start in range(0, task.shoppers.count, _BLOCK):
        part = slice(start, start + _BLOCK)
        scores = channel.score(task.shoppers.part(part))
        parts.append(best(scores, depth, ~task.offered | had[part]).rows)
    return np.concatenate(parts)


def fused(lists: Sequence[Rows], weights: Sequence[float], items: int, depth: int = DEPTH) -> Rows:
    """(n, depth) several slates of each shopper as one, by reciprocal ranks.

    Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
    SIGIR 2009: the sum of weight / (60 + rank).

    Args:
        lists: (n, any) of each channel.
        weights: Of each channel.
        items: How many items there are.
        depth: Length of the fused lists.
    """
    scores = np.zeros((len(lists[0]), items), dtype=np.float32)
    for rows, weight in zip(lists, weights, strict=True):
        owner, rank = np.nonzero(rows >= 0)
        scores[owner, rows[owner, rank]] += weight / (_RRF + 1 + rank)
    return best(np.where(scores > 0, scores, -np.inf).astype(np.float32), depth).rows


def swapped(n: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """(n,) for each of n shoppers another one, whose queries they get: the control for what is personal.

    Raises:
        CatalogError: If there are fewer than two.
    """
    if n < 2:
        raise CatalogError("A swap needs two shoppers.", way_out="Choose another cutoff, or a longer log.")
    order = np.random.default_rng(seed).permutation(n)
    other = np.empty(n, dtype=np.int64)
    other[order] = np.roll(order, 1)
    return other


def times(
    mine: npt.NDArray[np.float64], other: npt.NDArray[np.float64], *, seed: int = 0, samples: int = 1_000
) -> Estimate:
    """How many times the mean of ``other`` (n,) the mean of ``mine`` (n,) is, with its interval; shoppers resampled in pairs."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(mine), (samples, len(mine)))
    ratios = mine[drawn].mean(axis=1) / np.maximum(other[drawn].mean(axis=1), _NOTHING)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Estimate(float(mine.mean() / max(other.mean(), _NOTHING)), float(low), float(high))


def measure(
    rows: Rows,
    task: Task,
    *,
    category: npt.NDArray[np.int64] | None = None,
    seed: int = 0,
    cuts: Sequence[int] = CUTS,
) -> Measured:
    """HR, Recall and NDCG of slates with bootstrap intervals, and how broad they are."""
    each = per_shopper(rows, task.targets, cuts)
    shown = rows[rows >= 0]
    breadth = float("nan")
    if category is not None:
        breadth = float(np.mean([len(np.unique(category[one[one >= 0]])) for one in rows]))
    return Measured(
        {name: bootstrap(one, seed=seed) for name, one in each.items()},
        each,
        len(np.unique(shown)) / int(task.offered.sum()),
        breadth,
    )


def exclusive(
    mine: Rows, others: Sequence[Rows], targets: Sequence[npt.NDArray[np.int64]], cut: int = DEPTH
) -> npt.NDArray[np.float64]:
    """(n,) targets of each shopper in the first ``cut`` of their slate and in that of no other channel."""
    counts = np.zeros(len(targets))
    for at, target in enumerate(targets):
        elsewhere = np.concatenate([other[at, :cut] for other in others]) if others else np.empty(0, np.int64)
        counts[at] = len(np.setdiff1d(np.intersect1d(mine[at, :cut], target), elsewhere))
    return counts


def _chosen(shoppers: Histories, kept: npt.NDArray[np.int64]) -> Histories:
    place = np.full(shoppers.count, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    lines = place[shoppers.shopper] >= 0
    return type(shoppers).of(
        len(kept),
        place[shoppers.shopper[lines]],
        shoppers.item[lines],
        shoppers.day[lines],
        shoppers.amount[lines],
        shoppers.quantity[lines],
        now=shoppers.now,
    )
