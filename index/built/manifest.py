"""``manifest.json``: what a built catalogue is made of, and the check that it is whole."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from index.errors import CatalogDamagedError, CatalogMissingError
from index.nearest.choice import IndexChoice, Kind

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "MANIFEST",
    "SCHEMA_VERSION",
    "EncoderRecord",
    "FileRecord",
    "IndexRecord",
    "Manifest",
    "Published",
    "file_sha256",
    "manifest_mark",
]

MANIFEST: Final = "manifest.json"
ITEMS: Final = "items.arrow"
VECTORS: Final = "vectors.faiss"
REJECTS: Final = "rejects.jsonl"
EMBEDDINGS: Final = "embeddings.npy"
SOLD_OUT: Final = "sold_out.json"

SCHEMA_VERSION: Final = 1
"""Version of the folder's layout; readers refuse any other."""

_GRAPH: Final = IndexChoice(factory="HNSW32", breadth=256)
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

    kind: Kind = Field(description="flat is exact; hnsw is a graph and ivf has cells, for large catalogues.")
    vectors: int = Field(description="Vectors in it: one for each different text.")
    choice: IndexChoice = Field(description="Its type in full, and how broadly it is searched.")

    @model_validator(mode="before")
    @classmethod
    def _from_kind(cls, data: Any) -> Any:
        """Folders built before types were chosen by measurement name only the kind."""
        if isinstance(data, dict) and "choice" not in data:
            return {**data, "choice": _GRAPH if data.get("kind") == "hnsw" else IndexChoice(factory="Flat")}
        return data


class Published(_Part):
    """What is known of a version that was published."""

    number: int = Field(ge=1, description="Number of the version, from 1.")
    at: datetime
    note: str = Field(default="", description="Why, in the words of whoever published it.")
    author: str = ""
    offsets: dict[str, int] = Field(
        default_factory=dict,
        description="For each `TOPIC:PARTITION` of the catalog topic the first change that is not in it.",
    )


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
    published: Published | None = Field(default=None, description="None where it was only built.")

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


def manifest_mark(directory: Path) -> tuple[int, int, int] | None:
    """What tells the manifest that is in a folder now from one that replaces it; None while there is none."""
    try:
        found = (directory / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
