"""What an encoder is taught from: of each shopper what they would want, and what else they would buy.

The teacher is EASE^R over the texts of the items (Steck, WWW 2019; `index.channels.behaviour`). Of each shopper its five
best texts that the shopper did not buy are the wants: they stand for the demands that are asked with. Then it says
what the lists of these five should hold together: its own best texts, with each score multiplied by the text's trend,

    trend = (recent + 5) / (expected + 5)

recent being the shoppers who bought it in the last days and expected as many of the recent shoppers as its share of all
shoppers would give. Behaviour knows what goes together and says nothing of time; the trend does.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.channels.behaviour import Behaviour
from index.channels.channel import best
from index.channels.purchases import DAY_MS, Ints, Purchases
from index.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.encoder_training.sessions import Pairs

__all__ = ["DEPTH", "WANTS", "Lessons", "learn_from", "parts_of", "trend"]

WANTS: Final = 5
DEPTH: Final = 50
LEAST_SHOPPERS: Final = 20
LEAST_TEXTS: Final = 50
MOST_SHOPPERS: Final = 20_000

_BLOCK: Final = 512
_STEADY: Final = 5.0


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is taught, with texts and questions by number.

    Attributes:
        texts: The n different titles that were sold.
        asked: What is asked with: the texts, in the same order, then queries of shoppers.
        wants: (u, 5) of each shopper the texts they would want, best first.
        follow: (u, 50) what the lists of the wants should hold together.
        weights: (u, 50) how much each counts; a shopper's sum to 1, and 0 where there are fewer.
        bought: Of each shopper the texts they bought, which no list may hold.
        pairs: (p, 2) a question and a text that belongs to it.
        seen: (p,) how often.
    """

    texts: tuple[str, ...]
    asked: tuple[str, ...]
    wants: Ints
    follow: Ints
    weights: npt.NDArray[np.float32]
    bought: tuple[Ints, ...]
    pairs: Ints
    seen: npt.NDArray[np.float64]

    def positives(self) -> Ints:
        """(x,) rising: ``question * n + text`` of everything that belongs together, a text and itself among it."""
        n = len(self.texts)
        counted = self.weights > 0
        lists = [
            (self.wants[:, [at]] * n + self.follow)[counted & (self.wants[:, [at]] >= 0)]
            for at in range(self.wants.shape[1])
        ]
        own = np.arange(n, dtype=np.int64) * (n + 1)
        return np.unique(np.concatenate([*lists, own, self.pairs[:, 0] * n + self.pairs[:, 1]]))


def learn_from(
    log: Purchases,
    titles: Sequence[str],
    now: int,
    *,
    pairs: Pairs | None = None,
    most_texts: int = 8_000,
    trend_days: float = 14.0,
) -> Lessons:
    """Make the lessons from what was bought before a moment.

    Args:
        log: The order lines; those at or after ``now`` are not looked at.
        titles: The title of each item of the log, by number; "" where unknown.
        now: UTC milliseconds.
        pairs: What was searched for and looked at before ``now``.
        most_texts: How many titles to learn, those most shoppers bought; the teacher takes cubic time in them.
        trend_days: How many days are recent.

    Raises:
        CatalogError: If there are too few titles or shoppers to learn from.
    """
    history, texts, text_of = _by_text(log.before(now), titles, most_texts)
    shoppers = np.unique(history.user)
    if len(texts) < LEAST_TEXTS or len(shoppers) < LEAST_SHOPPERS:
        raise CatalogError(
            f"There are {len(shoppers):,} shoppers and {len(texts):,} titles sold to them before the cutoff; "
            f"an encoder needs at least {LEAST_SHOPPERS} and {LEAST_TEXTS}.",
            way_out="Give a longer log of orders, a later cutoff, or a catalogue that has the items' titles.",
        )
    if len(shoppers) > MOST_SHOPPERS:
        latest = np.zeros(len(history.users), dtype=np.int64)
        np.maximum.at(latest, history.user, history.time)
        shoppers = np.sort(shoppers[np.argsort(-latest[shoppers], kind="stable")[:MOST_SHOPPERS]])
    teacher = Behaviour.ease(history)
    lift = trend(history, now, trend_days)
    parts = [
        _taught(teacher, lift, history, shoppers[start : start + _BLOCK], now)
        for start in range(0, len(shoppers), _BLOCK)
    ]
    queries, links, seen = _linked(pairs, log.items, text_of, len(texts))
    return Lessons(
        texts,
        (*texts, *queries),
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
        tuple(one for part in parts for one in part[3]),
        links,
        seen,
    )


def trend(history: Purchases, now: int, days: float) -> npt.NDArray[np.float32]:
    """(items,) the trend of each; see the module's text."""
    items = len(history.items)
    recent = history.keep(history.time >= now - days * DAY_MS)
    lately, always = (
        np.bincount(np.unique(one.user * items + one.item) % items, minlength=items)
        for one in (recent, history)
    )
    share = always / max(1, len(np.unique(history.user)))
    lift: npt.NDArray[np.float32] = (
        (lately + _STEADY) / (share * len(np.unique(recent.user)) + _STEADY)
    ).astype(np.float32)
    return lift


def parts_of(texts: Sequence[str], count: int, seed: int) -> list[tuple[str, int]]:
    """Some words of titles: up to ``count`` pairs (half of a title's words in their order, the title's number).

    Titles of fewer than three words have no parts.
    """
    random = Random(seed)
    long = [number for number, text in enumerate(texts) if len(text.split()) >= 3]
    random.shuffle(long)
    found = []
    for number in long[:count]:
        words = texts[number].split()
        kept = sorted(random.sample(range(len(words)), max(2, len(words) // 2)))
        found.append((" ".join(words[at] for at in kept), number))
    return found


def _by_text(history: Purchases, titles: Sequence[str], most: int) -> tuple[Purchases, tuple[str, ...], Ints]:
    """The log over texts in place of items, the texts, and (items,) the text of each item or -1."""
    buyers = np.bincount(
        np.unique(history.user * len(history.items) + history.item) % len(history.items),
        minlength=len(history.items),
    )
    reach: dict[str, int] = {}
    for title, count in zip(titles, buyers.tolist(), strict=True):
        text = " ".join(title.split())
        if text and count:
            reach[text] = reach.get(text, 0) + count
    texts = tuple(sorted(reach, key=lambda text: (-reach[text], text))[:most])
    number = {text: at for at, text in enumerate(texts)}
    text_of = np.array([number.get(" ".join(title.split()), -1) for title in titles], dtype=np.int64)
    kept = history.keep(text_of[history.item] >= 0)
    return (
        Purchases(kept.users, texts, kept.user, text_of[kept.item], kept.time, kept.quantity, kept.amount),
        texts,
        text_of,
    )


def _taught(
    teacher: Behaviour, lift: npt.NDArray[np.float32], history: Purchases, shoppers: Ints, now: int
) -> tuple[Ints, Ints, npt.NDArray[np.float32], list[Ints]]:
    known = history.histories(shoppers, now)
    bought = known.bought(len(history.items))
    scores = teacher.score(known)
    wants = best(scores, WANTS, bought).rows
    wished = best(np.where(scores > 0, scores * lift, -np.inf).astype(np.float32), DEPTH, bought).rows
    places = 1.0 / np.log2(np.arange(2, wished.shape[1] + 2))
    weights = np.where(wished >= 0, places, 0.0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    usable = (wants >= 0).all(axis=1) & (wished >= 0).any(axis=1)
    return (
        wants[usable],
        np.maximum(wished, 0)[usable],
        weights[usable].astype(np.float32),
        [np.flatnonzero(one) for one in bought[usable]],
    )


def _linked(
    pairs: Pairs | None, items: Sequence[str], text_of: Ints, texts: int
) -> tuple[list[str], Ints, npt.NDArray[np.float64]]:
    """Queries, (p, 2) question and text, (p,) counts."""
    number = {item: int(text) for item, text in zip(items, text_of.tolist(), strict=True) if text >= 0}
    asked: dict[str, int] = {}
    links: dict[tuple[int, int], int] = {}
    if pairs is not None:
        for (query, item), count in pairs.searched.items():
            if item in number:
                key = (asked.setdefault(query, texts + len(asked)), number[item])
                links[key] = links.get(key, 0) + count
        for (before, after), count in pairs.seen.items():
            if before in number and after in number and number[before] != number[after]:
                key = (number[before], number[after])
                links[key] = links.get(key, 0) + count
    array = np.array(list(links), dtype=np.int64).reshape(-1, 2)
    return list(asked), array, np.array(list(links.values()), dtype=np.float64)
