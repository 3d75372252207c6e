"""The judge: is a demand answerable, grounded and new?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.judge.features import Case, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.judge.calibration import Calibration
    from agents.judge.shop import Shop

__all__ = ["Judge", "Verdict"]

_EVEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one demand.

    Attributes:
        score: Calibrated chance of being good, 0 to 1, among demands of which half are faulty.
        answerable: Chance that the catalogue has it.
        grounded: Chance that what the shopper did speaks for it.
        new: Chance that it copies neither the shopper's input nor the prompt.
        kept: Whether the score reaches the threshold that holds for so much known of the shopper.
        reasons: In words what speaks against it; empty if it is kept.
    """

    score: float
    answerable: float
    grounded: float
    new: float
    kept: bool
    reasons: tuple[str, ...]


class Judge:
    """Judges demands against a shop. Safe for concurrent calls.

    Args:
        shop: The catalogue and what is bought together.
        calibration: What was learnt from labelled demands.
        threshold: The least score that is kept; the calibration's own if None, which are stricter where little is
            known of the shopper.
    """

    def __init__(self, shop: Shop, calibration: Calibration, threshold: float | None = None) -> None:
        self.calibration = calibration
        self.threshold = threshold
        self._shop = shop

    def over(self, shop: Shop) -> Judge:
        """The same judge over another state of the shop."""
        return Judge(shop, self.calibration, self.threshold)

    def judge(self, cases: Sequence[Case]) -> list[list[Verdict]]:
        """For each case a verdict on each of its queries, in order; all are searched for in one call.

        Raises:
            NearlineError: The shop could not be asked, for example because its encoder is away.
        """
        measured = measure(cases, self._shop)
        scores = self.calibration.scores(measured)
        least = self.calibration.thresholds(measured)
        if self.threshold is not None:
            least = np.full(len(least), self.threshold)
        verdicts = []
        for score, bar, parts, best in zip(scores.score, least, scores.parts, measured.best, strict=True):
            answerable, grounded, new = (float(part) for part in parts)
            kept = bool(score >= bar)
            reasons = () if kept else _reasons(answerable, grounded, new, best)
            verdicts.append(Verdict(float(score), answerable, grounded, new, kept, reasons))
        at = iter(verdicts)
        return [[next(at) for _ in case.queries] for case in cases]


def _reasons(answerable: float, grounded: float, new: float, best: str) -> tuple[str, ...]:
    """What is below even odds; the least of the three if none is."""
    named = (
        (
            answerable,
            f"the catalogue lacks it; its best answer is “{best}”" if best else "the catalogue lacks it",
        ),
        (grounded, "nothing the shopper did speaks for it"),
        (new, "a copy of the input or of the prompt"),
    )
    found = sorted((chance, words) for chance, words in named if chance < _EVEN) or [min(named)]
    return tuple(words for _, words in found)
