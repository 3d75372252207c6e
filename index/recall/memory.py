"""What was found for a query or for categories, kept over one state of a catalogue: shoppers ask for the same things."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    from index.built.catalog import Rows
    from index.encoders.encoder import Vectors
    from index.recall.channel import Listed

__all__ = ["Kept", "Memory", "Nearest", "Recent"]

_T = TypeVar("_T")


class Recent(Generic[_T]):
    """The entries used last; safe to share between threads.

    Args:
        most: How many are kept; 0 keeps none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Hashable, _T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> _T | None:
        """The entry, if it is there."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def get_all(self, keys: Sequence[Hashable]) -> list[_T | None]:
        """The entries of many keys, as far as they are there."""
        held = self._held
        with self._lock:
            found = [held.get(key) for key in keys]
            for key, one in zip(keys, found, strict=True):
                if one is not None:
                    held.move_to_end(key)
            return found

    def put(self, key: Hashable, value: _T) -> None:
        """Keep an entry, and forget the one not used for longest where there are too many."""
        with self._lock:
            self._held[key] = value
            if len(self._held) > self._most:
                self._held.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The texts nearest to a query.

    Attributes:
        scores: (k,) similarities, falling.
        texts: (k,) their numbers; -1 where there are no more.
    """

    scores: Vectors
    texts: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Kept:
    """A list as it is for whom nothing is left out.

    Attributes:
        listed: The list; None where there is none.
        looked: (m,) the rows without any of which the list may be another.
    """

    listed: Listed | None
    looked: Rows

    def holds_without(self, excluded: Rows) -> bool:
        """Whether the list is the same for whom these rows, rising, are left out."""
        if not len(excluded) or not len(self.looked):
            return True
        at = np.searchsorted(excluded, self.looked)
        at[at == len(excluded)] = 0
        return not (excluded[at] == self.looked).any()


class Memory:
    """What is kept of one state.

    Args:
        most: Entries of each kind.

    Attributes:
        nearest: By query.
        lists: By channel, query or categories, and what else decides the list.
    """

    def __init__(self, most: int) -> None:
        self.nearest: Recent[Nearest] = Recent(most)
        self.lists: Recent[Kept] = Recent(3 * most)
