"""Pairs of a text and an item from what shoppers searched for and looked at.

- A search and each item that its shopper clicks, views, favours, carts or orders within ten minutes, before the next search.
- Two different items that a shopper looks at within half an hour, one right after the other.

Events marked ``synthetic`` are passed over: an encoder taught by them would only repeat the rule that made them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Pairs", "take_pairs"]

SEARCH_MS: Final = 10 * 60_000
VIEW_MS: Final = 30 * 60_000

_MOST: Final = 200_000
_LONGEST: Final = 200
_CHOOSING: Final = frozenset({"click", "view", "favorite", "cart", "order"})
_LOOKING: Final = frozenset({"click", "view"})


@dataclass(slots=True)
class Pairs:
    """What belongs together, and how often it was seen.

    Attributes:
        searched: By (query, item id).
        seen: By (item id, item id), the first looked at before the second.
        skipped: By reason, how many events were passed over.
    """

    searched: Counter[tuple[str, str]] = field(default_factory=Counter)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Shopper:
    searched: tuple[str, int] | None = None
    looked: tuple[str, int] | None = None


def take_pairs(events: Iterable[Mapping[str, Any]], *, before: int | None = None) -> Pairs:
    """Gather pairs from events in order of time.

    Args:
        events: As on the topics: ``user_id, type, ts`` (UTC ms), ``item_id``, ``query``.
        before: Events at or after this moment (UTC ms) are not looked at; None for all.

    Returns:
        The 200,000 most frequent pairs of each kind.
    """
    found = Pairs()
    shoppers: dict[str, _Shopper] = {}
    for event in events:
        user, kind, ts = event.get("user_id"), event.get("type"), event.get("ts")
        if event.get("synthetic"):
            found.skipped["synthetic"] += 1
        elif not isinstance(user, str) or not isinstance(ts, int) or not isinstance(kind, str):
            found.skipped["no user_id, type or ts"] += 1
        elif before is None or ts < before:
            _note(found, shoppers.setdefault(user, _Shopper()), kind, ts, event)
    found.searched = Counter(dict(found.searched.most_common(_MOST)))
    found.seen = Counter(dict(found.seen.most_common(_MOST)))
    return found


def _note(found: Pairs, shopper: _Shopper, kind: str, ts: int, event: Mapping[str, Any]) -> None:
    if kind == "search":
        query = event.get("query")
        text = " ".join(query.split())[:_LONGEST] if isinstance(query, str) else ""
        shopper.searched = (text, ts) if text else None
        return
    item = event.get("item_id")
    if not isinstance(item, str) or not item:
        return
    if kind in _CHOOSING and shopper.searched is not None and 0 <= ts - shopper.searched[1] <= SEARCH_MS:
        found.searched[shopper.searched[0], item] += 1
    if kind in _LOOKING:
        if (
            shopper.looked is not None
            and shopper.looked[0] != item
            and 0 <= ts - shopper.looked[1] <= VIEW_MS
        ):
            found.seen[shopper.looked[0], item] += 1
        shopper.looked = (item, ts)
