"""Explicit demands: what a shopper says in this visit, in their own words, before anything is inferred.

A search is a demand as it stands, and whoever opens an item's page asks for its like. A model sees the same acts among
all the others and need not say them again: it is asked for what comes next, and copies of its input are taken out.
Nothing here needs a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agents.demand import Demand, clean
from agents.profile import sanitise
from agents.words import words

if TYPE_CHECKING:
    from agents.shopper import Act, Shopper

__all__ = ["EXPLICIT", "explicit"]

EXPLICIT: Final = "explicit"
"""The kind of these demands."""

_PAUSE_MS: Final = 30 * 60_000
"""So long without an act ends a visit, as web analytics has it since the nineties."""

_SAID: Final = frozenset({"search", "view", "click", "image_search", "cart", "favorite", "inquiry"})
_GOT: Final = "order"


def explicit(shopper: Shopper, most: int, longest: int) -> tuple[Demand, ...]:
    """The demands that a shopper made in the present visit, the newest first.

    Searches and titles with the same words are one demand, with all their events as evidence. What was ordered since is
    no demand any more. The confidence is 1: the shopper said so.

    Args:
        shopper: At the moment of the trigger.
        most: So many at most.
        longest: Characters of one; titles are cut at a word, longer searches are left out.
    """
    if not most:
        return ()
    said: dict[tuple[str, ...], tuple[str, list[str]]] = {}
    got: set[tuple[str, ...]] = set()
    for act in reversed(_visit(shopper)):
        text = act.text if act.type == "search" else sanitise(act.text, longest)
        bag = tuple(sorted(words(text)))
        if act.type == _GOT:
            got.add(bag)
        elif act.type in _SAID and bag and bag not in got:
            said.setdefault(bag, (text, []))[1].append(act.event_id)
    asked = [*said.values()]
    kept, _ = clean([text for text, _ in asked], longest=longest, most=most)
    return tuple(Demand(text, EXPLICIT, tuple(reversed(asked[at][1])), 1.0) for at, text in kept)


def _visit(shopper: Shopper) -> tuple[Act, ...]:
    """The newest acts without a pause between them, or between the last of them and the trigger."""
    later = shopper.moment
    for at in range(len(shopper.recent) - 1, -1, -1):
        act = shopper.recent[at]
        if later - act.ts > _PAUSE_MS:
            return shopper.recent[at + 1 :]
        later = min(later, act.ts)
    return shopper.recent
