"""Additive logistic regression: the log odds are a sum of one curve a measure, each piecewise linear.

A generalised additive model (Hastie and Tibshirani, "Generalized Additive Models", 1990) whose curves bend at
quantiles of the data and are held back by a ridge penalty. It says of every measure what it added, has some tens of
numbers, and asks for nothing but numpy to answer. And monotone calibration of a score (isotonic regression; Zadrozny
and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from agents.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

__all__ = ["Curves", "Steps"]

_BENDS: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
_RIDGE: Final = 2.0
_LOG_ODDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Curves:
    """Fitted curves.

    Attributes:
        names: The measures, in the order of the columns.
        bends: By measure the values where its curve bends, rising.
        low: (features,) the values below which a curve is flat; ``high`` likewise above.
        high: See ``low``.
        weights: By measure its weights: one for missing, one a stretch between low, bends and high.
        base: Added to every sum.
    """

    names: tuple[str, ...]
    bends: tuple[tuple[float, ...], ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    base: float

    @classmethod
    def fit(cls, names: Sequence[str], values: Values, good: npt.NDArray[np.bool_]) -> Self:
        """Fit to n rows of measures (n, features), NaN where missing, and whether each is good (n,).

        Good and bad weigh the same as a whole, whatever their numbers.

        Raises:
            CalibrationError: There are no good or no bad ones, or scipy is not installed.
        """
        if good.all() or not good.any():
            raise CalibrationError(
                f"{len(good)} labelled demands are all {'good' if good.all() else 'faulty'}.",
                way_out="Label both kinds; take a longer history or a larger n.",
            )
        try:
            from scipy.optimize import minimize  # noqa: PLC0415 - judging does without it
        except ImportError as error:
            raise CalibrationError(
                "Fitting the judge needs scipy.", way_out="Install nearline[learn]."
            ) from error
        bends, low, high = [], [], []
        for column in values.T:
            known = column[np.isfinite(column)]
            ends = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
            inner = np.unique(np.quantile(known, _BENDS)) if len(known) else np.empty(0)
            bends.append(tuple(float(one) for one in inner if ends[0] < one < ends[1]))
            low.append(ends[0])
            high.append(ends[1])
        shape = cls(tuple(names), tuple(bends), tuple(low), tuple(high), (), 0.0)
        basis = np.hstack([np.ones((len(values), 1)), *shape._basis(values)])
        share = np.where(good, 0.5 / good.sum(), 0.5 / (~good).sum()) * len(good)
        sign = np.where(good, 1.0, -1.0)
        penalty = np.full(basis.shape[1], _RIDGE)
        penalty[0] = 0.0

        def loss(weights: Values) -> tuple[float, Values]:
            margin = sign * (basis @ weights)
            value = float(share @ np.logaddexp(0.0, -margin) + 0.5 * (penalty * weights) @ weights)
            slope = -(share * sign / (1.0 + np.exp(np.clip(margin, -_LOG_ODDS, _LOG_ODDS)))) @ basis
            return value, slope + penalty * weights

        found = minimize(loss, np.zeros(basis.shape[1]), jac=True, method="L-BFGS-B").x
        at, weights = 1, []
        for each in shape.bends:
            size = len(each) + 2
            weights.append(tuple(round(float(one), 5) for one in found[at : at + size]))
            at += size
        return cls(shape.names, shape.bends, shape.low, shape.high, tuple(weights), round(float(found[0]), 5))

    def log_odds(self, values: Values) -> Values:
        """(n,): the log odds of rows (n, features) being good; beyond ±30 they are cut."""
        odds: Values = np.clip(self.base + self.parts(values).sum(axis=1), -_LOG_ODDS, _LOG_ODDS)
        return odds

    def parts(self, values: Values) -> Values:
        """(n, features): what every measure adds to the log odds."""
        return np.column_stack(
            [part @ np.array(weight) for part, weight in zip(self._basis(values), self.weights, strict=True)]
        )

    def _basis(self, values: Values) -> list[Values]:
        """For each measure (n, stretches + 1): whether it is missing, and how far along each stretch it is, 0 to 1."""
        made = []
        for column, bends, low, high in zip(values.T, self.bends, self.low, self.high, strict=True):
            missing = ~np.isfinite(column)
            edges = np.array([low, *bends, high])
            filled = np.where(missing, low, column)[:, None]
            width = np.maximum(np.diff(edges), 1e-12)
            along = np.clip((filled - edges[:-1]) / width, 0.0, 1.0) * (np.diff(edges) > 0)
            made.append(np.column_stack([missing.astype(np.float64), along * ~missing[:, None]]))
        return made

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "base": self.base,
            "measures": {
                name: {"low": low, "bends": bends, "high": high, "weights": weights}
                for name, low, bends, high, weights in zip(
                    self.names, self.low, self.bends, self.high, self.weights, strict=True
                )
            },
        }

    @classmethod
    def from_json(cls, found: dict[str, Any], names: Sequence[str]) -> Self:
        """From what `to_json` gave.

        Raises:
            CalibrationError: It has other measures than ``names``, or a curve does not fit together.
        """
        try:
            measures = found["measures"]
            if tuple(measures) != tuple(names):
                raise CalibrationError(
                    f"the measures are {', '.join(measures)}; expected {', '.join(names)}.",
                    way_out="Fit the judge anew with this version.",
                )
            curves = [measures[name] for name in names]
            made = cls(
                tuple(names),
                tuple(tuple(map(float, one["bends"])) for one in curves),
                tuple(float(one["low"]) for one in curves),
                tuple(float(one["high"]) for one in curves),
                tuple(tuple(map(float, one["weights"])) for one in curves),
                float(found["base"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(
                f"the curves cannot be read ({error!r}).", way_out="Fit the judge anew."
            ) from error
        if any(len(one) != len(bends) + 2 for one, bends in zip(made.weights, made.bends, strict=True)):
            raise CalibrationError("a curve lacks weights.", way_out="Fit the judge anew.")
        return made


@dataclass(frozen=True, slots=True)
class Steps:
    """A monotone map from log odds to probabilities, linear between its points.

    Attributes:
        at: Log odds, rising.
        chance: The probability at each, never falling, 0 to 1.
    """

    at: tuple[float, ...]
    chance: tuple[float, ...]

    @classmethod
    def fit(cls, log_odds: Values, good: npt.NDArray[np.bool_]) -> Self:
        """Isotonic regression on twenty groups of equal size, so that no step rests on a handful.

        Raises:
            CalibrationError: There are fewer than forty rows, or scipy is not installed.
        """
        if len(good) < 40:
            raise CalibrationError(
                f"Calibration was given {len(good)} labelled demands and needs 40.", way_out="Raise n."
            )
        try:
            from scipy.optimize import isotonic_regression  # noqa: PLC0415 - as above
        except ImportError as error:
            raise CalibrationError(
                "Fitting the judge needs scipy.", way_out="Install nearline[learn]."
            ) from error
        groups = np.array_split(np.argsort(log_odds, kind="stable"), 20)
        at = np.array([log_odds[group].mean() for group in groups])
        # One of each kind is added to every group, so that no step is certain.
        chance = np.array([(good[group].sum() + 1.0) / (len(group) + 2.0) for group in groups])
        smooth = isotonic_regression(chance, weights=[len(group) for group in groups]).x
        unique, first = np.unique(np.round(at, 4), return_index=True)
        return cls(tuple(unique.tolist()), tuple(round(float(one), 4) for one in smooth[first]))

    def __call__(self, log_odds: Values) -> Values:
        """(n,): the probabilities."""
        return np.interp(log_odds, self.at, self.chance)
