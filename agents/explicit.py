"""Explicit demands: what a shopper says in this visit, in their own words, before anything is inferred.

A search is a demand as it stands, and whoever opens an item's page asks for its like. A model sees the same acts among
all the others and need not say them again: it is asked for what comes next, and copies of its input are taken out.
Nothing here needs a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agents.demand import Demand, Kind, clean
from agents.profile import sanitise
from agents.words import bag

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.shopper import Act, Shopper

__all__ = ["EXPLICIT", "explicit"]

EXPLICIT: Final = Kind.EXPLICIT
"""The kind of these demands."""

_PAUSE_MS: Final = 30 * 60_000
"""So long without an act ends a visit, as web analytics has it since the nineties."""

_SAID: Final = frozenset({"search", "view", "click", "image_search", "cart", "favorite", "inquiry"})
_GOT: Final = "order"


@dataclass(slots=True)
class _Said:
    """One thing asked for: its words, the events, whether a title says so, and the spelling before it was mended."""

    text: str
    asked: str
    titled: bool = False
    events: list[str] = field(default_factory=list)


def explicit(
    shopper: Shopper, most: int, longest: int, mend: Callable[[str], str | None] | None = None
) -> tuple[Demand, ...]:
    """The demands that a shopper made in the present visit, the newest first.

    Searches and titles with the same words are one demand, with all their events as evidence. What was ordered since is
    no demand any more. The confidence is 1: the shopper said so.

    Args:
        shopper: At the moment of the trigger.
        most: So many at most.
        longest: Characters of one; titles are cut at a word, longer searches are left out.
        mend: Gives a misspelt search in the catalogue's words, and None for any other (`agents.spelling`).
    """
    if not most:
        return ()
    said: dict[tuple[str, ...], _Said] = {}
    got: set[tuple[str, ...]] = set()
    for act in reversed(_visit(shopper)):
        text, asked, titled = act.text, "", act.type != "search"
        if titled:
            text = sanitise(text, longest)
        elif mend is not None and (mended := mend(text)) is not None:
            text, asked = mended, text
        own = bag(text)
        if act.type == _GOT:
            got.add(own)
        elif act.type in _SAID and own and own not in got:
            one = said.get(own)
            if one is None:
                one = said[own] = _Said(text, asked)
            one.titled |= titled
            one.events.append(act.event_id)
    found = [*said.values()]
    titles = frozenset(at for at, one in enumerate(found) if one.titled)
    kept, _ = clean([one.text for one in found], longest=longest, most=most, titles=titles)
    return tuple(
        Demand(text, EXPLICIT, tuple(reversed(found[at].events)), 1.0, asked=found[at].asked)
        for at, text in kept
    )


def _visit(shopper: Shopper) -> tuple[Act, ...]:
    """The newest acts without a pause between them, or between the last of them and the trigger."""
    later = shopper.moment
    for at in range(len(shopper.recent) - 1, -1, -1):
        act = shopper.recent[at]
        if later - act.ts > _PAUSE_MS:
            return shopper.recent[at + 1 :]
        later = min(later, act.ts)
    return shopper.recent
