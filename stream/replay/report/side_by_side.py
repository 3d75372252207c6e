"""What two runs would have shown the most changed shoppers, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.replay.comparing.chains import acts_of, chains_of, titles_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stream.replay.comparing.chains import Chain, Event, Shown
    from stream.replay.comparing.difference import ChangedShopper, Difference

__all__ = ["After", "Column", "Place", "Shopper", "shoppers_of"]

_EVENTS = 8
_ACTS = 8


class Place(NamedTuple):
    """An item in its place (from 1), and in the other run's; ``other`` is None where it is not there."""

    place: int
    shown: Shown
    other: int | None
    came: str
    """What the shopper did with it afterwards: ``click``, ``order``, or nothing."""

    @property
    def moved(self) -> int:
        """How many places higher than in the other run; 0 where it is not there."""
        return self.other - self.place if self.other is not None else 0


class Column(NamedTuple):
    """What one run would have shown: the chain, how old it was (ms), its slate, and the queries only it has."""

    chain: Chain
    age: int
    places: list[Place]
    only: frozenset[str]


class After(NamedTuple):
    """What a shopper did next, and the item's place in each run's slate; None where it is not in it."""

    event: Event
    after: int
    places: tuple[int | None, int | None]


class Shopper(NamedTuple):
    """A changed shopper with what they had done, what each run would have shown, and what they did next."""

    changed: ChangedShopper
    before: list[Event]
    columns: tuple[Column | None, Column | None]
    next: list[After]


def shoppers_of(found: Difference, one: Path, other: Path) -> list[Shopper]:
    """The most changed shoppers of a difference, from the runs that were compared.

    Raises:
        RunError: a table of a run is missing or damaged.
    """
    folders = (one, other)
    chains = [
        chains_of(folder, {place for who in found.shoppers if (place := who.places[side]) is not None})
        for side, folder in enumerate(folders)
    ]
    acts = acts_of(other, {who.user for who in found.shoppers})
    named = {act.item for some in acts.values() for act in some}
    named |= {shown.item for of in chains for chain in of.values() for shown in chain.slate}
    titles = {item: title for folder in (one, other) for item, (title, _) in titles_of(folder, named).items()}
    return [
        _shopper(
            who,
            [chains[side].get(place) if (place := who.places[side]) is not None else None for side in (0, 1)],
            acts.get(who.user, []),
            titles,
            int(found.horizon_s * 1000),
        )
        for who in found.shoppers
    ]


def _shopper(
    who: ChangedShopper,
    chains: Sequence[Chain | None],
    acts: Sequence[Event],
    titles: dict[str, str],
    horizon: int,
) -> Shopper:
    later = [act for act in acts if who.at < act.ts <= who.at + horizon]
    came = {act.item: act.type for act in sorted(later, key=lambda act: act.type == "order")}
    where = [{shown.item: at for at, shown in enumerate(chain.slate if chain else [], 1)} for chain in chains]
    wanted = [{one.query for one in chain.demands} if chain else set() for chain in chains]
    columns = [
        Column(
            chain,
            who.at - chain.ts,
            [
                Place(at, _titled(shown, titles), where[1 - side].get(shown.item), came.get(shown.item, ""))
                for at, shown in enumerate(chain.slate, 1)
            ],
            frozenset(wanted[side] - wanted[1 - side]),
        )
        if chain is not None
        else None
        for side, chain in enumerate(chains)
    ]
    known = [chain for chain in chains if chain is not None and chain.events]
    # Those that a slate had tell most; they are shown in the order of time.
    telling = sorted(later, key=lambda act: (all(act.item not in of for of in where), act.ts))[:_ACTS]
    telling.sort(key=lambda act: act.ts)
    newest = max(known, key=lambda chain: chain.ts, default=None)
    return Shopper(
        who,
        newest.events[-_EVENTS:] if newest is not None else [],
        (columns[0], columns[1]),
        [
            After(
                type(act)(act.ts, act.type, titles.get(act.item, ""), act.item),
                act.ts - who.at,
                (where[0].get(act.item), where[1].get(act.item)),
            )
            for act in telling
        ],
    )


def _titled(shown: Shown, titles: dict[str, str]) -> Shown:
    """With the title that either run has for it."""
    return shown if shown.title else msgspec.structs.replace(shown, title=titles.get(shown.item, ""))
