"""What the model may write follows the catalogue: titles that came are learnt of, titles that went are forgotten."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.runtime.protocol import WritesTitles

if TYPE_CHECKING:
    from agents.runtime import Runtime
    from index.built.catalog import Catalog
    from stream.judging import HasNow

__all__ = ["TitlesKept", "titles_on_offer"]

log = logging.getLogger(__name__)

# Looking through the catalogue may take one part in so many of a worker's time, and no more.
_SHARE: Final = 20


def titles_on_offer(catalog: Catalog) -> tuple[str, ...]:
    """The short titles of what may be shown now, each once, in the catalogue's order."""
    rows = catalog.offered(np.arange(len(catalog), dtype=np.int64))
    return tuple(dict.fromkeys(catalog.short_title(row) for row in rows.tolist()))


class TitlesKept:
    """Tells a runtime that writes titles of changes in the catalogue; others need not be told.

    Args:
        runtime: the model's.
        recall: its ``now`` is the newest state of the catalogue.
    """

    def __init__(self, runtime: Runtime, recall: HasNow) -> None:
        self._runtime = runtime if isinstance(runtime, WritesTitles) else None
        self._recall = recall
        self._told: object = None
        self._rest_until = 0.0

    async def keep(self) -> bool:
        """Tell the runtime if the catalogue has changed since it was told last; whether it was.

        The work is done beside the model's thread, which goes on answering by the titles it had.
        """
        now = self._recall.now
        if self._runtime is None or now is self._told or time.monotonic() < self._rest_until:
            return False
        began = time.monotonic()
        await asyncio.to_thread(self._tell, now.catalog)
        self._told = now
        took = time.monotonic() - began
        self._rest_until = began + took * _SHARE
        return True

    def _tell(self, catalog: Catalog) -> None:
        if self._runtime is not None:
            self._runtime.offer(titles_on_offer(catalog))
