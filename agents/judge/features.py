"""What the judge measures of a demand, in three groups: its answer, its ground, its novelty.

Every measure is a plain number with the same meaning in every shop: shares, cosines, or ratios to the rarest
word. What cannot be measured (no behaviour learnt, no acts) is NaN, and a curve has a value of its own for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.judge.shop import Thing
from agents.judge.terms import overlap, share, terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from agents.judge.shop import Near, Shop
    from agents.shopper import Act, Shopper

__all__ = ["ANSWERABLE", "GROUNDED", "HELD", "MOST_ACTS", "NEW", "TOO_ALIKE", "Case", "Measured", "measure"]

ANSWERABLE: Final = ("cover", "missing", "unknown", "nearest", "near", "covering", "spread")
"""Of the answer. ``cover``: the largest share of the demand's words, by rarity, in one near title. ``missing``: the rarity
of the rarest word that this title lacks, by that of the rarest word. ``unknown``: share of words, by rarity, in no title at
all. ``nearest``, ``near``: the largest cosine, and the mean of the five largest. ``covering``: the largest cosine of the
titles with the largest cover. ``spread``: share of the demand's words that no near title has."""

GROUNDED: Final = (
    "affinity", "mean_affinity", "alike", "like", "lately", "seen", "rarest_seen", "together", "lift",
    "category", "acts", "popularity", "rarity", "unseen", "unmet", "apart",
)  # fmt: skip
"""Of the ground. ``affinity``, ``mean_affinity``: how much what was bought speaks for the answering items, most and on
average. ``alike``, ``like``: largest cosine to an act, mean of the three largest. ``lately``: the largest to one of the
last twelve acts. ``seen``: share of the words, by rarity, that any act has; ``rarest_seen``: rarity of the rarest of them;
``together``: the largest share in one act. ``lift``: log of how much more often than in the shop the shopper meets the
word that speaks most for the demand. ``category``: the same of the answer's category. ``acts``: log of their number.
``popularity`` of the answer and mean ``rarity`` of the words set the others in proportion. ``unseen``, ``unmet`` and
``apart`` are what ``seen``, ``rarest_seen`` and ``alike`` lack, times how much is known: acts / 100, at most 1; that
nothing speaks for a demand says little where little is known. Offered trends and preferences count as acts here, but not in the number of acts."""

NEW: Final = ("copy", "held", "leak", "shown", "told", "foreign", "bought")
"""Of novelty. ``copy``: the largest overlap with one act's words; ``held``: the share of those words that the demand gives
back, of the act where all the demand's words stand. ``leak``: the largest overlap with one of the prompt's own queries and
phrases; ``shown``: share of the demand's words that one of them has; ``told``: share of its words in the prompt's rules or
labels. ``foreign``: share of its words that neither shop nor acts have. ``bought``: whether what answers it best was
bought within a day of the newest act."""

TOO_ALIKE: Final = 0.8
"""From this overlap with an act on, a demand is the act's copy."""

HELD: Final = 0.7
"""And from this share of an act's words on, where it has no other words."""

MOST_ACTS: Final = 200
"""The newest acts that are looked at."""

_LATELY: Final = 12
_MUCH: Final = 100
# A word half as rare as the rarest tells something of a shopper.
_DISTINGUISHING: Final = 0.5
_DAY_MS: Final = 86_400_000
# 1 for the latest purchase, half for one made so many purchases earlier.
_HALF: Final = 30.0
_SOURCES: Final = ("order", "cart", "favorite", "inquiry", "search", "view", "click", "image_search")


@dataclass(frozen=True, slots=True)
class Case:
    """One shopper's demands, and what the prompt that they come from shows to every shopper.

    Attributes:
        shopper: Who they are for.
        queries: The demands.
        shown: The queries and phrases in the prompt's examples.
        rules: The prompt's rules.
    """

    shopper: Shopper
    queries: tuple[str, ...]
    shown: tuple[str, ...] = ()
    rules: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """(n, features) of n demands, in the order of the names above; ``best`` are the titles that answer best."""

    answerable: npt.NDArray[np.float64]
    grounded: npt.NDArray[np.float64]
    new: npt.NDArray[np.float64]
    best: tuple[str, ...]

    @property
    def copies(self) -> npt.NDArray[np.bool_]:
        """(n,): which are copies of an act, or of a phrase of the prompt, by definition."""
        copy, held, leak = (self.new[:, NEW.index(name)] for name in ("copy", "held", "leak"))
        found: npt.NDArray[np.bool_] = (copy >= TOO_ALIKE) | (held >= HELD) | (leak >= 1.0)
        return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same for all demands of a case."""

    acts: tuple[Act, ...]
    words: tuple[frozenset[str], ...]
    facts: tuple[frozenset[str], ...]
    counts: Mapping[str, int]
    bought: Mapping[str, float]
    yesterday: frozenset[str]
    shown: tuple[frozenset[str], ...]
    rules: frozenset[str]


def measure(cases: Sequence[Case], shop: Shop) -> Measured:
    """Measure every demand of every case, in order, with one search for all."""
    queries = [query for case in cases for query in case.queries]
    near = shop.near(queries)
    rows: list[tuple[list[float], list[float], list[float]]] = []
    best = []
    at = 0
    for case in cases:
        known = _known(case)
        things = [Thing("", fact) for fact in _facts(case)]
        things += [Thing(act.item_id, act.text) for act in known.acts]
        alike = shop.likeness(case.queries, things)
        for place, query in enumerate(case.queries):
            asked = terms(query)
            found = sorted(near[at], key=lambda one: (-one.likeness, one.item))
            answer = _Answer.of(asked, found, shop)
            rows.append(
                (
                    _answerable(asked, answer, found, shop),
                    _grounded(asked, answer, known, alike[place], shop),
                    _new(asked, answer, known, shop),
                )
            )
            best.append(answer.titles[0] if answer.titles else "")
            at += 1
    answerable, grounded, new = (
        np.array([row[part] for row in rows], dtype=np.float64).reshape(len(rows), len(names))
        for part, names in enumerate((ANSWERABLE, GROUNDED, NEW))
    )
    return Measured(answerable, grounded, new, tuple(best))


@dataclass(frozen=True, slots=True)
class _Answer:
    """The items that answer a demand best: of the largest cover, the nearest first, at most five."""

    weight: Mapping[str, float]
    cover: float
    items: tuple[Near, ...]
    words: tuple[frozenset[str], ...]

    @property
    def titles(self) -> tuple[str, ...]:
        return tuple(one.title for one in self.items)

    @classmethod
    def of(cls, asked: frozenset[str], found: Sequence[Near], shop: Shop) -> _Answer:
        rarities = {word: shop.rarity(word) for word in asked}
        weight = {word: shop.rarest if value is None else value for word, value in rarities.items()}
        words = [terms(one.title) for one in found]
        covers = [share(asked, known, weight) for known in words]
        top = max(covers, default=0.0)
        kept = [at for at, cover in enumerate(covers) if cover >= top - 1e-9][:5]
        return cls(weight, top, tuple(found[at] for at in kept), tuple(words[at] for at in kept))


def _answerable(asked: frozenset[str], answer: _Answer, found: Sequence[Near], shop: Shop) -> list[float]:
    likeness = [one.likeness for one in found]
    lacking = asked - (answer.words[0] if answer.words else frozenset())
    somewhere = frozenset[str]().union(*(terms(one.title) for one in found))
    unknown = [word for word in asked if shop.rarity(word) is None]
    whole = sum(answer.weight.values())
    return [
        answer.cover,
        max((answer.weight[word] for word in lacking), default=0.0) / shop.rarest,
        sum(answer.weight[word] for word in unknown) / whole if whole else 1.0,
        max(likeness, default=math.nan),
        float(np.mean(likeness[:5])) if likeness else math.nan,
        answer.items[0].likeness if answer.items else math.nan,
        len(asked - somewhere) / max(1, len(asked)),
    ]


def _grounded(
    asked: frozenset[str], answer: _Answer, known: _Known, alike: npt.NDArray[np.float32], shop: Shop
) -> list[float]:
    items = [one.item for one in answer.items]
    speaks = shop.affinity(known.bought, items) if items else None
    for_items = speaks[np.isfinite(speaks)] if speaks is not None else np.empty(0)
    like = alike[np.isfinite(alike)]
    top = np.sort(like)[::-1]
    late = alike[-_LATELY:]
    late = late[np.isfinite(late)]
    seen = [word for word in asked if known.counts.get(word)]
    lifts = [
        math.log((known.counts.get(word, 0) + 0.3) / (_expected(word, len(known.acts), shop) + 0.3))
        for word in asked
    ]
    rarest_seen = max((answer.weight[word] for word in seen), default=0.0) / shop.rarest
    told = min(1.0, len(known.acts) / _MUCH)
    category = answer.items[0].category if answer.items else ""
    same = sum(act.category == category for act in known.acts) / max(1, len(known.acts))
    return [
        float(for_items.max()) if len(for_items) else math.nan,
        float(for_items.mean()) if len(for_items) else math.nan,
        float(top[0]) if len(top) else math.nan,
        float(top[:3].mean()) if len(top) else math.nan,
        float(late.max()) if len(late) else math.nan,
        share(asked, seen, answer.weight),
        rarest_seen,
        max((share(asked, words, answer.weight) for words in (*known.facts, *known.words)), default=0.0),
        max(lifts, default=math.nan),
        math.log((same + 0.01) / (shop.category_share(category) + 0.01)) if category else math.nan,
        math.log1p(len(known.acts)),
        answer.items[0].popularity if answer.items else math.nan,
        sum(answer.weight.values()) / max(1, len(asked)) / shop.rarest,
        (1.0 - share(asked, seen, answer.weight)) * told,
        (1.0 - min(1.0, rarest_seen / _DISTINGUISHING)) * told,
        (1.0 - float(top[0])) * told if len(top) else math.nan,
    ]


def _new(asked: frozenset[str], answer: _Answer, known: _Known, shop: Shop) -> list[float]:
    inside = [words for words in known.words if asked and asked <= words]
    told = sum(word in known.rules for word in asked)
    foreign = sum(shop.rarity(word) is None and not known.counts.get(word) for word in asked)
    count = max(1, len(asked))
    return [
        max((overlap(asked, words) for words in known.words), default=0.0),
        max((len(asked) / len(words) for words in inside), default=0.0),
        max((overlap(asked, words) for words in known.shown), default=0.0),
        max((len(asked & words) / count for words in known.shown), default=0.0),
        told / count,
        foreign / count,
        float(bool(answer.items) and answer.items[0].item in known.yesterday),
    ]


def _known(case: Case) -> _Known:
    acts = tuple(act for act in case.shopper.recent if act.type in _SOURCES)[-MOST_ACTS:]
    words = tuple(terms(act.text) for act in acts)
    facts = tuple(terms(fact) for fact in _facts(case))
    counts: dict[str, int] = {}
    for one in (*facts, *words):
        for word in one:
            counts[word] = counts.get(word, 0) + 1
    bought: dict[str, float] = {}
    for ago, act in enumerate(reversed([act for act in acts if act.item_id])):
        bought.setdefault(act.item_id, 0.5 ** (ago / _HALF))
    newest = max((act.ts for act in acts), default=0)
    yesterday = frozenset(
        act.item_id
        for act in acts
        if act.type == "order" and act.item_id and act.ts >= max(newest, case.shopper.moment) - _DAY_MS
    )
    shown = tuple(terms(phrase) for phrase in case.shown)
    return _Known(acts, words, facts, counts, bought, yesterday, shown, terms(case.rules))


def _facts(case: Case) -> tuple[str, ...]:
    """What the slow agents know: the queries of offered trends, and what the shopper prefers."""
    known = case.shopper.background
    return (*known.trends, *(one.value for one in known.preferences)) if known else ()


def _expected(word: str, acts: int, shop: Shop) -> float:
    """How many of so many acts would have the word if the shopper took items at random."""
    rarity = shop.rarity(word)
    return 0.0 if rarity is None else acts / max(1e-9, math.expm1(rarity))
