"""Trends for shops whose purchases come without documents: what began to sell lately, told as documents.

A title is rising in a week if at least five shoppers bought it, and at least twice as many as in a mean week of the eight before.
Every title that rises in one of the four weeks before the cutoff is a document of that week: its title is the text, the week's
last moment its time, its category the shop's. From there everything is as with documents from outside: points, topics, merging, and
what is offered to whom (`agents.trends`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.shopper import Background
from agents.trends import Document, Topics, mine, offer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents import Shopper
    from agents.trends import Trend
    from console.verbs.evaluation.purchases import Bought
    from index.channels.purchases import Purchases
    from index.encoders.encoder import Encoder

__all__ = ["Trending", "rising"]

_WEEKS: Final = 4
_BEFORE: Final = 8
_SHOPPERS: Final = 5
_TIMES: Final = 2.0
_WEEK_MS: Final = 7 * 86_400_000


def rising(bought: Bought, history: Purchases, cutoff: int) -> list[Document]:
    """The documents, the oldest first.

    Args:
        bought: The log with its items.
        history: The order lines before the cutoff.
        cutoff: UTC milliseconds.
    """
    ago = (cutoff - 1 - history.time) // _WEEK_MS
    counts = np.zeros((_WEEKS + _BEFORE, len(history.items)), dtype=np.int64)
    for week in range(len(counts)):
        lines = ago == week
        pairs = np.unique(np.stack([history.item[lines], history.user[lines]]), axis=1)
        counts[week] = np.bincount(pairs[0], minlength=len(history.items))
    found = []
    for week in reversed(range(_WEEKS)):
        usual = counts[week + 1 : week + 1 + _BEFORE].mean(axis=0)
        for item in np.flatnonzero((counts[week] >= _SHOPPERS) & (counts[week] >= _TIMES * usual)).tolist():
            title = bought.titles[item]
            if title:
                end = cutoff - 1 - week * _WEEK_MS
                found.append(
                    Document(
                        f"{history.items[item]}-{week}", title, "", end, "sales", bought.category_of(item)
                    )
                )
    return found


class Trending:
    """Offers shoppers the trends that suit them.

    Args:
        bought: The log with its items.
        history: The order lines before the cutoff.
        cutoff: UTC milliseconds.
        encoder: For likeness of phrases and categories.
    """

    def __init__(self, bought: Bought, history: Purchases, cutoff: int, encoder: Encoder) -> None:
        self._category = {
            item: name for at, item in enumerate(history.items) if (name := bought.category_of(at))
        }
        titles: dict[str, list[str]] = {}
        sold = np.bincount(history.item, minlength=len(history.items))
        for at in np.argsort(-sold, kind="stable").tolist():
            if sold[at] and bought.titles[at] and bought.category_of(at):
                titles.setdefault(bought.category_of(at), []).append(bought.titles[at])
        topics = Topics.of(titles, encoder)
        self.documents = len(documents := rising(bought, history, cutoff))
        self.trends: tuple[Trend, ...] = mine(documents, topics, encoder, now=cutoff).trends

    def of(self, shoppers: Sequence[Shopper]) -> list[Shopper]:
        """The shoppers with the trends that meet the categories that they bought of."""
        found = []
        for shopper in shoppers:
            preferences = Counter(self._category.get(act.item_id, "") for act in shopper.recent)
            del preferences[""]
            offered = offer(
                self.trends, preferences, now=shopper.moment, known=[act.text for act in shopper.recent]
            )
            background = replace(
                shopper.background or Background(), trends=tuple(one.query for one in offered)
            )
            found.append(replace(shopper, background=background))
        return found
