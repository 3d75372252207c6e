"""How finely time is told: weeks, calendar months, quarters, a whole year, by age.

Levels run from the finest to the coarsest; a history takes the first at which it fits its room.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from agents.history import monday_of

__all__ = ["LEVELS", "Level", "period"]

# A year and a little, since a year's first and last week are not whole.
_YEAR = 60
_SEASON = 13


@dataclass(frozen=True, slots=True)
class Level:
    """Ages in weeks up to which a period is one week, a calendar month, a quarter; all is "old" beyond.

    ``categories`` is how many of a period's largest categories keep a line of their own; None for all.
    """

    weeks: int = 0
    months: int = 0
    quarters: int = 0
    categories: int | None = None


LEVELS = (
    Level(weeks=_YEAR),
    Level(weeks=_SEASON, months=_YEAR),
    Level(weeks=4, months=_YEAR),
    Level(weeks=4, months=_SEASON, quarters=_YEAR),
    Level(weeks=1, months=5, quarters=_YEAR),
    Level(months=5, quarters=_YEAR),
    Level(months=5, quarters=_YEAR, categories=4),
    Level(quarters=_YEAR, categories=4),
    # Factors over the whole year tell a reader more than the same room spent on dividing the year.
    *(Level(categories=most) for most in (6, 5, 4, 3, 2, 1, 0)),
)


@lru_cache(maxsize=65_536)
def period(week: int, now: int, level: Level) -> str:
    """The name of the period that a week belongs to: ``250505``, ``2505``, ``25q2``, ``old`` or ``all``.

    A week that lies in two months belongs to that of its Monday.
    """
    age = max(0, now - week)
    monday = monday_of(week)
    if age < level.weeks:
        return f"{monday:%y%m%d}"
    if age < level.months:
        return f"{monday:%y%m}"
    if age < level.quarters:
        return f"{monday:%y}q{(monday.month + 2) // 3}"
    return "old" if level.quarters or level.months or level.weeks else "all"
