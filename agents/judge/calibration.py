"""What the judge learnt: three sets of curves, how they are put together, and the score below which it rejects."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from agents.errors import CalibrationError
from agents.judge.curves import Curves, Steps
from agents.judge.features import ANSWERABLE, GROUNDED, NEW, Measured
from nearline import written_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["FAULTS_OF", "Calibration", "Scores"]

_VERSION: Final = 1
_PARTS: Final = ("answerable", "grounded", "new")
FAULTS_OF: Final[Mapping[str, frozenset[str]]] = {
    "answerable": frozenset({"wrong attribute", "absent product"}),
    "grounded": frozenset({"other shopper"}),
    "new": frozenset({"copy", "leak"}),
}
"""Which faults each part learns to find."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Of n demands.

    Attributes:
        parts: (n, 3) for answerable, grounded and new the chance, 0 to 1, where half of what it sees are faults.
        score: (n,) the calibrated chance of being good.
    """

    parts: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted on labelled demands.

    ``making`` tells of which; ``threshold`` is the least score that is kept. ``less_known`` has stricter ones by how
    many acts are known of the shopper, from fewest to most: the fewer, the more of what is unfounded looks like what is
    not. Between two numbers of acts it is interpolated over their logarithms.
    """

    answerable: Curves
    grounded: Curves
    new: Curves
    whole: Curves
    steps: Steps
    threshold: float
    making: Mapping[str, Any]
    less_known: tuple[tuple[int, float], ...] = ()

    @classmethod
    def fit(
        cls,
        measured: Measured,
        faults: Sequence[str],
        chosen: Measured,
        chosen_faults: Sequence[str],
        making: Mapping[str, Any],
    ) -> Self:
        """Fit the curves to one set of labelled demands, and calibrate and choose the threshold on another.

        Args:
            measured: Of the first set.
            faults: Its labels, "" for a good demand.
            chosen: Of the second set: later months or other shoppers.
            chosen_faults: Its labels.
            making: How both were made; kept with the calibration.

        Raises:
            CalibrationError: One of the sets lacks good or faulty demands.
        """
        labels = np.array(faults)
        good = labels == ""
        curves = {}
        for part, names in zip(_PARTS, (ANSWERABLE, GROUNDED, NEW), strict=True):
            values = getattr(measured, part)
            wanted = good | np.isin(labels, sorted(FAULTS_OF[part]))
            values, right = values[wanted], good[wanted]
            if part == "grounded":
                # A shop that learnt nothing of what is bought together is judged too.
                blind = values.copy()
                blind[:, :2] = np.nan
                values, right = np.vstack([values, blind]), np.r_[right, right]
            curves[part] = Curves.fit(names, values, right)
        made = cls(
            answerable=curves["answerable"],
            grounded=curves["grounded"],
            new=curves["new"],
            whole=_NOTHING,
            steps=Steps((0.0,), (0.5,)),
            threshold=0.5,
            making=making,
        )
        whole = Curves.fit(_PARTS, made._odds(measured), good)
        odds = whole.log_odds(made._odds(chosen))
        later = np.array(chosen_faults) == ""
        steps = Steps.fit(odds, later)
        return cls(
            answerable=curves["answerable"],
            grounded=curves["grounded"],
            new=curves["new"],
            whole=whole,
            steps=steps,
            threshold=_threshold(steps(odds), later),
            making=making,
        )

    def stricter(self, sets: Sequence[tuple[int, Measured, Sequence[str]]]) -> Self:
        """The calibration with thresholds by how much is known.

        That of most acts is the calibration's own; that of fewer is the least at which what is kept is as often good as
        there, and never a lower one.

        Args:
            sets: Of labelled demands, each with the acts that the judge saw of a shopper, what was measured, and the
                labels; in any order.
        """
        known = sorted(
            ((acts, self.scores(measured).score, np.array(faults) == "") for acts, measured, faults in sets),
            key=lambda one: -one[0],
        )
        least = self.threshold
        found: list[tuple[int, float]] = []
        wanted = _purity(known[0][1], known[0][2], least)
        for acts, score, good in known:
            enough = [value for value in _STEPS if value >= least and _purity(score, good, value) >= wanted]
            least = least if not found else min(enough, default=_STEPS[-1])
            found.insert(0, (acts, round(float(least), 4)))
        return replace(self, less_known=tuple(found))

    def thresholds(self, measured: Measured) -> npt.NDArray[np.float64]:
        """(n,) the least score that is kept of each demand."""
        if not self.less_known:
            return np.full(len(measured.grounded), self.threshold)
        acts, least = (np.array(part, dtype=np.float64) for part in zip(*self.less_known, strict=True))
        known = measured.grounded[:, GROUNDED.index("acts")]
        result: npt.NDArray[np.float64] = np.interp(known, np.log1p(acts), least)
        return result

    def scores(self, measured: Measured) -> Scores:
        """Score what was measured; a copy by definition is not new and has the score 0, whatever the curves say."""
        odds = self._odds(measured)
        parts, score = 1.0 / (1.0 + np.exp(-odds)), self.steps(self.whole.log_odds(odds))
        copies = measured.copies
        parts[copies, _PARTS.index("new")] = 0.0
        return Scores(parts, np.where(copies, 0.0, score))

    def _odds(self, measured: Measured) -> npt.NDArray[np.float64]:
        return np.column_stack(
            [
                curves.log_odds(values)
                for curves, values in (
                    (self.answerable, measured.answerable),
                    (self.grounded, measured.grounded),
                    (self.new, measured.new),
                )
            ]
        )

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all.

        Raises:
            CalibrationError: It cannot be written.
        """
        parts = {part: getattr(self, part).to_json() for part in (*_PARTS, "whole")}
        steps = {"at": self.steps.at, "chance": self.steps.chance}
        document = {
            "version": _VERSION,
            "making": self.making,
            "threshold": self.threshold,
            "less_known": self.less_known,
            "steps": steps,
            **parts,
        }
        try:
            with written_whole(path) as beside:
                beside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise CalibrationError(
                f"{path} cannot be written ({error}).", way_out="Name another file."
            ) from error

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read what `save` wrote; the one that comes with Nearline if no file is named.

        Raises:
            CalibrationError: The file is missing or holds something else.
        """
        source = path if path is not None else files("agents.judge").joinpath("calibration.json")
        try:
            found = json.loads(source.read_text(encoding="utf-8"))
            if not isinstance(found, dict) or found.get("version") != _VERSION:
                raise CalibrationError(
                    f"{source} is no calibration of version {_VERSION}.", way_out="Fit the judge anew."
                )
            names = (ANSWERABLE, GROUNDED, NEW, _PARTS)
            curves = {
                part: Curves.from_json(found[part], of)
                for part, of in zip((*_PARTS, "whole"), names, strict=True)
            }
            steps = Steps(
                tuple(map(float, found["steps"]["at"])), tuple(map(float, found["steps"]["chance"]))
            )
            less_known = tuple((int(acts), float(least)) for acts, least in found.get("less_known", ()))
            return cls(
                **curves,
                steps=steps,
                threshold=float(found["threshold"]),
                making=found["making"],
                less_known=less_known,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CalibrationError(
                f"{source} holds no calibration of the judge ({error}).",
                way_out="Name a file that `nearline judge fit` wrote, or unset agents.judge.calibration.",
            ) from error


_STEPS: Final = tuple(np.linspace(0.0, 1.0, 101).round(2).tolist())
_NOTHING: Final = Curves((), (), (), (), (), 0.0)


def _purity(score: npt.NDArray[np.float64], good: npt.NDArray[np.bool_], least: float) -> float:
    """Which share of what is kept is good; 1 where nothing is."""
    kept = score >= least
    return float(good[kept].mean()) if kept.any() else 1.0


def _threshold(score: npt.NDArray[np.float64], good: npt.NDArray[np.bool_]) -> float:
    """The score that makes the least of four as large as may be: precision and recall of finding faults and of keeping."""
    best, chosen = -1.0, 0.5
    for value in np.unique(np.quantile(score, np.linspace(0.02, 0.98, 97))):
        kept = score >= value
        right = (~kept & ~good).sum(), (kept & good).sum()
        least = min(
            right[0] / max(1, (~kept).sum()),
            right[0] / max(1, (~good).sum()),
            right[1] / max(1, kept.sum()),
            right[1] / max(1, good.sum()),
        )
        if least > best:
            best, chosen = float(least), float(value)
    return round(chosen, 4)
