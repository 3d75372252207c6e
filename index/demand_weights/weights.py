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
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Evidence", "Weighed", "WeightSettings", "weigh"]


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
        kind: Who or what wrote it, such as ``llm``; past responses are counted by kind.
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
        for name in ("confidence", "judged", "preference", "path"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise self._wrong(f"{name} is {value}", "a number from 0 to 1, or nothing")
        if any(not (math.isfinite(age) and age >= 0) for age in self.ages_days):
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
    if not evidence:
        return []
    settings = settings or WeightSettings()
    columns = {
        "confidence": _relative([_calibrated(one.confidence, settings) for one in evidence], settings.floor),
        "judge": _relative([one.judged for one in evidence], settings.floor),
        "preference": _relative([one.preference for one in evidence], settings.floor),
        "path": _relative([one.path for one in evidence], settings.floor),
        "evidence": [math.log1p(len(one.ages_days)) for one in evidence],
        "recency": [_recency(one.ages_days, settings.half_life_days) for one in evidence],
        "response": _responses(evidence, settings),
    }
    parts = [
        {name: getattr(settings, name) * column[at] for name, column in columns.items()}
        for at in range(len(evidence))
    ]
    centre = math.fsum(sum(one.values()) for one in parts) / len(parts)
    reach = math.log(settings.largest_ratio) / 2
    for one in parts:
        total = sum(one.values())
        one["limit"] = min(max(total, centre - reach), centre + reach) - total
    raw = [math.exp(sum(one.values())) for one in parts]
    normaliser = len(raw) / math.fsum(raw)
    return [
        Weighed(one.query, value * normaliser, part, normaliser)
        for one, value, part in zip(evidence, raw, parts, strict=True)
    ]


def _relative(values: Sequence[float | None], floor: float) -> list[float]:
    logs = [None if value is None else math.log(floor + (1 - floor) * value) for value in values]
    known = [value for value in logs if value is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    return [0.0 if value is None else value - mean for value in logs]


def _calibrated(confidence: float | None, settings: WeightSettings) -> float | None:
    # 0 and 1 are fixed points of any calibration, and have no logit.
    if confidence is None or confidence in {0.0, 1.0}:
        return confidence
    logit = math.log(confidence) - math.log1p(-confidence)
    return _sigmoid(settings.confidence_slope * logit + settings.confidence_offset)


def _sigmoid(value: float) -> float:
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


def _recency(ages: Sequence[float], half_life: float) -> float:
    mass = math.fsum(0.5 ** (age / half_life) for age in ages)
    return math.log1p(mass) - math.log1p(len(ages))


def _responses(evidence: Sequence[Evidence], settings: WeightSettings) -> list[float]:
    counts: dict[str, tuple[int, int]] = {}
    for one in evidence:
        if counts.setdefault(one.kind, (one.shown, one.clicked)) != (one.shown, one.clicked):
            raise CatalogError(
                f"Demands of the kind {one.kind!r} have different counts of what was shown and clicked.",
                way_out="Give the shopper's counts by kind.",
            )
    worth = settings.response_shown
    shown, clicked = (sum(column) for column in zip(*counts.values(), strict=True))
    usual = (clicked + worth * settings.response_rate) / (shown + worth)
    return [math.log((one.clicked + worth * usual) / (one.shown + worth) / usual) for one in evidence]
