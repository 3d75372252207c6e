"""The knowledge graph as a folder: one file an array, memory-mapped, so that workers on a machine share pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np

from index.built.swap import whole_folder
from index.demand_weights.links import Links
from index.demand_weights.paths import Paths
from index.errors import CatalogDamagedError, CatalogMissingError

if TYPE_CHECKING:
    from pathlib import Path

    from index.demand_weights.paths import PathSettings

__all__ = ["open_paths", "save_paths"]

_HEAD: Final = "paths.json"
_SCHEMA: Final = 1
_ARRAYS: Final = ("starts", "nodes", "chances")


def save_paths(paths: Paths, directory: Path, build_id: str) -> None:
    """Write the graph beside its folder and put it there whole.

    Args:
        paths: The graph.
        directory: The folder; what is there is replaced.
        build_id: The build of the catalogue whose rows it is over.
    """
    with whole_folder(directory) as beside:
        for part in _ARRAYS:
            np.save(beside / f"{part}.npy", getattr(paths.links, part))
        head = {
            "schema": _SCHEMA,
            "build_id": build_id,
            "items": len(paths),
            "edges": len(paths.links.nodes),
            "nodes": paths.counts,
        }
        (beside / _HEAD).write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")


def open_paths(directory: Path, build_id: str, settings: PathSettings | None = None) -> Paths:
    """Open what `save_paths` wrote, memory-mapped.

    Args:
        directory: The folder.
        build_id: The build of the catalogue in force.
        settings: The paths' weights; the defaults if None.

    Raises:
        CatalogMissingError: If there is no graph.
        CatalogDamagedError: If it is over another build's rows, or a file is missing, cut short or does not fit.
    """
    again = "Build the graph again."
    try:
        head = json.loads((directory / _HEAD).read_bytes())
        if head["schema"] != _SCHEMA or head["build_id"] != build_id:
            raise CatalogDamagedError(f"{directory} is the graph of another build.", way_out=again)
        starts, nodes, chances = (np.load(directory / f"{part}.npy", mmap_mode="r") for part in _ARRAYS)
        counts = {str(name): int(count) for name, count in head["nodes"].items()}
        if (len(starts) - 1, int(starts[-1])) != (head["items"], head["edges"]) or not (
            len(nodes) == len(chances) == head["edges"]
        ):
            raise CatalogDamagedError(f"{directory}: the arrays do not fit one another.", way_out=again)
    except FileNotFoundError as error:
        if not (directory / _HEAD).exists():
            raise CatalogMissingError(f"There is no graph in {directory}.", way_out=again) from error
        raise CatalogDamagedError(f"{error.filename} is missing.", way_out=again) from error
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise CatalogDamagedError(f"{directory} holds no readable graph ({error}).", way_out=again) from error
    return Paths.over(Links(starts, nodes, chances, sum(counts.values())), counts, settings)
