"""What inference knows of one shopper: recent acts, the weekly ledger, categories, cached demands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.compression import Compressed
    from agents.demand import Demand
    from agents.portrait import Portrait
    from agents.preference import Preference

__all__ = ["Act", "Background", "LedgerLine", "Shopper"]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a shopper did.

    ``text`` is the item's short title, or the words of a search. ``ts`` is event time in
    milliseconds UTC; ``amount`` is in the shop's currency.
    """

    event_id: str
    type: str
    ts: int
    text: str
    category: str = ""
    item_id: str = ""
    quantity: int = 0
    amount: float = 0.0
    scene: str = ""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What a shopper bought of one category in one week, as computed from events.

    ``week`` is the date of its Monday, ``yymmdd``; ``lines`` the order lines, 0 where nobody counted them.
    """

    week: str
    category: str
    amount: float
    quantity: int
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Background:
    """What the slow agents know of a shopper; each part may be missing.

    ``preferences`` run from the weightiest of each horizon to the lightest; ``trends`` are queries offered
    to the shopper.
    """

    portrait: Portrait | None = None
    history: Compressed | None = None
    preferences: tuple[Preference, ...] = ()
    trends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shopper:
    """A snapshot of one shopper at a trigger; inference needs no other state.

    ``recent`` runs from the oldest act to the newest, ``categories`` from the heaviest to the
    lightest. ``cached`` are the demands inferred for the shopper before, if any are still fresh.
    ``background`` goes into the prompt where it is given.
    """

    user_id: str
    moment: int
    recent: tuple[Act, ...]
    ledger: tuple[LedgerLine, ...] = ()
    categories: tuple[str, ...] = ()
    cached: tuple[Demand, ...] = ()
    background: Background | None = None
