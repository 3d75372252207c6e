"""The part of the knowledge graph that a catalogue gives: categories, and factors out of titles and brands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import Stemmer

from index.channels.lexical import words
from index.demand_weights.paths import Paths

if TYPE_CHECKING:
    from index.built.catalog import Catalog
    from index.demand_weights.links import Links
    from index.demand_weights.paths import PathSettings

__all__ = ["catalog_paths", "factors"]

_LANGUAGE: Final = "english"


def factors(title: str, brand: str | None = None, *, stemmer: Any = None) -> tuple[str, ...]:
    """What may decide for an item: the stems of its title's words, each once, and its brand.

    Words without a letter, such as sizes and model numbers, are left out.

    >>> factors("RED RETROSPOT CAKE STAND 2", "Acme")
    ('red', 'retrospot', 'cake', 'stand', 'brand acme')
    """
    found = words(title, stemmer or Stemmer.Stemmer(_LANGUAGE))
    named = [word for word in found if any(char.isalpha() for char in word)]
    if brand:
        named.append(f"brand {brand.casefold()}")
    return tuple(dict.fromkeys(named))


def catalog_paths(
    catalog: Catalog,
    *,
    bought: Links | None = None,
    searched: Links | None = None,
    settings: PathSettings | None = None,
) -> Paths:
    """The graph over a catalogue's rows; see `Paths.build` for the arguments.

    Raises:
        CatalogError: As `Paths.of`.
    """
    stemmer = Stemmer.Stemmer(_LANGUAGE)
    rows = range(len(catalog))
    return Paths.build(
        [catalog.named_category(row) for row in rows],
        [factors(catalog.title(row), catalog.brand(row), stemmer=stemmer) for row in rows],
        bought=bought,
        searched=searched,
        settings=settings,
    )
