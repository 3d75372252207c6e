"""What a shopper prefers: category, factor, value (CFV) with a weight, in three horizons.

=============  ====================================================  =========  =======================
horizon        what it is made of                                    half-life  least support
=============  ====================================================  =========  =======================
``long``       the weekly cells of a year                            26 weeks   2 acts
``recent``     the acts of the last two weeks, each by its type      2 days     1 act
``potential``  what similar shoppers went on to want (handed in)     none       2 shoppers
=============  ====================================================  =========  =======================

With ``m`` the decayed count of acts on items of the category that say the value, ``M`` the decayed count of all
acts in the horizon and ``r`` the value's rarity in the catalogue (``Factor.rarity``), the weight is::

    weight = r * m / (M + prior)

so what every title says weighs nothing, and a thin history weighs little (additive smoothing towards
zero; ``prior`` acts were on nothing in particular). A potential value that the shopper has already is no
potential: its weight is multiplied by ``1 - min(1, own share / similar shoppers' share)``.

Support is the plain number of acts (of shoppers, for the potential) behind a value. Each preference has an
id, so that a demand can name it as its evidence.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from agents.history import DAY_MS, week_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.factors import Kind, Lexicon
    from agents.history import Cell
    from agents.shopper import Act

__all__ = ["Horizon", "Preference", "PreferenceSettings", "Wanted", "preferences"]

# How much an act says of what a shopper wants; an impression is what we showed, not a wish.
_SAYS = {
    "order": 5.0,
    "inquiry": 4.0,
    "cart": 3.0,
    "favorite": 3.0,
    "search": 2.0,
    "image_search": 2.0,
    "click": 1.5,
    "view": 1.0,
}


class Horizon(StrEnum):
    """How far a preference reaches."""

    LONG = "long"
    """What was bought over the year."""
    RECENT = "recent"
    """What the last days were about."""
    POTENTIAL = "potential"
    """What similar shoppers went on to want and this one has not."""


class PreferenceSettings(BaseModel):
    """Decay, support and number of preferences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    long_half_life: float = Field(
        default=26.0, gt=0, description="Weeks in which an act halves its weight in the long-term horizon."
    )
    recent_half_life: float = Field(
        default=2.0, gt=0, description="Days in which an act halves its weight in the recent horizon."
    )
    recent_days: int = Field(default=14, ge=1, description="Days that the recent horizon reaches back.")
    long_support: int = Field(default=2, ge=1, description="Fewest acts behind a long-term preference.")
    potential_support: int = Field(
        default=2, ge=1, description="Fewest similar shoppers behind a potential preference."
    )
    prior: float = Field(
        default=5.0, ge=0, description="Acts on nothing in particular that every shopper is credited with."
    )
    most: int = Field(default=8, ge=1, description="Most preferences of a horizon.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An item that similar shoppers went on to want; ``shoppers`` of them, ``weight`` by their likeness."""

    title: str
    category: str
    shoppers: int
    weight: float = 1.0
    brand: str = ""


@dataclass(frozen=True, slots=True)
class Preference:
    """One preference. ``support`` is the number of acts, or of similar shoppers, behind it."""

    horizon: Horizon
    category: str
    factor: Kind
    value: str
    weight: float
    support: int

    @property
    def id(self) -> str:
        """Its name as evidence of a demand."""
        return f"preference:{self.horizon}:{self.category}:{self.value}"


@dataclass(slots=True)
class _Mass:
    """Decayed and plain counts of one horizon, by category and value."""

    total: float
    decayed: defaultdict[tuple[str, str], float]
    support: defaultdict[tuple[str, str], int]

    @classmethod
    def empty(cls) -> _Mass:
        return cls(0.0, defaultdict(float), defaultdict(int))

    def share(self, place: tuple[str, str]) -> float:
        return self.decayed[place] / self.total if self.total and place in self.decayed else 0.0


def preferences(
    cells: Sequence[Cell],
    acts: Iterable[Act],
    moment: int,
    lexicon: Lexicon,
    *,
    wanted: Iterable[Wanted] = (),
    settings: PreferenceSettings | None = None,
) -> tuple[Preference, ...]:
    """The preferences at ``moment`` (UTC milliseconds): long-term, recent, potential, each by weight.

    Acts and cells after ``moment`` are not read. A shopper of whom nothing is known has none.
    """
    settings = settings or PreferenceSettings()
    long = _long(cells, moment, settings)
    recent = _recent(acts, moment, lexicon, settings)
    potential = _potential(wanted, lexicon)
    return (
        *_best(Horizon.LONG, long, settings.long_support, lexicon, settings),
        *_best(Horizon.RECENT, recent, 1, lexicon, settings),
        *_best(Horizon.POTENTIAL, potential, settings.potential_support, lexicon, settings, owned=long),
    )


def _long(cells: Sequence[Cell], moment: int, settings: PreferenceSettings) -> _Mass:
    mass = _Mass.empty()
    now = week_of(moment)
    for cell in cells:
        if cell.week > now:
            continue
        fresh = 2.0 ** ((cell.week - now) / settings.long_half_life)
        mass.total += cell.acts * fresh
        for value, count in cell.factors.items():
            mass.decayed[cell.category, value] += count * fresh
            mass.support[cell.category, value] += count
    return mass


def _recent(acts: Iterable[Act], moment: int, lexicon: Lexicon, settings: PreferenceSettings) -> _Mass:
    mass = _Mass.empty()
    since = moment - settings.recent_days * DAY_MS
    for act in acts:
        says = _SAYS.get(act.type, 0.0)
        if not says or not since <= act.ts <= moment:
            continue
        says *= 2.0 ** ((act.ts - moment) / (settings.recent_half_life * DAY_MS))
        mass.total += says
        for value in lexicon.values(act.text):
            mass.decayed[act.category, value] += says
            mass.support[act.category, value] += 1
    return mass


def _potential(wanted: Iterable[Wanted], lexicon: Lexicon) -> _Mass:
    mass = _Mass.empty()
    for item in wanted:
        weight = max(0.0, item.weight) * item.shoppers
        mass.total += weight
        for value in lexicon.values(item.title, item.brand):
            mass.decayed[item.category, value] += weight
            # The same shoppers may stand behind several items: the most for one is what is certain.
            mass.support[item.category, value] = max(mass.support[item.category, value], item.shoppers)
    return mass


def _best(
    horizon: Horizon,
    mass: _Mass,
    support: int,
    lexicon: Lexicon,
    settings: PreferenceSettings,
    *,
    owned: _Mass | None = None,
) -> list[Preference]:
    found = []
    for place, decayed in mass.decayed.items():
        category, value = place
        factor = lexicon.get(value)
        if factor is None or mass.support[place] < support:
            continue
        weight = factor.rarity * decayed / (mass.total + settings.prior) if decayed else 0.0
        if owned is not None and weight:
            weight *= 1 - min(1.0, owned.share(place) / mass.share(place))
        if weight > 0:
            found.append(
                Preference(horizon, category, factor.kind, factor.value, weight, mass.support[place])
            )
    found.sort(key=lambda one: (-one.weight, one.category, one.value))
    return found[: settings.most]
