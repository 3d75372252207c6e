"""How much each of a shopper's demands counts, and why: a sum of named parts whose exponential is the weight.

The pieces of evidence are multiplied, each with a power of its own, which is the logarithmic opinion pool (Genest and
Zidek, "Combining Probability Distributions: A Critique and an Annotated Bibliography", Statistical Science 1986): the
logarithm of a weight is a weighted sum. Only the demands of one shopper are ever compared, so every piece that is a
value v from 0 to 1 is taken relative to the shopper's other demands:

    part = strength x (ln g(v) - mean of ln g over the demands with a known v),    g(v) = floor + (1 - floor) v

What is unknown of a demand thus neither helps nor harms it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Evidence", "Weighed", "WeighedAll", "WeightSettings", "weigh", "weigh_all"]

Values = npt.NDArray[np.float64]

_TINY: Final = 1e-300


class WeightSettings(BaseModel):
    """How the evidence for a demand becomes its weight. A strength of 0 leaves a piece of evidence out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float = Field(
        default=0.5,
        ge=0,
        le=4,
        description="Strength of the model's own confidence. Below 1, because models are surer of common phrases than of apt ones.",
    )
    confidence_slope: float = Field(
        default=1.0,
        gt=0,
        le=10,
        description="Calibration of the confidence: slope of its logit. 1 with the offset 0 takes it as it is.",
    )
    confidence_offset: float = Field(
        default=0.0,
        ge=-10,
        le=10,
        description="Calibration of the confidence: added to the logit after the slope.",
    )
    judge: float = Field(default=1.0, ge=0, le=4, description="Strength of the judge's score.")
    preference: float = Field(
        default=0.5, ge=0, le=4, description="Strength of the match with the shopper's preferences."
    )
    path: float = Field(
        default=0.5,
        ge=0,
        le=4,
        description="Strength of the relevance by paths through the knowledge graph.",
    )
    evidence: float = Field(
        default=0.3, ge=0, le=4, description="Strength of the number of events that speak for the demand."
    )
    recency: float = Field(default=0.3, ge=0, le=4, description="Strength of how recent those events are.")
    half_life_days: float = Field(
        default=7.0, gt=0, le=3650, description="Age in days at which an event counts half of a new one."
    )
    response: float = Field(
        default=0.5, ge=0, le=4, description="Strength of the shopper's past response to demands of the kind."
    )
    response_rate: float = Field(
        default=0.05,
        ge=0.001,
        lt=1,
        description="Share of shown demands that shoppers in general respond to: what is assumed before anything is known.",
    )
    response_shown: float = Field(
        default=40.0,
        ge=1,
        le=1e6,
        description="How many shown demands that assumption is worth; larger believes a shopper's own counts later.",
    )
    floor: float = Field(
        default=0.1,
        ge=0.001,
        le=1,
        description="What a value of 0 counts beside a value of 1: no evidence is a veto.",
    )
    largest_ratio: float = Field(
        default=8.0, ge=1, le=1000, description="How many times another a shopper's demand may weigh at most."
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one demand of a shopper.

    Attributes:
        query: The demand's text.
        kind: What it is to the shopper, such as ``complement``; past responses are counted by kind.
        confidence: The model's probability of the query, 0 to 1; None if unknown.
        judged: The judge's score, 0 to 1; None if nobody judged.
        ages_days: Age in days, 0 or more, of each event that speaks for the demand.
        preference: How well it meets the shopper's preferences, 0 to 1; None if unknown.
        shown: How many earlier demands of this kind the shopper was shown items for.
        clicked: To how many of them the shopper responded; at most ``shown``.
        path: Relevance by paths through the knowledge graph (`index.demand_weights.paths`), 0 to 1; None if unknown.

    Raises:
        CatalogError: If a value is out of its range.
    """

    query: str
    kind: str
    confidence: float | None = None
    judged: float | None = None
    ages_days: tuple[float, ...] = ()
    preference: float | None = None
    shown: int = 0
    clicked: int = 0
    path: float | None = None

    def __post_init__(self) -> None:
        for value in (self.confidence, self.judged, self.preference, self.path):
            if value is not None and not 0 <= value <= 1:
                shares = ("confidence", "judged", "preference", "path")
                name = next(one for one in shares if getattr(self, one) is value)
                raise self._wrong(f"{name} is {value}", "a number from 0 to 1, or nothing")
        for age in self.ages_days:
            if not 0 <= age < math.inf:
                raise self._wrong(f"ages_days are {self.ages_days}", "finite days of 0 or more")
        if not 0 <= self.clicked <= self.shown:
            raise self._wrong(f"{self.clicked} were clicked of {self.shown} shown", "0 <= clicked <= shown")

    def _wrong(self, found: str, expected: str) -> CatalogError:
        return CatalogError(f"The demand {self.query[:80]!r}: {found}.", way_out=f"Expected is {expected}.")


@dataclass(frozen=True, slots=True)
class Weighed:
    """A demand's weight with its explanation: ``weight = exp(sum(parts.values())) * normaliser``.

    Attributes:
        query: The demand's text.
        weight: Above 0; a shopper's weights average 1.
        parts: By piece of evidence what it adds to the logarithm; ``limit`` is what `WeightSettings.largest_ratio`
            took off or put on. Every piece is there, 0 where it says nothing.
        normaliser: The same for all demands of the shopper.
    """

    query: str
    weight: float
    parts: dict[str, float]
    normaliser: float


@dataclass(frozen=True, slots=True)
class WeighedAll:
    """The weights of m demands of several shoppers.

    Attributes:
        weights: (m,) above 0; each shopper's average 1.
        raw: (m,) the exponentials of the sums of the parts.
        parts: By piece of evidence (m,), as `Weighed.parts`.
    """

    weights: Values
    raw: Values
    parts: dict[str, Values]


def weigh(evidence: Sequence[Evidence], settings: WeightSettings | None = None) -> list[Weighed]:
    """Weigh one shopper's demands against one another.

    ==============  ================================================================================================
    part            is strength times
    ==============  ================================================================================================
    ``confidence``  the relative value (see the module) of sigmoid(slope logit(c) + offset), the calibration of Platt,
                    "Probabilistic Outputs for Support Vector Machines", 1999
    ``judge``       the relative value of the judge's score; ``preference`` and ``path`` likewise of theirs
    ``evidence``    ln(1 + n), n events speaking for the demand
    ``recency``     ln((1 + m) / (1 + n)), m = sum of 0.5 ** (age / half-life): exponential decay after Ding and Li,
                    "Time Weight Collaborative Filtering", CIKM 2005; 0 while all is new, else below
    ``response``    ln(r / u), r = (clicked + s u) / (shown + s) for the demand's kind, and u the same over all kinds of
                    the shopper with the general rate in the place of u: Beta-Bernoulli smoothing as in Wang and
                    others, "Click-Through Rate Estimation for Rare Events in Online Advertising", 2011, by the levels
                    of Agarwal and others, "Estimating Rates of Rare Events with Multiple Hierarchies", KDD 2010
    ``limit``       brings the logarithm within ln(largest ratio) / 2 of the demands' mean
    ==============  ================================================================================================

    Args:
        evidence: The demands of one shopper; equal texts are weighed apart.
        settings: Strengths and constants; the defaults if None. They are set by hand: no log of demands with their
            responses exists before the product runs.

    Returns:
        In the order given; empty for no demand.

    Raises:
        CatalogError: If demands of one kind have different counts of responses.
    """
    found = weigh_all([evidence], settings)
    normaliser = len(evidence) / max(float(found.raw.sum()), _TINY)
    names = list(found.parts)
    parts = zip(*(part.tolist() for part in found.parts.values()), strict=True)
    return [
        Weighed(one.query, weight, dict(zip(names, mine, strict=True)), normaliser)
        for one, weight, mine in zip(evidence, found.weights.tolist(), parts, strict=True)
    ]


def weigh_all(
    groups: Sequence[Sequence[Evidence]],
    settings: WeightSettings | None = None,
    *,
    preference: Values | None = None,
    path: Values | None = None,
) -> WeighedAll:
    """Weigh the demands of n shoppers, each shopper's as `weigh` does.

    Args:
        groups: By shopper the demands.
        settings: As in `weigh`.
        preference: (m,) of all demands, shopper after shopper, in the place of what they say themselves; NaN if unknown.
        path: As ``preference``.

    Raises:
        CatalogError: As `weigh`.
    """
    settings = settings or WeightSettings()
    every = [one for group in groups for one in group]
    shopper = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    many = len(groups)
    confidence = _calibrated(_known([one.confidence for one in every]), settings)
    if preference is None:
        preference = _known([one.preference for one in every])
    if path is None:
        path = _known([one.path for one in every])
    events = np.array([len(one.ages_days) for one in every], dtype=np.int64)
    ages = np.array([age for one in every for age in one.ages_days], dtype=np.float64)
    recent = np.exp2(-ages / settings.half_life_days)
    mass = np.bincount(np.repeat(np.arange(len(every)), events), recent, len(every))
    columns = {
        "confidence": _relative(confidence, shopper, many, settings.floor),
        "judge": _relative(_known([one.judged for one in every]), shopper, many, settings.floor),
        "preference": _relative(preference, shopper, many, settings.floor),
        "path": _relative(path, shopper, many, settings.floor),
        "evidence": np.log1p(events),
        "recency": np.log1p(mass) - np.log1p(events),
        "response": _responses(groups, settings),
    }
    total = np.zeros(len(every))
    parts: dict[str, Values] = {}
    for name, column in columns.items():
        parts[name] = getattr(settings, name) * column
        total += parts[name]
    sizes = np.maximum(np.bincount(shopper, minlength=many), 1)
    centre = (np.bincount(shopper, total, many) / sizes)[shopper]
    reach = math.log(settings.largest_ratio) / 2
    parts["limit"] = np.minimum(np.maximum(total, centre - reach), centre + reach) - total
    raw = np.exp(total + parts["limit"])
    whole = np.maximum(np.bincount(shopper, raw, many), _TINY)
    return WeighedAll(raw * (sizes / whole)[shopper], raw, parts)


def _known(values: Sequence[float | None]) -> Values:
    """(m,) with NaN for what is unknown."""
    return np.array(values, dtype=np.float64)


def _relative(values: Values, shopper: npt.NDArray[np.int64], many: int, floor: float) -> Values:
    there = ~np.isnan(values)
    logs = np.log(floor + (1 - floor) * np.where(there, values, 1.0))
    known = np.maximum(np.bincount(shopper[there], minlength=many), 1)
    mean = np.bincount(shopper[there], logs[there], many) / known
    return np.where(there, logs - mean[shopper], 0.0)


def _calibrated(confidence: Values, settings: WeightSettings) -> Values:
    # 0 and 1 are fixed points of any calibration, and have no logit.
    open_ = (confidence > 0) & (confidence < 1)
    inner = np.where(open_, confidence, 0.5)
    logit = settings.confidence_slope * (np.log(inner) - np.log1p(-inner)) + settings.confidence_offset
    small = np.exp(-np.abs(logit))
    return np.where(open_, np.where(logit >= 0, 1.0, small) / (1.0 + small), confidence)


def _responses(groups: Sequence[Sequence[Evidence]], settings: WeightSettings) -> Values:
    worth, rate = settings.response_shown, settings.response_rate
    found: list[float] = []
    for group in groups:
        counts: dict[str, tuple[int, int]] = {}
        for one in group:
            if counts.setdefault(one.kind, (one.shown, one.clicked)) != (one.shown, one.clicked):
                raise CatalogError(
                    f"Demands of the kind {one.kind!r} have different counts of what was shown and clicked.",
                    way_out="Give the shopper's counts by kind.",
                )
        shown = sum(count for count, _ in counts.values())
        if not shown:  # and so none was clicked: all kinds are as the general rate has it
            found += [0.0] * len(group)
            continue
        usual = (sum(count for _, count in counts.values()) + worth * rate) / (shown + worth)
        found += [math.log((one.clicked + worth * usual) / (one.shown + worth) / usual) for one in group]
    return np.array(found, dtype=np.float64)
