from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import (
    CachedEncoder,
    EncoderMismatchError,
    EncoderSettings,
    EncoderUnavailableError,
    IndexSettings,
    Query,
    Recall,
    RecallRequest,
    SentenceTransformerEncoder,
    build_catalog,
    open_encoder,
    open_recall,
)
from index.encoders.local import packaged_model
from index.settings import encoder_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.conftest import WordEncoder, WriteItems

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def minilm() -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder()


def test_vectors_are_those_of_the_library(minilm: SentenceTransformerEncoder) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["oat milk", "a gaming laptop with 16 GB of RAM and a long description", "oat milk", "x"]
    wanted = SentenceTransformer(str(packaged_model()), device="cpu").encode(texts, normalize_embeddings=True)
    vectors = minilm.encode(texts)
    assert vectors.shape == (4, minilm.dimensions) == (4, 384)
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(wanted, abs=1e-5)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_meaning_brings_the_right_item_without_a_shared_word(
    minilm: SentenceTransformerEncoder, tmp_path: Path, write_items: WriteItems
) -> None:
    titles = [
        "Wool scarf, red",
        "Cordless drill 18 V",
        "Oat drink barista 1 l",
        "Dog food with chicken 2 kg",
        "Notebook A5 ruled",
    ]
    out = tmp_path / "out"
    build_catalog(write_items({"item_id": str(n), "title": t} for n, t in enumerate(titles)), out, minilm)
    recall = Recall.open(out, minilm)
    queries = [
        "something warm for my neck",
        "power tool for making holes",
        "dairy-free milk for coffee",
        "meal for a puppy",
    ]
    result = recall.recall([RecallRequest((Query(text),), limit=1) for text in queries])
    assert [found[0].item for found in result.candidates] == ["0", "1", "2", "3"]


def test_settings_open_a_catalogue_and_a_strange_encoder_is_refused(
    minilm: SentenceTransformerEncoder, tmp_path: Path, write_items: WriteItems, encoder: WordEncoder
) -> None:
    source = write_items([{"item_id": "1", "title": "red lamp"}])
    settings = IndexSettings(catalog=tmp_path / "out", encoder=EncoderSettings(cache=5))
    build_catalog(source, settings.catalog, minilm)
    recall = open_recall(settings)
    assert recall.encoder.fingerprint == minilm.fingerprint
    assert recall.recall([RecallRequest((Query("lamp"),))]).candidates[0][0].item == "1"
    build_catalog(source, settings.catalog, encoder)
    with pytest.raises(EncoderMismatchError, match=r"made by words.*running is all-MiniLM-L6-v2"):
        open_recall(settings, CachedEncoder(minilm, 5))


def test_several_threads_get_the_same_vectors_as_one(minilm: SentenceTransformerEncoder) -> None:
    texts = [f"lamp number {n}" for n in range(24)]
    alone = [minilm.encode([text]) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: minilm.encode([text]), texts))
    assert np.concatenate(together) == pytest.approx(np.concatenate(alone), abs=1e-5)


def test_the_encoders_threads_are_its_own_and_the_processs_stay_as_they_were() -> None:
    import torch

    before = torch.get_num_threads()
    encoder = SentenceTransformerEncoder(threads=before + 1)
    assert torch.get_num_threads() == before
    fresh: list[int] = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [before]
    assert encoder._worker.submit(torch.get_num_threads).result() == before + 1
    encoder.close()


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailableError, match="no embedding model"):
        open_encoder(EncoderSettings(path=tmp_path))


def test_a_broken_model_is_an_error_that_names_its_folder(tmp_path: Path) -> None:
    for file in packaged_model().iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(
                file.read_bytes()[:100_000] if file.suffix == ".safetensors" else file.read_bytes()
            )
    with pytest.raises(EncoderUnavailableError, match="cannot be loaded"):
        SentenceTransformerEncoder(tmp_path)


def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(EncoderUnavailableError, match="nonsense"):
        SentenceTransformerEncoder(device="nonsense")


def test_the_fingerprint_is_told_alike_without_loading_the_model(minilm: SentenceTransformerEncoder) -> None:
    assert encoder_fingerprint(EncoderSettings()) == minilm.fingerprint
