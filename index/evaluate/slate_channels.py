"""The channels that `nearline eval slate` can measure, by name, each made from the history alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from index.channels.behaviour import Behaviour
from index.channels.fresh import Fresh
from index.channels.neighbours import SimilarShoppers
from index.channels.popularity import CategoryPopularity, Habit, Popularity, popularity
from index.channels.taste import Taste
from index.errors import CatalogError
from index.ranking.features import Knowledge
from index.ranking.learned import Fused, gather, train

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from index.channels.channel import ShopperChannel
    from index.channels.purchases import Purchases
    from index.encoder import Vectors
    from index.evaluate.slate import Rule

__all__ = ["SLATE_CHANNELS", "Source", "make_channel"]

SLATE_CHANNELS: Final[dict[str, str]] = {
    "popularity": "baseline: lines of the last 30 days",
    "personal-frequency": "baseline: own items by days bought, then item-knn",
    "item-knn": "baseline: cosine of items, half-life 3 invoice days",
    "ease": "baseline: EASE^R, lambda 300, half-life 3 invoice days",
    "titles": "baseline: mean vector of the titles bought",
    "behaviour": "EASE^R as it is served: the 200 strongest partners of each item",
    "user-knn": "100 nearest shoppers by rarity, what they bought lately",
    "category-popularity": "popular items of the shopper's categories, half-life 14 days",
    "fresh": "new and trending items",
    "fused": "candidates of all behaviour channels, ordered by the learned ranker",
}
"""Channels by name, each with what it is."""

_PARTNERS: Final = 200


@dataclass(frozen=True, slots=True)
class Source:
    """What channels are made from.

    Attributes:
        history: The order lines before ``now``.
        now: UTC milliseconds of the cutoff.
        vectors: (items, d) of the titles; None without titles or encoder.
        category: (items,) the number of each item's category; None without categories.
    """

    history: Purchases
    now: int
    vectors: Vectors | None = None
    category: npt.NDArray[np.int64] | None = None


def make_channel(
    name: str, source: Source, rule: Rule, *, progress: Callable[[int, int], None] | None = None
) -> ShopperChannel:
    """Learn a channel.

    Args:
        name: One of `SLATE_CHANNELS`.
        source: What it is made from.
        rule: The protocol, which the ranker is trained for.
        progress: Of the ranker's training, as in `index.ranking.learned.gather`.

    Raises:
        CatalogError: For an unknown name, or if the channel needs what the source lacks.
    """
    history, now = source.history, source.now
    if name == "popularity":
        return Popularity.learn(history, now)
    if name == "personal-frequency":
        return Habit(Behaviour.item_knn(history))
    if name == "item-knn":
        return Behaviour.item_knn(history)
    if name == "ease":
        return Behaviour.ease(history)
    if name == "behaviour":
        return Behaviour.ease(history).sparse(_PARTNERS)
    if name == "user-knn":
        return SimilarShoppers.learn(history, now)
    if name == "fresh":
        return Fresh.learn(history, now)
    if name == "category-popularity":
        if source.category is None:
            raise _lacks(name, "the items' categories")
        return CategoryPopularity(popularity(history, now, half_life=14.0), source.category)
    if name == "titles":
        if source.vectors is None:
            raise _lacks(name, "the items' titles")
        sold = np.bincount(history.item, minlength=len(history.items)) > 0
        return Taste(source.vectors, sold)
    if name == "fused":
        samples = gather(history, now, rule, source.vectors, progress=progress)
        return Fused(Knowledge(history, now, source.vectors), train(samples, rule))
    raise CatalogError(f"There is no channel {name!r}.", way_out=f"Give one of {', '.join(SLATE_CHANNELS)}.")


def _lacks(name: str, what: str) -> CatalogError:
    return CatalogError(
        f"The channel {name!r} needs {what}.",
        way_out="Name a catalogue file with --catalog, or leave it out.",
    )
