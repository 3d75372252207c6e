"""The catalogue as the page sees it: titles and categories, where the console has one; opened once, and anew if swapped."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from agents.factors import Described, mine
from index.built.catalog import Catalog
from index.built.first_seen import open_days, today
from index.errors import CatalogError
from stream.simulate.cost import NoTitles

if TYPE_CHECKING:
    from pathlib import Path

    from agents.factors import Lexicon
    from index.built.first_seen import Days
    from stream.infer.shopper import Titles

__all__ = ["Known", "OpenCatalog"]

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 30.0
_MOST_DESCRIBED = 30_000
_NEW_DAYS = 30


class Known(NamedTuple):
    """What is known of an item; empty where the catalogue does not have it."""

    title: str
    category: str
    new: bool


class OpenCatalog:
    """The catalogue in ``folder``. Where there is none, items have no words, and the pages say so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._catalog: Catalog | None = None
        self._days: Days | None = None
        self._lexicon: Lexicon | None = None
        self._looked = 0.0
        self._mining = asyncio.Lock()
        self.problem = ""

    async def look(self) -> None:
        """Open the catalogue, and open it anew once another build is in its place."""
        if self._looked and time.monotonic() - self._looked < _LOOK_AGAIN_S:
            return
        self._looked = time.monotonic()
        await asyncio.to_thread(self._open)

    @property
    def titles(self) -> Titles:
        """Titles by item."""
        return self._catalog or NoTitles()

    @property
    def build(self) -> str:
        """Which build it is; empty without one."""
        return self._catalog.manifest.build_id if self._catalog else ""

    def __len__(self) -> int:
        return len(self._catalog) if self._catalog else 0

    def known(self, item: str) -> Known:
        """What is known of an item."""
        catalog = self._catalog
        row = catalog.row(item) if catalog is not None else None
        if catalog is None or row is None:
            return Known("", "", new=False)
        days = self._days
        new = days is not None and int(days[row]) > today() - _NEW_DAYS
        return Known(catalog.title(row), catalog.category(row), new)

    async def lexicon(self) -> Lexicon | None:
        """The shop's decision factors, mined when first asked for; None without a catalogue."""
        if self._lexicon is None and self._catalog is not None:
            async with self._mining:
                if self._lexicon is None:
                    self._lexicon = await asyncio.to_thread(_mined, self._catalog)
        return self._lexicon

    def _open(self) -> None:
        try:
            if self._catalog is None or not _is_of(self._catalog, self._folder):
                self._catalog = Catalog.open(self._folder)
                self._days = open_days(self._folder)
                self._lexicon = None
            self.problem = ""
        except CatalogError as error:
            if not self.problem:
                log.warning("titles are not shown: %s", error)
            self.problem = str(error)


def _is_of(catalog: Catalog, folder: Path) -> bool:
    return type(catalog.manifest).load(folder).build_id == catalog.manifest.build_id


def _mined(catalog: Catalog) -> Lexicon:
    """The lexicon of a catalogue's first items: enough to say what words are for."""
    return mine(
        Described(catalog.title(row), catalog.category(row), catalog.brand(row) or "")
        for row in range(min(len(catalog), _MOST_DESCRIBED))
    )
