"""Metrics of slates against what shoppers then bought, and confidence intervals by the bootstrap.

Relevance is yes or no. For a list cut at k and a set T of targets:

========  ==============================================================================================
HR@k      1 if any of the k items is in T, else 0
Recall@k  items of T among the k, divided by |T|
NDCG@k    Σ over places p = 1..k with a hit of 1 / log2(p + 1), divided by the same sum over p = 1..min(k, |T|)
========  ==============================================================================================

NDCG after Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Estimate", "SlateMetrics", "bootstrap", "coverage", "per_shopper"]

_SAMPLES: Final = 1_000

PerShopper = dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the interval that holds 95 % of the means of resampled shoppers."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SlateMetrics:
    """What one channel reached.

    Attributes:
        values: By metric, such as ``NDCG@20``.
        coverage: By k, share of the items on offer that are in anybody's first k.
    """

    values: dict[str, Estimate]
    coverage: dict[int, float]


def per_shopper(
    rows: npt.NDArray[np.int64], targets: Sequence[npt.NDArray[np.int64]], cuts: Sequence[int]
) -> PerShopper:
    """HR, Recall and NDCG of each shopper at each cut.

    Args:
        rows: (n, depth) the lists, best first; -1 where one has ended.
        targets: The n sets of targets, none empty.
        cuts: The k to cut at, none above depth.

    Returns:
        By ``HR@k``, ``Recall@k`` and ``NDCG@k`` an array (n,).
    """
    hits: npt.NDArray[np.bool_] = np.stack(
        [np.isin(one, target) & (one >= 0) for one, target in zip(rows, targets, strict=True)]
    )
    sizes = np.array([len(target) for target in targets])
    deepest = max(cuts)
    discounts = 1.0 / np.log2(np.arange(2, deepest + 2))
    ideal = np.cumsum(discounts)
    found: PerShopper = {}
    for k in cuts:
        upper = hits[:, :k]
        found[f"HR@{k}"] = np.asarray(upper.any(axis=1), dtype=np.float64)
        found[f"Recall@{k}"] = np.asarray(upper.sum(axis=1), dtype=np.float64) / sizes
        gained = np.asarray(upper @ discounts[: upper.shape[1]], dtype=np.float64)
        found[f"NDCG@{k}"] = np.divide(gained, ideal[np.minimum(k, sizes) - 1])
    return found


def coverage(rows: npt.NDArray[np.int64], cut: int, offered: int) -> float:
    """Share of the ``offered`` items that are in anybody's first ``cut``."""
    shown = rows[:, :cut]
    return len(np.unique(shown[shown >= 0])) / offered if offered else 0.0


def bootstrap(values: npt.NDArray[np.float64], *, seed: int = 0, samples: int = _SAMPLES) -> Estimate:
    """Mean of (n,) values with its 95 % percentile interval over ``samples`` resamples with replacement.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. With no value, all are NaN.
    """
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    means = np.array([values[random.integers(0, len(values), len(values))].mean() for _ in range(samples)])
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))
