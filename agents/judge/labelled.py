"""Demands with known faults, made from a catalogue and shoppers' histories.

Labels come from the whole log, before and after the moment of judging, and from whole titles. The judge sees neither:
it has what a shopper did lately and a few words. How each is made:

====================  ==============================================================================================
good                  a title of an item that the shopper bought for the first time after the moment, in two to four
                      words, one of which is distinguishing and stands on something the shopper had bought before
wrong attribute       such a demand with another colour, material, size, pattern or occasion, which no title has
absent product        words of an item whose kind was taken out of the catalogue before the judge sees it
other shopper         made like a good one of another shopper, of an item that this shopper never bought in the whole
                      log, with a distinguishing word and none that stands on anything the shopper ever bought
copy                  a title of the shopper's own input, whole, a word shorter, or turned round
leak                  a query, label or fragment out of the prompt
====================  ==============================================================================================

A word is distinguishing if fewer than three in a hundred titles have it. What shoppers buy next is for the most part not
told by what they bought before, and no judge can tell it; so the good and the other shopper's are made of what the log
does tell. ``plain`` sets leave that out: there a good demand is any first purchase, and another shopper's any that this
shopper never made.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agents.errors import CalibrationError
from agents.judge.faults import copied, leaked, titles_with, wrong_attribute
from agents.judge.features import HELD, MOST_ACTS, TOO_ALIKE
from agents.judge.phrase import shortened
from agents.judge.terms import overlap, terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agents.shopper import Shopper

__all__ = ["FAULTS", "Labelled", "Person", "faults_of", "label", "withhold"]

FAULTS: Final = ("wrong attribute", "absent product", "other shopper", "copy", "leak")
_DISTINGUISHING: Final = 0.03
_TRIES: Final = 80


@dataclass(frozen=True, slots=True)
class Person:
    """A shopper at a moment, with what is known of them besides.

    Attributes:
        shopper: As the judge sees them.
        before: Ids of all items bought before the moment.
        after: Ids of those bought for the first time after it, within the time of judging.
        ever: Ids of all items bought in the whole log.
    """

    shopper: Shopper
    before: frozenset[str]
    after: tuple[str, ...]
    ever: frozenset[str]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A demand for ``people[person]``; ``fault`` is one of `FAULTS`, "" for a good one. ``source`` is what it was made of."""

    person: int
    query: str
    fault: str
    source: str


def withhold(titles: Mapping[str, str], *, seed: int, share: float = 0.04) -> dict[str, str]:
    """Take kinds of items out of a catalogue.

    A kind is all items with a word that ends most of the titles it is in, such as "umbrella", of two to twenty items.

    Args:
        titles: The title of every item.
        seed: Decides which kinds.
        share: Of the items, at least so many where there are as many.

    Returns:
        By id of the items taken out, the word that no other item has.
    """
    chance = random.Random(seed)
    holders: dict[str, list[str]] = {}
    last: Counter[str] = Counter()
    for item, title in titles.items():
        words = [word for word in title.split() if terms(word)]
        for term in terms(title):
            holders.setdefault(term, []).append(item)
        if words:
            last.update(terms(words[-1]))
    kinds = sorted(
        term for term, items in holders.items() if 2 <= len(items) <= 20 and last[term] * 2 > len(items)
    )
    chance.shuffle(kinds)
    out: dict[str, str] = {}
    for term in kinds:
        if len(out) >= share * len(titles):
            break
        for item in holders[term]:
            out.setdefault(item, term)
    return out


def label(
    titles: Mapping[str, str],
    withheld: Mapping[str, str],
    people: Sequence[Person],
    shown: Sequence[str],
    rules: str,
    *,
    n: int,
    seed: int,
    plain: bool = False,
) -> list[Labelled]:
    """Make n labelled demands, half good and a tenth of each fault, no two alike for a shopper.

    Args:
        titles: The title of every item, those taken out too.
        withheld: From `withhold`.
        people: The shoppers to make demands for.
        shown: The queries and phrases in the prompt's examples.
        rules: The prompt's rules.
        n: How many, at least 10.
        seed: Decides everything that is left to chance.
        plain: Ask for no support of good demands, and allow any of another shopper's.

    Raises:
        CalibrationError: There are too few shoppers or items to make as many of one kind; says which.
    """
    maker = _Maker(titles, withheld, people, tuple(shown), rules, random.Random(seed), plain)
    wanted = {"": n - len(FAULTS) * (n // 10), **dict.fromkeys(FAULTS, n // 10)}
    made: dict[tuple[int, str], Labelled] = {}
    for fault, count in wanted.items():
        before = len(made)
        for one in maker.some(fault, count * _TRIES):
            made.setdefault((one.person, " ".join(sorted(terms(one.query)))), one)
            if len(made) - before == count:
                break
        if len(made) - before < count:
            raise CalibrationError(
                f"Only {len(made) - before} of {count} demands could be made that are {fault or 'good'}.",
                way_out="Ask for fewer, or give a longer history with more shoppers.",
            )
    demands = list(made.values())
    random.Random(seed).shuffle(demands)
    return demands


def faults_of(
    titles: Mapping[str, str],
    people: Sequence[Person],
    demands: Sequence[tuple[int, str]],
    shown: Sequence[str],
) -> list[str]:
    """What is wrong with demands that a model wrote, by the rules that labelled sets are made by.

    "copy" and "leak" as there; "absent product" where no title has all of its words (a wrong attribute cannot be told
    from that); "other shopper" where it has distinguishing words and none stands on anything that the shopper ever
    bought, before or after; "" otherwise. Strict on paraphrases: a synonym that no title has is an absent product.

    Args:
        titles: The title of every item.
        people: The shoppers.
        demands: The number of the shopper in ``people``, and the query.
        shown: The queries and phrases in the prompt's examples.
    """
    rule = _Maker(titles, {}, people, tuple(shown), "", random.Random(0), plain=False)
    return [rule.fault(query, person) for person, query in demands]


class _Maker:
    """What is counted once for all demands."""

    def __init__(
        self,
        titles: Mapping[str, str],
        withheld: Mapping[str, str],
        people: Sequence[Person],
        shown: tuple[str, ...],
        rules: str,
        chance: random.Random,
        plain: bool,
    ) -> None:
        self._titles, self._withheld, self._people = titles, withheld, people
        self._shown, self._rules, self._chance, self._plain = shown, rules, chance, plain
        self._terms = {item: terms(title) for item, title in titles.items()}
        counts = Counter(term for words in self._terms.values() for term in words)
        self._telling = frozenset(t for t, c in counts.items() if c < max(2.0, _DISTINGUISHING * len(titles)))
        self._with = titles_with(title for item, title in titles.items() if item not in withheld)
        self._met = [self._words(person.before) for person in people]
        self._ever = [self._words(person.ever) for person in people]
        self._examples = frozenset(terms(phrase) for phrase in shown)

    def some(self, fault: str, tries: int) -> Iterator[Labelled]:
        """Up to so many demands of a kind; what cannot be made for a shopper is passed over."""
        for _ in range(tries):
            at = self._chance.randrange(len(self._people))
            found = self._make(fault, at)
            if found is not None and terms(found[0]):
                yield Labelled(at, found[0], fault, found[1])

    def fault(self, query: str, at: int) -> str:
        """As `faults_of`."""
        asked = terms(query)
        if asked in self._examples:
            return "leak"
        if not self._is_new(query, at):
            return "copy"
        if not asked or not set.intersection(*(self._with.get(term, set()) for term in asked)):
            return "absent product"
        telling = asked & self._telling
        return "other shopper" if telling and not telling & self._ever[at] else ""

    def _make(self, fault: str, at: int) -> tuple[str, str] | None:
        match fault:
            case "wrong attribute":
                good = self._good(at)
                spoilt = wrong_attribute(good[0], self._with, self._chance) if good else None
                return (spoilt, good[1]) if good and spoilt else None
            case "absent product":
                return self._absent(at)
            case "other shopper":
                return self._other(at)
            case "copy":
                acts = self._people[at].shopper.recent[-MOST_ACTS:]
                text = self._chance.choice(acts).text if acts else ""
                return (copied(text, self._chance), text) if terms(text) else None
            case "leak":
                return leaked(self._shown, self._rules, self._chance), "prompt"
            case _:
                return self._good(at)

    def _good(self, at: int) -> tuple[str, str] | None:
        item = self._pick(at)
        if item is None or item in self._withheld:
            return None
        support = self._terms[item] & (self._telling if self._plain else self._met[at])
        if not support:
            return None
        query = shortened(self._titles[item], self._chance, needed=support)
        return (query, item) if terms(query) & support and self._is_new(query, at) else None

    def _is_new(self, query: str, at: int) -> bool:
        asked = terms(query)
        if asked in self._examples:
            return False
        for act in self._people[at].shopper.recent[-MOST_ACTS:]:
            words = terms(act.text)
            if overlap(asked, words) >= TOO_ALIKE or (asked <= words and len(asked) >= HELD * len(words)):
                return False
        return True

    def _absent(self, at: int) -> tuple[str, str] | None:
        own = [item for item in self._people[at].after if item in self._withheld]
        item = self._chance.choice(own or sorted(self._withheld)) if own or self._withheld else None
        if item is None:
            return None
        kind = self._withheld[item]
        query = shortened(self._titles[item], self._chance, needed=(kind,))
        return (query, item) if kind in terms(query) else None

    def _other(self, at: int) -> tuple[str, str] | None:
        other = self._chance.randrange(len(self._people))
        item = self._pick(other)
        if other == at or item is None or item in self._withheld or item in self._people[at].ever:
            return None
        telling = self._terms[item] & self._telling
        if not telling or (telling & self._ever[at] and not self._plain):
            return None
        query = shortened(self._titles[item], self._chance, needed=telling)
        good = terms(query) & telling and terms(query) not in self._examples
        return (query, item) if good else None

    def _pick(self, at: int) -> str | None:
        after = self._people[at].after
        return self._chance.choice(after) if after else None

    def _words(self, items: frozenset[str]) -> frozenset[str]:
        """The distinguishing words of items."""
        known = (self._terms[item] for item in items if item in self._terms)
        return frozenset[str]().union(*known) & self._telling
