"""What lies in the folders beside items and vectors: written by a build, opened once by who serves.

=====================  ===========================================  =================================================
in the folder          what                                         without it
=====================  ===========================================  =================================================
of the catalogue       ``postings-*``, the words                    the channel ``lexical`` is absent
..                     ``paths.json`` and three arrays, the graph   demands are weighed without it
..                     ``first_seen.npy``, when the shop had items  new is only what came after the build
..                     ``embeddings.npy``, the texts' vectors       likeness between items is unknown
`index.ranking`        ``neighbours.npz``, what goes together       the channel ``behaviour`` is absent
..                     ``ranker-live.json``, the live ranker        the coarse score orders the slate
=====================  ===========================================  =================================================

A file that is there and cannot be read is an error; one that is missing is said once, in the log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import Stemmer

from index.built.embeddings import open_embeddings
from index.built.first_seen import FIRST_SEEN, days_after, open_days, today
from index.built.manifest import EMBEDDINGS
from index.channels.behaviour import Neighbours
from index.channels.postings import PARTS, catalog_fields, open_lexical, save_lexical
from index.demand_weights.catalog_graph import factors
from index.demand_weights.paths import Paths
from index.demand_weights.store import open_paths, save_paths
from index.errors import CatalogError
from index.items.item import UNCATEGORISED
from index.ranking.live_ranker import LIVE_RANKER, LiveRanker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from index.built.first_seen import Days
    from index.built.manifest import Manifest
    from index.channels.lexical import Lexical
    from index.items.item import Item

__all__ = ["Beside", "open_beside", "write_beside"]

log = logging.getLogger(__name__)

NEIGHBOURS: Final = "neighbours.npz"
_PATHS: Final = "paths.json"
_GRAPH: Final = (_PATHS, "starts.npy", "nodes.npy", "chances.npy")


@dataclass(frozen=True, slots=True)
class Beside:
    """What was there; None for what was not.

    Attributes:
        lexical: The words.
        paths: The knowledge graph.
        days: When the shop first had each item.
        embeddings: (texts, d) in half precision, memory-mapped.
        neighbours: What goes together, and the items' ids by its numbers.
        ranker: The live ranker.
        blocked: Ids never to be shown.
    """

    lexical: Lexical | None = None
    paths: Paths | None = None
    days: Days | None = None
    embeddings: Any = None
    neighbours: tuple[Neighbours, tuple[str, ...]] | None = None
    ranker: LiveRanker | None = None
    blocked: frozenset[str] = frozenset()


def write_beside(items: Sequence[Item], space: Path, build_id: str, before: Path) -> list[str]:
    """Write the catalogue's part for these items into a folder being built; return the names of the files.

    Args:
        items: In the order of their rows.
        space: The folder.
        build_id: Of the build.
        before: Folder of the catalogue that this one follows, where there is one.
    """
    named = [item.category if item.category != UNCATEGORISED else "" for item in items]
    save_lexical(
        catalog_fields(
            [item.title for item in items],
            [item.brand for item in items],
            named,
            [item.attributes for item in items],
        ),
        space,
    )
    np.save(space / FIRST_SEEN, days_after(before, [item.item_id for item in items], today()))
    stemmer = Stemmer.Stemmer("english")
    graph = Paths.build(
        [name or None for name in named],
        [factors(item.title, item.brand, stemmer=stemmer) for item in items],
    )
    # A catalogue's folder has no folders in it: versions are made of links to its files.
    save_paths(graph, space / "graph", build_id)
    for name in _GRAPH:
        (space / "graph" / name).rename(space / name)
    (space / "graph").rmdir()
    return [*PARTS, FIRST_SEEN, *_GRAPH]


def open_beside(
    directory: Path,
    manifest: Manifest,
    *,
    ranking: Path | None = None,
    blocked: Path | None = None,
    verify: bool = False,
) -> Beside:
    """Open what is there.

    Args:
        directory: The catalogue's folder.
        manifest: What is in it.
        ranking: The folder that `nearline rank train` wrote; None without.
        blocked: File of ids never to be shown.
        verify: Compare the files' SHA-256 too.

    Raises:
        CatalogDamagedError: If a file that should be there is missing, cut short or altered.
        CatalogError: If ``ranking`` or ``blocked`` is named and not there.
    """
    files = manifest.files
    for name in files:
        if name in PARTS or name in _GRAPH:
            manifest.check(directory, name, verify=verify)
    lexical = open_lexical(directory, manifest.items) if PARTS[0] in files else None
    paths = open_paths(directory, manifest.build_id) if _PATHS in files else None
    embeddings = open_embeddings(directory) if EMBEDDINGS in files else None
    if lexical is None or paths is None:
        log.warning(
            "%s was built before words and paths were kept: demands are answered by meaning alone. Build it again.",
            directory,
        )
    neighbours, ranker = _learnt(ranking)
    return Beside(lexical, paths, open_days(directory), embeddings, neighbours, ranker, _ids(blocked))


def _learnt(folder: Path | None) -> tuple[tuple[Neighbours, tuple[str, ...]] | None, LiveRanker | None]:
    if folder is None:
        log.info("index.ranking is not set: slates are made without what goes together")
        return None, None
    if not folder.is_dir():
        raise CatalogError(
            f"index.ranking names {folder}, and there is no such folder.",
            way_out="Train it with `nearline rank train`, or take the setting out.",
        )
    together = folder / NEIGHBOURS
    neighbours = Neighbours.load(together) if together.is_file() else None
    ranker = LiveRanker.load(folder / LIVE_RANKER) if (folder / LIVE_RANKER).is_file() else None
    for there, name in ((neighbours, NEIGHBOURS), (ranker, LIVE_RANKER)):
        if there is None:
            log.info("%s has no %s: slates are made without it", folder, name)
    return neighbours, ranker


def _ids(path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(
            f"The blocked items in {path} cannot be read ({error}).",
            way_out="Give a text file in UTF-8 with an id on each line.",
        ) from error
    return frozenset(line.strip() for line in lines if line.strip())
