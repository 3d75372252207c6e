"""``manifest.json``: what a built catalogue is made of, and the check that it is whole."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.errors import CatalogDamagedError, CatalogMissingError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "MANIFEST",
    "SCHEMA_VERSION",
    "EncoderRecord",
    "FileRecord",
    "IndexRecord",
    "Manifest",
    "file_sha256",
]

MANIFEST: Final = "manifest.json"
ITEMS: Final = "items.arrow"
VECTORS: Final = "vectors.faiss"
REJECTS: Final = "rejects.jsonl"

SCHEMA_VERSION: Final = 1
"""Version of the folder's layout; readers refuse any other."""

_WAY_OUT: Final = "Build it again with `nearline catalog build`."


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class FileRecord(_Part):
    """One file of the folder."""

    size: int = Field(description="Bytes.")
    sha256: str


class EncoderRecord(_Part):
    """The encoder that made the vectors."""

    name: str
    dimensions: int
    fingerprint: str


class IndexRecord(_Part):
    """The vector index."""

    kind: Literal["flat", "hnsw"] = Field(description="flat is exact; hnsw is a graph, for large catalogues.")
    vectors: int = Field(description="Vectors in it: one for each different text.")


class Manifest(_Part):
    """All that is known of a built catalogue without opening its other files."""

    schema_version: int = SCHEMA_VERSION
    build_id: str = Field(description="Different for every build; the item table carries it too.")
    built_at: datetime
    source: str = Field(description="Name of the file it was built from.")
    source_sha256: str = Field(description="Over the source, the columns read and the rules applied.")
    items: int
    texts: int = Field(description="Different texts among the items; each was encoded once.")
    rejected: int
    reasons: dict[str, int] = Field(description="Rejected records by field and reason.")
    encoder: EncoderRecord
    index: IndexRecord
    files: dict[str, FileRecord]

    @classmethod
    def load(cls, directory: Path) -> Manifest:
        """Read the manifest of a folder.

        Raises:
            CatalogMissingError: If there is no catalogue in the folder.
            CatalogDamagedError: If the manifest is broken or of another version.
        """
        path = directory / MANIFEST
        try:
            manifest = cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CatalogMissingError(f"There is no catalogue in {directory}.", way_out=_WAY_OUT) from error
        except (OSError, ValidationError) as error:
            raise CatalogDamagedError(
                f"{path} is no readable manifest: {_first_line(error)}", way_out=_WAY_OUT
            ) from error
        if manifest.schema_version != SCHEMA_VERSION:
            raise CatalogDamagedError(
                f"{path} has version {manifest.schema_version} of the layout; this Nearline reads version {SCHEMA_VERSION}.",
                way_out=_WAY_OUT,
            )
        return manifest

    def check(self, directory: Path, name: str, *, verify: bool = False) -> Path:
        """The path of one file of the folder, after comparing its size with the record.

        Args:
            directory: The catalogue's folder.
            name: The file's name in it.
            verify: Compare the SHA-256 too, which reads the whole file.

        Raises:
            CatalogDamagedError: If the file is missing, cut short or altered.
        """
        path = directory / name
        record = self.files.get(name)
        if record is None or not path.is_file():
            raise CatalogDamagedError(f"The catalogue in {directory} lacks {name}.", way_out=_WAY_OUT)
        size = path.stat().st_size
        if size != record.size:
            raise CatalogDamagedError(
                f"{path} has {size} bytes where {record.size} were written.", way_out=_WAY_OUT
            )
        if verify and file_sha256(path) != record.sha256:
            raise CatalogDamagedError(
                f"{path} was altered: its SHA-256 is not the recorded one.", way_out=_WAY_OUT
            )
        return path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
