"""From a purchase log to pairs: the teachers of the index over past moments, in the phrases of the agents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.distill.form import phrases
from agents.distill.pairs import Pair
from index.items.titles import short_title
from index.teaching import Moments, Teacher, mix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from index.channels.purchases import Histories, Ints, Purchases
    from index.teaching import Shares, TeacherSettings

__all__ = ["Teaching", "by_title"]

_BLOCK: Final = 512
# At a cut history half of the target is what the teacher says of all of it: more than the cut tells, and on average true.
_PRIVILEGED: Final = 0.5
# What was bought next counts half as much at moments so many days before the cutoff.
_HALF_LIFE_DAYS: Final = 90.0
# A longer tail of a list weighs little and costs as much.
_MOST: Final = 128
_DAY_MS: Final = 86_400_000


class Teaching:
    """The teachers of a history and the phrases of its items.

    Attributes:
        moments: All past moments.
        phrases: By phrase of an item sold how often it was sold, the most sold first.
    """

    def __init__(
        self, history: Purchases, titles: Sequence[str], now: int, settings: TeacherSettings
    ) -> None:
        self.moments = Moments.of(history)
        self._teacher = Teacher(history, now, settings)
        self._today = now // _DAY_MS
        counts = np.bincount(history.item, minlength=len(history.items))
        of_item = [
            next(iter(phrases([short_title(title)])), "") if title and count else ""
            for title, count in zip(titles, counts.tolist(), strict=True)
        ]
        sold: dict[str, int] = {}
        for phrase, count in zip(of_item, counts.tolist(), strict=True):
            if phrase:
                sold[phrase] = sold.get(phrase, 0) + count
        self.phrases = dict(sorted(sold.items(), key=lambda one: (-one[1], one[0])))
        number = {phrase: at for at, phrase in enumerate(self.phrases)}
        self._phrase = np.array([number.get(phrase, -1) for phrase in of_item], dtype=np.int64)

    def pairs(
        self,
        *,
        history: int,
        taken: float,
        seed: int,
        moments: int | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Iterator[Pair]:
        """Two pairs a moment: the newest ``history`` items, and fewer of them, as many as chance will have.

        Args:
            history: Most items of a history.
            taken: Share of what was bought next at the latest moments.
            seed: Of the cuts, and of which moments are taken.
            moments: Most moments, drawn at random; None for all.
            tell: Told how far it is.
        """
        random = np.random.default_rng(seed)
        some = None
        if moments is not None and moments < len(self.moments):
            some = np.sort(random.permutation(len(self.moments))[:moments])
        done = 0
        for chosen, whole in self.moments.blocks(_BLOCK, some):
            done += len(chosen)
            tell(f"teaching: moment {done:,} of {len(self.moments) if some is None else len(some):,}")
            full = self._teacher.lists(whole)
            # Log-uniform: one item as often as two, as four, as eight.
            cuts = np.exp(random.uniform(0.0, np.log(history + 1), len(chosen))).astype(np.int64)
            short = _cut(whole, cuts)
            cut = self._teacher.lists(short)
            yield from self._of(chosen, whole.latest(history), full, full, taken)
            yield from self._of(chosen, short, cut, full, taken)

    def _of(
        self, chosen: Ints, shown: Histories, lists: Shares, full: Shares, taken: float
    ) -> Iterator[Pair]:
        starts = np.searchsorted(shown.shopper, np.arange(len(chosen) + 1))
        for at, (items, shares) in enumerate(mix(lists, full, _PRIVILEGED)):
            moment = int(chosen[at])
            after = self.moments.bought_next(moment)
            age = float(self._today - self.moments.day[moment])
            part = taken * 0.5 ** (age / _HALF_LIFE_DAYS) if len(after) else 0.0
            wanted = [*zip(items.tolist(), ((1.0 - part) * shares).tolist(), strict=True)]
            wanted += [(item, part / len(after)) for item in after.tolist()]
            had = _newest_last(self._phrase[shown.item[starts[at] : starts[at + 1]]])
            weight: dict[int, float] = {}
            for item, share in wanted:
                phrase = int(self._phrase[item])
                if phrase >= 0 and share > 0:
                    weight[phrase] = weight.get(phrase, 0.0) + share
            for phrase in had:
                weight.pop(phrase, None)
            if had and weight:
                kept = sorted(weight, key=lambda phrase: -weight[phrase])[:_MOST]
                yield Pair(tuple(had), tuple(kept), tuple(round(weight[one], 6) + 1e-6 for one in kept))


def by_title(history: Purchases, titles: Sequence[str]) -> tuple[Purchases, list[str]]:
    """The purchases with all items of one short title as one, the first of them; and the titles of what is left.

    A student knows items by their titles only, and what the teachers learn grows with the square of the items.
    """
    names = [short_title(title) if title else "" for title in titles]
    # Items without a title stay what they are.
    of_name = {name or f"\n{at}": number for number, (at, name) in enumerate(_firsts(names))}
    number = np.array([of_name[name or f"\n{at}"] for at, name in enumerate(names)], dtype=np.int64)
    first = np.array([at for at, _ in _firsts(names)], dtype=np.int64)
    items = tuple(history.items[at] for at in first.tolist())
    return replace(history, items=items, item=number[history.item]), [titles[at] for at in first.tolist()]


def _firsts(names: Sequence[str]) -> list[tuple[int, str]]:
    """Where each name stands first; every empty one."""
    seen: set[str] = set()
    found = []
    for at, name in enumerate(names):
        if not name or name not in seen:
            seen.add(name)
            found.append((at, name))
    return found


def _newest_last(bought: npt.NDArray[np.int64]) -> list[int]:
    """Each phrase once, at the place of its latest purchase."""
    return list(dict.fromkeys(phrase for phrase in bought[::-1].tolist() if phrase >= 0))[::-1]


def _cut(shoppers: Histories, sizes: Ints) -> Histories:
    """Each shopper's newest items, as many as `sizes` says."""
    latest = [shoppers.part(slice(at, at + 1)).latest(int(size)) for at, size in enumerate(sizes)]
    owner = np.repeat(np.arange(len(latest)), [len(one.item) for one in latest])
    return type(shoppers).of(
        len(latest),
        owner,
        np.concatenate([one.item for one in latest]),
        np.concatenate([one.day for one in latest]),
        np.concatenate([one.amount for one in latest]),
        np.concatenate([one.quantity for one in latest]),
        now=shoppers.now,
    )
