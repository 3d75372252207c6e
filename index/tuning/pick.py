"""The choice, and writing it into a catalogue."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from index.built.manifest import MANIFEST, VECTORS, FileRecord, IndexRecord, Manifest, file_sha256
from index.built.swap import whole_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from index.nearest.choice import IndexChoice
    from index.tuning.measure import Measured

__all__ = ["adopt", "pick"]


def pick(
    measured: Sequence[Measured], recall: float, *, most_ms: float | None = None, most_mb: float | None = None
) -> Measured | None:
    """The one with the least CPU time at the median that reaches the recall within the limits; of those within a twentieth the smallest.

    Args:
        measured: What was measured.
        recall: The least recall.
        most_ms: The longest p99 of a call, by the clock.
        most_mb: The largest size.
    """
    good = [
        one
        for one in measured
        if not one.problem
        and one.recall >= recall
        and (most_ms is None or one.p99_ms <= most_ms)
        and (most_mb is None or one.mb <= most_mb)
    ]
    if not good:
        return None
    least = 1.05 * min(one.cpu_p50_ms for one in good)
    return min((one for one in good if one.cpu_p50_ms <= least), key=lambda one: (one.mb, one.cpu_p50_ms))


def adopt(catalog: Path, choice: IndexChoice, index: Path) -> None:
    """Put a built index in the place of a catalogue's own, and the choice into its manifest.

    The folder is exchanged whole, as by a publication: running workers take it up.

    Args:
        catalog: The catalogue's folder.
        choice: What the index is; builds that follow use it too.
        index: The index's file, over the catalogue's vectors in their order.

    Raises:
        CatalogError: If the catalogue is damaged.
    """
    manifest = Manifest.load(catalog)
    with whole_folder(catalog) as space:
        for name in manifest.files:
            if name != VECTORS:
                os.link(manifest.check(catalog, name), space / name)
        shutil.copyfile(index, space / VECTORS)
        files = manifest.files | {
            VECTORS: FileRecord(size=index.stat().st_size, sha256=file_sha256(space / VECTORS))
        }
        record = IndexRecord(kind=choice.kind, vectors=manifest.index.vectors, choice=choice)
        tuned = manifest.model_copy(update={"index": record, "files": files})
        (space / MANIFEST).write_text(tuned.model_dump_json(indent=2) + "\n", encoding="utf-8")
