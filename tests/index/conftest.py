"""What the tests of the index share: small catalogues, and an encoder of words that needs no model."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from index import Catalog, Recall, VectorIndex, build_catalog
from index.encoders.encoder import unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from index.encoders.encoder import Vectors


class WordEncoder:
    """Each word is a fixed random direction, a text their sum: texts that share words are near each other."""

    def __init__(self, dimensions: int = 64, name: str = "words") -> None:
        self.name = name
        self.dimensions = dimensions
        self.fingerprint = f"sha256:{name}-{dimensions}"
        self.batches: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for at, text in enumerate(texts):
            for word in text.casefold().replace(",", " ").split():
                seed = int.from_bytes(hashlib.sha256(f"{self.name} {word}".encode()).digest()[:8], "big")
                rows[at] += np.random.default_rng(seed).normal(size=self.dimensions).astype(np.float32)
        return unit_rows(rows)


class WriteItems(Protocol):
    def __call__(self, items: Iterable[Any], name: str = ...) -> Path: ...


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def other_encoder() -> WordEncoder:
    return WordEncoder(name="other")


@pytest.fixture
def write_items(tmp_path: Path) -> WriteItems:
    """Write items, or lines as they are, to a JSON Lines file."""

    def write(items: Iterable[Any], name: str = "items.jsonl") -> Path:
        path = tmp_path / name
        lines = [one if isinstance(one, str) else json.dumps(one) for one in items]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
        return path

    return write


SHOP: list[dict[str, Any]] = [
    {
        "item_id": "m1",
        "title": "oat drink barista 1 l",
        "category": "milk",
        "price": 2.5,
        "popularity": 5,
        "brand": "Oatly",
    },
    {"item_id": "m2", "title": "oat drink vanilla 1 l", "category": "milk", "price": 2.4, "popularity": 9},
    {"item_id": "m3", "title": "whole milk 1 l", "category": "milk", "price": 1.1, "popularity": 40},
    {"item_id": "b1", "title": "rye bread sliced", "category": "bread", "popularity": 7},
    {"item_id": "b2", "title": "sourdough bread", "category": "bread", "price": 4, "popularity": 30},
    {"item_id": "s1", "title": "dish soap lemon", "attributes": {"size": "500 ml"}},
    *({"item_id": f"t{n}", "title": "paper towels", "category": "paper", "popularity": n} for n in range(8)),
]


@pytest.fixture
def shop(tmp_path: Path, write_items: WriteItems, encoder: WordEncoder) -> Path:
    """Folder of a built catalogue of fourteen items, eight of which share one title."""
    out = tmp_path / "shop"
    build_catalog(write_items(SHOP, "shop.jsonl"), out, encoder)
    encoder.batches.clear()
    return out


@pytest.fixture
def recall(shop: Path, encoder: WordEncoder) -> Recall:
    return Recall(Catalog.open(shop), encoder, VectorIndex.open(shop, encoder))
