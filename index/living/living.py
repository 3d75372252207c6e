"""Recall over a catalogue that changes: changes in, a recall over the newest state out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from index.living.added import AddedRows
from index.living.catalog import LiveCatalog
from index.living.delta import Delta, apply
from index.living.near import NearVectors
from index.living.vectors import LiveVectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.living.changes import Change
    from index.recall import Recall

__all__ = ["LivingRecall"]

_ENCODED: Final = 16
"""Texts encoded at one time: shoppers' queries wait for one such call at most."""


class LivingRecall:
    """Applies changes to a recall over a build.

    Whoever serves asks for `now` once for each batch: that recall does not change under them.

    Args:
        built: Recall over the build.
    """

    def __init__(self, built: Recall) -> None:
        self._built = built
        self.delta = Delta.empty(built.catalog)
        self.near = NearVectors(built.vectors.dimensions)
        self._added = AddedRows(built.catalog)
        self._writing = threading.Lock()
        self.unknown = 0
        self.now = self._recall()

    @property
    def version(self) -> int | None:
        """The number of the version it began from; None for a catalogue that was only built."""
        published = self._built.catalog.manifest.published
        return published.number if published else None

    def apply(self, changes: Sequence[Change]) -> list[int]:
        """Apply changes in their order; when it returns, they count for every recall asked for from then on.

        Returns:
            Places in ``changes`` of prices, stocks and removals of items that nobody knows; they have no effect.

        Raises:
            EncoderUnavailableError: If the encoder fails; nothing of this call has then been applied, and it may be
                repeated.
        """
        if not changes:
            return []
        with self._writing:
            planned = apply(self.delta, changes)
            encoded = [
                self._built.encoder.encode(planned.texts[start : start + _ENCODED])
                for start in range(0, len(planned.texts), _ENCODED)
            ]
            for vectors in encoded:
                self.near.add(vectors)
            self.delta = planned.delta
            self.now = self._recall()
            self.unknown += len(planned.unknown)
        return planned.unknown

    def settle(self) -> None:
        """Tidy up a little after changes, in the caller's time; call it again when there is nothing else to do."""
        self.near.settle()

    def _recall(self) -> Recall:
        return self._built.over(
            LiveCatalog(self.delta, self._added), LiveVectors(self._built.vectors, self.near, self.delta)
        )
