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
from index.ranking.learned import Fused, train
from index.ranking.lessons import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from index.channels.channel import ShopperChannel
    from index.channels.purchases import Purchases
    from index.encoders.encoder import Vectors
    from index.evaluate.slate import Rule

__all__ = ["SLATE_CHANNELS", "Channels", "Source"]

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
        category: (items,) the number of each item's category, -1 where unknown; None without categories.
    """

    history: Purchases
    now: int
    vectors: Vectors | None = None
    category: npt.NDArray[np.int64] | None = None


class Channels:
    """Makes channels, each learnt once whichever rules it is measured by.

    Args:
        source: What they are made from.
        rules: The protocols the ranker is trained for.
        progress: Of the ranker's training, as in `index.ranking.learned.gather`.
    """

    def __init__(
        self, source: Source, rules: Sequence[Rule], *, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self._source = source
        self._rules = tuple(rules)
        self._progress = progress
        self._made: dict[str, ShopperChannel] = {}
        self._fused: dict[Rule, ShopperChannel] = {}

    def get(self, name: str, rule: Rule) -> ShopperChannel:
        """The channel, learnt when first asked for.

        Args:
            name: One of `SLATE_CHANNELS`.
            rule: One of the rules given.

        Raises:
            CatalogError: For an unknown name, or if the channel needs what the source lacks.
        """
        if name == "fused":
            if not self._fused:
                self._fused = self._fuse()
            return self._fused[rule]
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _fuse(self) -> dict[Rule, ShopperChannel]:
        history, now, vectors = self._source.history, self._source.now, self._source.vectors
        samples = gather(history, now, self._rules, vectors, progress=self._progress)
        knowledge = Knowledge(history, now, vectors)
        return {rule: Fused(knowledge, train(samples[rule], rule)) for rule in self._rules}

    def _make(self, name: str) -> ShopperChannel:
        history, now = self._source.history, self._source.now
        if name == "popularity":
            return Popularity.learn(history, now)
        if name == "personal-frequency":
            return Habit(self.get("item-knn", self._rules[0]))
        if name == "item-knn":
            return Behaviour.item_knn(history)
        if name == "ease":
            return Behaviour.ease(history)
        if name == "behaviour":
            whole = self.get("ease", self._rules[0])
            return (whole if isinstance(whole, Behaviour) else Behaviour.ease(history)).sparse(_PARTNERS)
        if name == "user-knn":
            return SimilarShoppers.learn(history, now)
        if name == "fresh":
            return Fresh.learn(history, now)
        if name == "category-popularity":
            if self._source.category is None:
                raise _lacks(name, "the items' categories")
            category = self._source.category
            # Items without a category are one of their own.
            known = np.where(category < 0, category.max() + 1, category)
            return CategoryPopularity(popularity(history, now, half_life=14.0), known)
        if name == "titles":
            if self._source.vectors is None:
                raise _lacks(name, "the items' titles")
            sold = np.bincount(history.item, minlength=len(history.items)) > 0
            return Taste(self._source.vectors, sold)
        raise CatalogError(
            f"There is no channel {name!r}.", way_out=f"Give one of {', '.join(SLATE_CHANNELS)}."
        )


def _lacks(name: str, what: str) -> CatalogError:
    return CatalogError(
        f"The channel {name!r} needs {what}.",
        way_out="Name a catalogue file with --catalog, or leave it out.",
    )
