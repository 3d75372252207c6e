"""How well the judge tells faulty demands from good ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["Measures", "Reliability", "measure_verdicts"]

_BINS: Final = 10
_RESAMPLES: Final = 1000


@dataclass(frozen=True, slots=True)
class Reliability:
    """Demands whose score lies from ``low`` to ``high``: how many, their mean score, and the share that is good."""

    low: float
    high: float
    count: int
    score: float
    good: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Of a labelled set; every share with its 95 % interval by resampling shoppers.

    Attributes:
        count: Demands.
        precision: Of those rejected, the share that is faulty.
        recall: Of the faulty, the share rejected.
        kept_precision: Of those kept, the share that is good.
        kept_recall: Of the good, the share kept.
        auc: Chance that a good demand scores above a faulty one.
        cut: By how much judging lowers the share of faulty demands in what is served: 1 - after / before.
        rejected: By fault, and "" for good ones, the share rejected.
        ece: Expected calibration error over ten bins of equal width (Guo and others, ICML 2017).
        brier: Mean squared difference of score and label (Brier 1950).
        reliability: The bins that hold any.
    """

    count: int
    precision: tuple[float, float, float]
    recall: tuple[float, float, float]
    kept_precision: tuple[float, float, float]
    kept_recall: tuple[float, float, float]
    auc: float
    cut: float
    rejected: dict[str, float]
    ece: float
    brier: float
    reliability: list[Reliability]


def measure_verdicts(
    score: Sequence[float],
    kept: Sequence[bool],
    faults: Sequence[str],
    persons: Sequence[int],
    *,
    seed: int = 0,
) -> Measures:
    """Measure n verdicts.

    Args:
        score: The judge's scores, 0 to 1.
        kept: Its decisions.
        faults: The labels, "" for good.
        persons: Which shopper each is for; intervals resample these.
        seed: Of the resampling.
    """
    chance, keep = np.array(score, dtype=np.float64), np.array(kept, dtype=bool)
    labels = np.array(faults)
    good = labels == ""
    _, person = np.unique(np.array(persons), return_inverse=True)
    weights = np.ones((1, len(good)))
    random = np.random.default_rng(seed)
    people = int(person.max(initial=0)) + 1
    drawn = random.multinomial(people, np.full(people, 1.0 / people), size=_RESAMPLES)
    resampled = np.vstack([weights, drawn[:, person]])

    def share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
        values = (resampled @ (part & whole)) / np.maximum(1e-12, resampled @ whole)
        low, high = np.quantile(values[1:], [0.025, 0.975])
        return float(values[0]), float(low), float(high)

    faulty_served = float((keep & ~good).sum() / max(1, keep.sum()))
    bins = np.minimum((chance * _BINS).astype(int), _BINS - 1)
    table = [
        Reliability(
            at / _BINS,
            (at + 1) / _BINS,
            int(inside.sum()),
            float(chance[inside].mean()),
            float(good[inside].mean()),
        )
        for at in range(_BINS)
        if (inside := bins == at).any()
    ]
    return Measures(
        count=len(good),
        precision=share(~good, ~keep),
        recall=share(~keep, ~good),
        kept_precision=share(good, keep),
        kept_recall=share(keep, good),
        auc=_auc(chance, good),
        cut=1.0 - faulty_served / max(1e-12, float((~good).mean())),
        rejected={name: float((~keep[labels == name]).mean()) for name in dict.fromkeys(sorted(faults))},
        ece=sum(row.count * abs(row.score - row.good) for row in table) / max(1, len(good)),
        brier=float(((chance - good) ** 2).mean()),
        reliability=table,
    )


def _auc(score: npt.NDArray[np.float64], good: npt.NDArray[np.bool_]) -> float:
    """Mann and Whitney's statistic; ties count half. 0.5 where one kind is missing."""
    if good.all() or not good.any():
        return 0.5
    ordered = np.sort(score[~good])
    below = np.searchsorted(ordered, score[good], "left")
    upto = np.searchsorted(ordered, score[good], "right")
    return float((below + upto).mean() / 2 / len(ordered))
