"""The index: from a catalogue file to candidates for a query.

    file ── reader ── intake (item, columns, cleaning, titles) ── build ──▶ folder
                                                                             │  items.arrow, vectors.faiss, postings,
                                                                             │  paths, rejects.jsonl, manifest.json
    demands ── encoder ── recall (channels, weights, ranking) ──▶ candidates ◀── catalog

    items             a catalogue's records, read and checked
    encoders          texts to vectors
      encoder_training  ... by what a shop's own shoppers do
    built             the folder: written, opened, exchanged
      living            ... changed while it serves, and kept in versions
    nearest           the vector index, whole or in parts
      tuning            ... its type chosen by measurement
    channels          what finds items: words, vectors, behaviour, popularity, novelty
      demand_weights    ... and how much each of a shopper's demands counts
    ranking           candidates to a slate
    recall            all of it for a batch of requests
    evaluate          how good that is, by judgments and by what was bought next
      teaching          ... and what a student of demands is to learn from it

`build_catalog` writes the folder, `Catalog` and `VectorIndex` open it memory-mapped, and `Recall` answers batches of
requests with one call of the encoder and one of the index. Nothing here knows of Kafka, Redis or prompts.
"""

from index.built.build import BuildReport, build_catalog, is_current
from index.built.catalog import Catalog
from index.built.manifest import Manifest
from index.encoders.encoder import CachedEncoder, Encoder
from index.encoders.local import SentenceTransformerEncoder
from index.encoders.server import ServerEncoder
from index.errors import (
    CatalogDamagedError,
    CatalogError,
    CatalogMissingError,
    CatalogSourceError,
    EncoderMismatchError,
    EncoderUnavailableError,
)
from index.items.columns import Columns
from index.items.intake import Progress, Reject
from index.items.item import Item
from index.items.titles import short_title
from index.nearest.vectors import VectorIndex
from index.recall import Candidate, Query, Recall, RecallRequest, RecallResult
from index.settings import EncoderSettings, IndexSettings, RecallSettings, open_encoder, open_recall

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
