"""The index: from a catalogue file to candidates for a query.

    file ── reader ── intake (item, columns, cleaning, titles) ── build ──▶ folder
                                                                             │  items.arrow, vectors.faiss, postings,
                                                                             │  paths, rejects.jsonl, manifest.json
    demands ── encoder ── recall (channels, weights, ranking) ──▶ candidates ◀── catalog

`index.living` lets a built catalogue change while it serves and keeps versions of it, `index.tuning` chooses the type of
vector index by measurement, `index.shards` searches several parts as one.

`build_catalog` writes the folder, `Catalog` and `VectorIndex` open it memory-mapped, and `Recall` answers batches of
requests with one call of the encoder and one of the index. Nothing here knows of Kafka, Redis or prompts.
"""

from index.build import BuildReport, build_catalog, is_current
from index.catalog import Catalog
from index.columns import Columns
from index.encoder import CachedEncoder, Encoder
from index.errors import (
    CatalogDamagedError,
    CatalogError,
    CatalogMissingError,
    CatalogSourceError,
    EncoderMismatchError,
    EncoderUnavailableError,
)
from index.intake import Progress, Reject
from index.item import Item
from index.local_encoder import SentenceTransformerEncoder
from index.manifest import Manifest
from index.recall import Candidate, Query, Recall, RecallRequest, RecallResult
from index.server_encoder import ServerEncoder
from index.settings import EncoderSettings, IndexSettings, RecallSettings, open_encoder, open_recall
from index.titles import short_title
from index.vectors import VectorIndex

__all__ = [
    "BuildReport",
    "CachedEncoder",
    "Candidate",
    "Catalog",
    "CatalogDamagedError",
    "CatalogError",
    "CatalogMissingError",
    "CatalogSourceError",
    "Columns",
    "Encoder",
    "EncoderMismatchError",
    "EncoderSettings",
    "EncoderUnavailableError",
    "IndexSettings",
    "Item",
    "Manifest",
    "Progress",
    "Query",
    "Recall",
    "RecallRequest",
    "RecallResult",
    "RecallSettings",
    "Reject",
    "SentenceTransformerEncoder",
    "ServerEncoder",
    "VectorIndex",
    "build_catalog",
    "is_current",
    "open_encoder",
    "open_recall",
    "short_title",
]
