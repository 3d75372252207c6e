"""The spelling of a catalogue that changes: which words it has, and what a search that has none of them means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.spelling import Spelling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.settings import AgentSettings
    from index.built.catalog import Catalog
    from stream.judging import HasNow

__all__ = ["LivingSpelling", "living_spelling"]


class LivingSpelling:
    """Mends searches by the words of a catalogue as it was when `refresh` was last called.

    Words are learnt once a build (a second for a hundred thousand items), and then of the items that came since; words of
    items that went stay known until the next build.
    """

    def __init__(self, recall: HasNow) -> None:
        """Learn the words of the catalogue behind ``recall``, whose ``now`` is its newest state."""
        self._recall = recall
        self._build = ""
        self._rows = 0
        self._spelling = Spelling()
        self.refresh()

    def follow(self, recall: HasNow) -> None:
        """Go by another catalogue from now on: the living one, once it is there."""
        self._recall = recall

    @property
    def stale(self) -> bool:
        """Whether there is something to learn."""
        catalog = self._recall.now.catalog
        return (catalog.manifest.build_id, len(catalog)) != (self._build, self._rows)

    def refresh(self) -> None:
        """Learn what has changed; to be called from one thread at a time, while others mend."""
        catalog = self._recall.now.catalog
        build, rows = catalog.manifest.build_id, len(catalog)
        if build != self._build:
            self._spelling = Spelling(_texts(catalog, 0, rows))
        elif rows > self._rows:
            self._spelling.add(_texts(catalog, self._rows, rows))
        self._build, self._rows = build, rows

    def mend(self, search: str) -> str | None:
        """As `agents.spelling.Spelling.mend`."""
        return self._spelling.mend(search)


def living_spelling(settings: AgentSettings, recall: HasNow) -> LivingSpelling | None:
    """The spelling of a catalogue; None where the settings have searches left as they are, or made no demands."""
    return LivingSpelling(recall) if settings.mend and settings.explicit else None


def _texts(catalog: Catalog, start: int, stop: int) -> Iterator[str]:
    if start == 0:
        yield from catalog.categories
    for row in range(start, stop):
        yield catalog.title(row)
        if brand := catalog.brand(row):
            yield brand
