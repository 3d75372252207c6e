"""Building a catalogue: a file of items in, a folder with item table, vector index and manifest out.

The folder is written beside its final place and swapped in when it is whole, so a build that fails or is
killed leaves the last good catalogue as it was.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from index.built.catalog import BUILD_KEY
from index.built.embeddings import KnownVectors, kept_vectors
from index.built.manifest import (
    EMBEDDINGS,
    ITEMS,
    MANIFEST,
    REJECTS,
    SOLD_OUT,
    VECTORS,
    EncoderRecord,
    FileRecord,
    IndexRecord,
    Manifest,
    file_sha256,
)
from index.built.swap import whole_folder
from index.encoders.fingerprint import same_encoder
from index.errors import CatalogError, EncoderUnavailableError
from index.items.columns import Columns
from index.items.intake import Intake, Progress, Reject, take_in
from index.items.reader import source_kind
from index.items.titles import TITLE_RULE, short_title
from index.nearest.vectors import VectorIndex
from index.recall.beside import write_beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from index.built.manifest import Published
    from index.encoders.encoder import Encoder, Vectors
    from index.nearest.choice import IndexChoice

__all__ = ["BuildReport", "Progress", "Reject", "build_catalog", "is_current"]

_CHUNK: Final = 512
_RULES: Final = f"items 1, titles {TITLE_RULE}"


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        out: The catalogue's folder.
        manifest: What was written there.
        rejects: The first 1,000 rejected records; all of them are in ``rejects.jsonl``.
        seconds: Duration of each stage: ``read``, ``encode``, ``index``, ``words``.
    """

    out: Path
    manifest: Manifest
    rejects: tuple[Reject, ...]
    seconds: dict[str, float]


def build_catalog(
    source: Path,
    out: Path,
    encoder: Encoder,
    *,
    columns: Columns | None = None,
    popularity: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    threads: int = 1,
    choice: IndexChoice | None = None,
    known: KnownVectors | None = None,
    before: Path | None = None,
    published: Published | None = None,
    sold_out: Sequence[str] = (),
) -> BuildReport:
    """Build a catalogue and put it in place.

    Args:
        source: The file of items (see `index.items.reader`).
        out: The folder to write; replaced if it holds a catalogue.
        encoder: Makes the items' vectors, each different text once.
        columns: The file's column names.
        popularity: How popular items are, by id; wins over the file's own column.
        progress: Told how far it is.
        threads: CPU threads for building the index.
        choice: The type of index; unless given, that of the catalogue before if it was measured on about as many texts,
            else by the number of texts.
        known: Vectors of texts that need not be encoded again; without them, those of the catalogue before.
        before: Folder of the catalogue that this one follows; ``out`` if not given.
        published: What to record of the version, if it is one.
        sold_out: Ids of items that are known and not offered for now.

    Raises:
        CatalogSourceError: If the source cannot be read or holds no valid item.
        EncoderUnavailableError: If the encoder fails.
        CatalogError: If ``out`` cannot be written, or is a folder of something else.
    """
    columns = columns or Columns()
    told: Progress = progress or (lambda stage, done, total: None)  # noqa: ARG005 - the protocol names them
    source_kind(source)
    seconds: dict[str, float] = {}
    with _workspace(out) as space:
        started = time.perf_counter()
        identity = _identity(source, columns, popularity)
        taken = take_in(source, columns, popularity or {}, space / REJECTS, told)
        seconds["read"] = time.perf_counter() - started

        started = time.perf_counter()
        known = known or kept_vectors(before or out, encoder)
        vectors = _encode(list(taken.texts), encoder, known, told)
        np.save(space / EMBEDDINGS, vectors.astype(np.float16))
        seconds["encode"] = time.perf_counter() - started

        started = time.perf_counter()
        told("index", 0, len(vectors))
        index = VectorIndex.build(
            vectors,
            choice or _inherited(before or out, len(vectors)),
            threads=threads,
            told=lambda done: told("index", done, len(vectors)),
        )
        index.save(space / VECTORS)
        seconds["index"] = time.perf_counter() - started

        build_id = uuid.uuid4().hex
        _write_items(taken, space / ITEMS, build_id)
        (space / SOLD_OUT).write_text(json.dumps(sorted(sold_out), ensure_ascii=False), encoding="utf-8")
        started = time.perf_counter()
        aside = write_beside(taken.items, space, build_id, before or out)
        seconds["words"] = time.perf_counter() - started
        manifest = Manifest(
            build_id=build_id,
            built_at=datetime.now(UTC),
            source=source.name,
            source_sha256=identity,
            items=len(taken.items),
            texts=len(taken.texts),
            rejected=taken.reasons.total(),
            reasons=dict(taken.reasons.most_common()),
            encoder=EncoderRecord(
                name=encoder.name, dimensions=encoder.dimensions, fingerprint=encoder.fingerprint
            ),
            index=IndexRecord(kind=index.kind, vectors=len(index), choice=index.choice),
            published=published,
            files={
                name: FileRecord(size=(space / name).stat().st_size, sha256=file_sha256(space / name))
                for name in (ITEMS, VECTORS, REJECTS, EMBEDDINGS, SOLD_OUT, *aside)
            },
        )
        (space / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return BuildReport(out, manifest, tuple(taken.rejects), seconds)


def is_current(
    out: Path,
    source: Path,
    fingerprint: str,
    *,
    columns: Columns | None = None,
    popularity: Mapping[str, float] | None = None,
) -> bool:
    """Whether ``out`` holds, whole by the sizes of its files, what `build_catalog` would write now.

    ``fingerprint`` is the encoder's; `index.settings.encoder_fingerprint` tells it without loading a model.

    Raises:
        CatalogSourceError: If the source cannot be read.
    """
    source_kind(source)
    try:
        manifest = Manifest.load(out)
        for name in manifest.files:
            manifest.check(out, name)
    except CatalogError:
        return False
    return same_encoder(manifest.encoder.fingerprint, fingerprint) and manifest.source_sha256 == _identity(
        source, columns or Columns(), popularity
    )


def _encode(texts: list[str], encoder: Encoder, known: KnownVectors | None, told: Progress) -> Vectors:
    vectors = np.empty((len(texts), encoder.dimensions), dtype=np.float32)
    missing = range(len(texts)) if known is None else known.fill(texts, vectors)
    # Long texts first, so that a chunk holds texts of one length and little of it is padding.
    order = sorted(missing, key=lambda at: -len(texts[at]))
    done = len(texts) - len(order)
    told("encode", done, len(texts))
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        vectors[chunk] = encoder.encode([texts[at] for at in chunk])
        told("encode", min(done + start + _CHUNK, len(texts)), len(texts))
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1) | (np.abs(vectors).max(axis=1, initial=0) == 0))
    if len(broken):
        raise EncoderUnavailableError(
            f"The encoder {encoder.name} gave {len(broken)} vectors that are zero or no numbers, the first for"
            f" {texts[broken[0]][:80]!r}.",
            way_out="Run another model, or this one in a wider number format; nothing was replaced.",
        )
    return vectors


def _inherited(out: Path, texts: int) -> IndexChoice | None:
    """The type of index that was measured for the catalogue in ``out``, if it holds for so many texts."""
    try:
        choice = Manifest.load(out).index.choice
    except CatalogError:
        return None
    return choice if choice.texts and choice.fits(texts) else None


def _write_items(taken: Intake, path: Path, build_id: str) -> None:
    items = taken.items
    table = pa.table(
        {
            "item_id": pa.array([item.item_id for item in items], pa.large_string()),
            "title": pa.array([item.title for item in items], pa.large_string()),
            "short_title": pa.array([short_title(item.title) for item in items], pa.large_string()),
            "category": pa.array([item.category for item in items], pa.string()).dictionary_encode(),
            # Numbers have no nulls, so that they are read in place: an unknown price is a NaN.
            "price": pa.array([np.nan if item.price is None else item.price for item in items], pa.float64()),
            "brand": pa.array([item.brand for item in items], pa.large_string()),
            "popularity": pa.array([item.popularity or 0.0 for item in items], pa.float64()),
            "attributes": pa.array(
                [
                    json.dumps(item.attributes, ensure_ascii=False) if item.attributes else None
                    for item in items
                ],
                pa.large_string(),
            ),
            "text": pa.array(taken.text_of, pa.int32()),
        }
    ).replace_schema_metadata({BUILD_KEY: build_id})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(1, len(items)))


def _identity(source: Path, columns: Columns, popularity: Mapping[str, float] | None) -> str:
    """SHA-256 over all that decides the items: the file, how it is read, and the rules applied."""
    parts = [
        file_sha256(source),
        columns.model_dump_json(),
        _RULES,
        json.dumps(sorted((popularity or {}).items())),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@contextmanager
def _workspace(out: Path) -> Iterator[Path]:
    """A folder that takes the place of ``out`` when it is filled."""
    if out.exists() and not (out / MANIFEST).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise CatalogError(
            f"{out} is not a catalogue and would be lost.", way_out="Name an empty or new folder."
        )
    try:
        with whole_folder(out) as space:
            yield space
    except OSError as error:
        raise CatalogError(
            f"The catalogue {out} cannot be written: {error}.", way_out="Check disk and permissions."
        ) from error
