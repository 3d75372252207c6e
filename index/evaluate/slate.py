"""The protocol of slate evaluation: history before a cutoff, targets after it, any channels in between.

Everything before the cutoff (00:00 UTC of a day) is history. Test shoppers have lines on at least two days before it
and on one day on or after it; a shopper's targets are the items of their first day on or after it.

- NOVEL: targets never bought before by the shopper. Shoppers without any are dropped, and what a shopper bought is
  not offered to them.
- ALL: every target; everything is offered.

Items first sold on or after the cutoff stay among the targets, where no list can have them; `Task.unseen` is their
share. On offer is what was sold before the cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from index.channels.channel import Timed, best
from index.channels.purchases import date_of
from index.errors import CatalogError
from index.evaluate.metrics import Estimate, SlateMetrics, bootstrap, coverage, per_shopper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.channels.channel import Scores, ShopperChannel
    from index.channels.purchases import Histories, Purchases

__all__ = ["CUTS", "Result", "Split", "Task", "compare", "evaluate", "split"]

CUTS: Final = (20, 50)
_DAYS_BEFORE: Final = 2
_BLOCK: Final = 256

Rule = Literal["novel", "all"]


@dataclass(frozen=True, slots=True)
class Split:
    """A log cut at a moment.

    Attributes:
        history: The lines before the cutoff.
        cutoff: UTC milliseconds.
        users: (n,) the numbers of the test shoppers, rising.
        targets: For each the items of their first day on or after the cutoff, rising.
    """

    history: Purchases
    cutoff: int
    users: npt.NDArray[np.int64]
    targets: tuple[npt.NDArray[np.int64], ...]

    def task(self, rule: Rule) -> Task:
        """The shoppers and targets of NOVEL or ALL.

        Raises:
            CatalogError: If no shopper is left.
        """
        histories = self.history.histories(self.users, self.cutoff)
        items = len(self.history.items)
        bought = histories.bought(items)
        targets = [
            target[~mine[target]] if rule == "novel" else target
            for target, mine in zip(self.targets, bought, strict=True)
        ]
        kept = np.array([at for at, target in enumerate(targets) if len(target)], dtype=np.int64)
        if not len(kept):
            raise CatalogError(
                "No test shopper bought anything new on their first day after the cutoff.",
                way_out="Choose another cutoff, or a longer log.",
            )
        sold = np.bincount(self.history.item, minlength=items) > 0
        chosen = [targets[at] for at in kept]
        return Task(
            rule,
            self.users[kept],
            self.history.histories(self.users[kept], self.cutoff),
            tuple(chosen),
            sold,
            float((~sold[np.concatenate(chosen)]).mean()),
        )


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of every channel.

    Attributes:
        rule: ``novel`` or ``all``.
        users: (n,) the shoppers' numbers.
        shoppers: What they bought before the cutoff.
        targets: The items each is to be offered.
        offered: (items,) whether an item was sold before the cutoff.
        unseen: Share of all targets that were not.
    """

    rule: Rule
    users: npt.NDArray[np.int64]
    shoppers: Histories
    targets: tuple[npt.NDArray[np.int64], ...]
    offered: npt.NDArray[np.bool_]
    unseen: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a channel did.

    Attributes:
        metrics: With confidence intervals.
        shopper_values: By metric, (n,) the value of each shopper: for paired comparisons.
        rows: (n, 50) the lists.
        ms_each: Milliseconds a shopper, asked in batches of 256.
    """

    metrics: SlateMetrics
    shopper_values: dict[str, npt.NDArray[np.float64]]
    rows: npt.NDArray[np.int64]
    ms_each: float


def split(log: Purchases, cutoff: int, *, until: int | None = None) -> Split:
    """Cut a log.

    Args:
        log: All lines.
        cutoff: UTC milliseconds of 00:00 of a day.
        until: Lines at or after this moment are left out, as if the log ended there; None for its end.

    Raises:
        CatalogError: If there is no line before the cutoff or none after it, or no test shopper.
    """
    known = log if until is None else log.before(until)
    history = known.before(cutoff)
    after = known.keep(known.time >= cutoff)
    if not len(history):
        raise CatalogError(
            f"The log has no purchase before the cutoff {date_of(cutoff)}{_span(known)}.",
            way_out="Choose a later cutoff.",
        )
    if not len(after):
        raise CatalogError(
            f"The log has no purchase on or after the cutoff {date_of(cutoff)}{_span(known)}.",
            way_out="Choose an earlier cutoff, or a longer log.",
        )
    many = len(log.users)
    days_of = np.unique(history.user * 1_000_000 + history.day) // 1_000_000
    days = np.bincount(days_of, minlength=many)
    first = np.full(many, np.iinfo(np.int64).max)
    np.minimum.at(first, after.user, after.day)
    tested = np.flatnonzero((days >= _DAYS_BEFORE) & (first < np.iinfo(np.int64).max))
    if not len(tested):
        raise CatalogError(
            f"None of the {len(np.unique(after.user)):,} shoppers with a purchase on or after the cutoff "
            f"{date_of(cutoff)} has purchases on {_DAYS_BEFORE} days before it{_span(known)}.",
            way_out="Choose another cutoff, or a longer log.",
        )
    wanted = after.day == first[after.user]
    pairs = np.unique(after.user[wanted] * len(log.items) + after.item[wanted])
    owners, items = pairs // len(log.items), pairs % len(log.items)
    bounds = np.searchsorted(owners, [tested, tested + 1])
    targets = tuple(items[start:stop] for start, stop in bounds.T.tolist())
    return Split(history, cutoff, tested, targets)


def evaluate(channel: ShopperChannel, task: Task, *, cuts: Sequence[int] = CUTS, seed: int = 0) -> Result:
    """Ask a channel for every shopper of a task and measure its lists."""
    timed = Timed.new()
    lists = []
    items = len(task.offered)
    for start in range(0, task.shoppers.count, _BLOCK):
        part = task.shoppers.part(slice(start, start + _BLOCK))
        scores: Scores = timed.run(lambda part=part: channel.score(part), part.count)  # type: ignore[misc]
        out = np.broadcast_to(~task.offered, (part.count, items))
        if task.rule == "novel":
            out = out | part.bought(items)
        lists.append(best(scores, max(cuts), out).rows)
    rows = np.concatenate(lists)
    values = per_shopper(rows, task.targets, cuts)
    metrics = SlateMetrics(
        {name: bootstrap(one, seed=seed) for name, one in values.items()},
        {k: coverage(rows, k, int(task.offered.sum())) for k in cuts},
    )
    return Result(metrics, values, rows, timed.ms_each)


def _span(log: Purchases) -> str:
    """When the log begins and ends, for a message."""
    return f"; it goes from {date_of(log.time.min())} to {date_of(log.time.max())}" if len(log) else ""


def compare(one: Result, other: Result, metric: str, *, seed: int = 0) -> Estimate:
    """The difference ``one - other`` in a metric with its interval, shoppers resampled in pairs."""
    return bootstrap(one.shopper_values[metric] - other.shopper_values[metric], seed=seed)
