"""A delta made part of a new version, in a process of its own and without encoding anything again.

`save_delta` writes what a worker knows of a delta; ``python -m index.living.fold HOME FOLDER`` makes the version from the
build that was in force and those changes. If another version was put in force meanwhile, that one counts and nothing is done.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from index.built.catalog import Catalog
from index.built.embeddings import NumberedVectors, open_embeddings, texts_of
from index.errors import CatalogDamagedError, CatalogError, EncoderUnavailableError
from index.items.item import UNCATEGORISED
from index.living.delta import text_of
from index.living.versions import KEPT, Versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from index.built.manifest import EncoderRecord
    from index.encoders.encoder import Vectors
    from index.items.item import Item
    from index.living.delta import Delta
    from index.living.near import NearVectors
    from index.living.versions import Version

__all__ = ["fold", "save_delta"]

_ITEMS, _HEAD, _VECTORS = "items.jsonl", "delta.json", "vectors.npy"


class _Recorded:
    """The encoder by its record: every text of a fold has its vector already."""

    def __init__(self, record: EncoderRecord) -> None:
        self.name, self.dimensions, self.fingerprint = record.name, record.dimensions, record.fingerprint

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Nothing can be encoded here."""
        raise EncoderUnavailableError(
            f"{len(texts)} texts have no vector, the first is {texts[0][:80]!r}.",
            way_out="Publish the catalogue from its file.",
        )


def save_delta(delta: Delta, near: NearVectors, offsets: Mapping[str, int], folder: Path) -> None:
    """Write a delta and the offsets up to which it holds the catalog topic into an empty folder."""
    current = {item.item_id: item for row, item in delta.items.items() if delta.row(item.item_id) == row}
    with (folder / _ITEMS).open("w", encoding="utf-8") as out:
        for item in current.values():
            out.write(_line(item))
    vectors = near.array[: delta.rows]
    np.save(folder / _VECTORS, vectors.astype(np.float16))
    first = len(delta.base)
    head = {
        "build_id": delta.base.manifest.build_id,
        "changes": delta.changes,
        "removed": sorted(delta.removed),
        "sold_out": sorted(delta.sold_out),
        "texts": {text_of(delta.items[first + at]): at for at in range(delta.rows)},
        "offsets": dict(offsets),
    }
    (folder / _HEAD).write_text(json.dumps(head, ensure_ascii=False), encoding="utf-8")


def fold(home: Path, folder: Path, *, keep: int = KEPT, threads: int = 1) -> Version:
    """Publish the catalogue in ``home`` with the delta in ``folder`` in it.

    Raises:
        CatalogError: If another version is in force by now, or it cannot be made. Nothing has then changed.
    """
    try:
        head: dict[str, Any] = json.loads((folder / _HEAD).read_bytes())
        changed: dict[str, Mapping[str, Any]] = {
            row["item_id"]: row for row in map(json.loads, (folder / _ITEMS).open(encoding="utf-8"))
        }
        vectors = np.load(folder / _VECTORS, mmap_mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise CatalogDamagedError(
            f"{folder} holds no whole delta: {error}.", way_out="Fold it again."
        ) from error
    base = Catalog.open(home)
    if base.manifest.build_id != head["build_id"]:
        raise CatalogError(f"{home} was published anew meanwhile.", way_out="Nothing to do.")
    known = NumberedVectors((texts_of(base), open_embeddings(home)), (head["texts"], vectors))
    gone = set(head["removed"])
    source = folder / "folded.jsonl"
    with source.open("w", encoding="utf-8") as out:
        for row in range(len(base)):
            item_id = base.item_id(row)
            if item_id not in gone:
                now = changed.pop(item_id, None)
                out.write(
                    _line(base.item(row)) if now is None else json.dumps(now, ensure_ascii=False) + "\n"
                )
        for item_id, new in changed.items():
            if item_id not in gone:
                out.write(json.dumps(new, ensure_ascii=False) + "\n")
    return Versions(home, keep).publish(
        source,
        _Recorded(base.manifest.encoder),
        note=f"{head['changes']} changes folded in",
        author="nearline",
        offsets=head["offsets"],
        known=known,
        sold_out=[item for item in head["sold_out"] if item not in gone],
        threads=threads,
        based_on=head["build_id"],
    )


def _line(item: Item) -> str:
    fields = item.model_dump(exclude_none=True)
    if fields.get("category") == UNCATEGORISED:
        del fields["category"]
    return json.dumps(fields, ensure_ascii=False) + "\n"


def main() -> None:
    """Fold what the command line names: HOME FOLDER KEEP."""
    try:
        version = fold(Path(sys.argv[1]), Path(sys.argv[2]), keep=int(sys.argv[3]))
    except CatalogError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    sys.stdout.write(f"{version.number}\n")


if __name__ == "__main__":
    main()
