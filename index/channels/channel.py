"""What a recall channel is: it declares what it needs, answers batches with scored lists, and its cost is measured.

There are two kinds, by what they are asked with. A `ShopperChannel` answers what shoppers bought (behaviour,
popularity, habits); a `QueryChannel` answers words (lexical, dense and their fusion).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from index.channels.purchases import Histories

_T = TypeVar("_T")

__all__ = ["Need", "QueryChannel", "Scored", "Scores", "ShopperChannel", "Timed", "best"]

Scores = npt.NDArray[np.float32]

Need = Literal["purchases", "titles", "categories", "encoder", "catalog"]
"""What a channel is made from: a purchase log, items' titles, their categories, an encoder, a built catalogue."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The lists of a batch, best first.

    Attributes:
        rows: (n, depth) the items' numbers; -1 where a list has ended.
        scores: (n, depth) their scores, falling, larger is better; -inf where a list has ended.
    """

    rows: npt.NDArray[np.int64]
    scores: Scores


class ShopperChannel(Protocol):
    """Scores items for shoppers by what they bought.

    Attributes:
        name: What the channel is called in reports and explanations.
        needs: What it is made from.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above

    @property
    def needs(self) -> frozenset[Need]: ...  # noqa: D102 - as above

    def score(self, shoppers: Histories) -> Scores:
        """(shoppers, items): the score of every item for every shopper; -inf for an item that cannot be offered."""
        ...


class QueryChannel(Protocol):
    """Finds items for queries in words; attributes as in `ShopperChannel`."""

    @property
    def name(self) -> str: ...  # noqa: D102 - described above

    @property
    def needs(self) -> frozenset[Need]: ...  # noqa: D102 - as above

    def answer(self, queries: Sequence[str], depth: int) -> Scored:
        """The ``depth`` best items of each query; a list ends where nothing else matches."""
        ...


def best(scores: Scores, depth: int, excluded: npt.NDArray[np.bool_] | None = None) -> Scored:
    """The ``depth`` best columns of each row of ``scores`` (n, items), ties by the item's number.

    Args:
        scores: What to choose by; -inf is never chosen.
        depth: Length of a list at most.
        excluded: (n, items) items to pass over.
    """
    allowed = scores if excluded is None else np.where(excluded, -np.inf, scores)
    depth = min(depth, allowed.shape[1])
    if depth < allowed.shape[1]:
        # A partial sort, and every column that ties with the last one, or ties would go by chance.
        edge = -np.partition(-allowed, depth - 1, axis=1)[:, depth - 1 : depth]
        above = np.where(allowed >= edge, allowed, -np.inf)
    else:
        above = allowed
    order = np.argsort(-above, axis=1, kind="stable")[:, :depth]
    found = np.take_along_axis(above, order, axis=1)
    ended = ~np.isfinite(found)
    return Scored(np.where(ended, -1, order), found.astype(np.float32))


@dataclass(slots=True)
class Timed:
    """Measures what calls cost.

    Attributes:
        calls: (k,) milliseconds of each call.
        asked: How many shoppers or queries were answered in all.
    """

    calls: list[float]
    asked: int = 0

    @classmethod
    def new(cls) -> Timed:
        """Nothing measured yet."""
        return cls([])

    def run(self, work: Callable[[], _T], asked: int) -> _T:
        """Do the work and note what it took."""
        started = time.perf_counter()
        result = work()
        self.calls.append((time.perf_counter() - started) * 1e3)
        self.asked += asked
        return result

    @property
    def ms_each(self) -> float:
        """Milliseconds for one shopper or query, on average; 0 before the first call."""
        return sum(self.calls) / self.asked if self.asked else 0.0
