from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import CachedEncoder, Encoder
from index.encoders.encoder import CACHED_BATCH, unit_rows
from index.encoders.fingerprint import model_fingerprint, same_encoder, server_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.conftest import WordEncoder


def test_a_repeated_text_is_computed_once_and_gives_the_same_vector(encoder: WordEncoder) -> None:
    cached = CachedEncoder(encoder, 10)
    first = cached.encode(["bread", "milk", "bread"])
    again = cached.encode(["milk", "soap"])
    assert encoder.batches == [["bread", "milk"], ["soap"]]
    assert (first[0] == first[2]).all()
    assert (first[1] == again[0]).all()
    assert (cached.hits, cached.misses) == (1, 3)
    assert isinstance(cached, Encoder)


def test_the_text_not_used_for_longest_is_forgotten(encoder: WordEncoder) -> None:
    cached = CachedEncoder(encoder, 2)
    for text in ("a", "b", "a", "c", "a", "b"):
        cached.encode([text])
    assert encoder.batches == [["a"], ["b"], ["c"], ["b"]]


def test_a_batch_larger_than_the_cache_is_still_answered(encoder: WordEncoder) -> None:
    texts = [f"w{n}" for n in range(9)]
    assert (CachedEncoder(encoder, 2).encode(texts) == encoder.encode(texts)).all()


def test_changing_a_result_does_not_change_the_cache(encoder: WordEncoder) -> None:
    cached = CachedEncoder(encoder, 10)
    cached.encode(["bread"])[:] = 0
    cached.encode(["bread"])[:] = 0
    assert np.linalg.norm(cached.encode(["bread"])) == pytest.approx(1)


def test_a_catalogue_being_built_passes_by_the_cache(encoder: WordEncoder) -> None:
    cached = CachedEncoder(encoder, 10)
    cached.encode([f"w{n}" for n in range(CACHED_BATCH + 1)])
    assert (cached.hits, cached.misses) == (0, 0)


def test_no_texts_give_no_rows(encoder: WordEncoder) -> None:
    assert CachedEncoder(encoder, 10).encode([]).shape == (0, 64)


def test_rows_are_scaled_to_length_one_and_zeros_stay() -> None:
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == pytest.approx(
        np.array([[0.6, 0.8], [0, 0]])
    )


def test_a_fingerprint_follows_the_models_files_and_not_its_readme(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    first = model_fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("hello")
    assert model_fingerprint(tmp_path) == first
    (tmp_path / "1_Pooling" / "config.json").write_text('{"mean": 1}')
    assert model_fingerprint(tmp_path) != first


def test_a_server_is_the_same_encoder_despite_noise_in_its_last_digits() -> None:
    dice = np.random.default_rng(0)
    vector, other = unit_rows(dice.normal(size=(2, 384)))
    noisy = unit_rows(vector[None] + dice.normal(size=(1, 384)) * 5e-4)[0]
    known = server_fingerprint("org/model:v1", vector)
    assert same_encoder(known, server_fingerprint("org/model:v1", noisy))
    assert not same_encoder(known, server_fingerprint("org/model:v2", vector))
    assert not same_encoder(known, server_fingerprint("org/model:v1", other))
    assert not same_encoder(known, server_fingerprint("org/model:v1", vector[:100]))


@pytest.mark.parametrize("odd", ["", "server:", "server:m", "server:m:%%%", "sha256:1"])
def test_an_odd_fingerprint_is_another_encoder(odd: str) -> None:
    known = server_fingerprint("m", np.ones(8, dtype=np.float32))
    assert not same_encoder(known, odd)
    assert not same_encoder(odd, known)


def test_importing_the_room_loads_neither_torch_nor_a_client() -> None:
    code = "import index, sys; print([name for name in ('torch', 'transformers', 'openai') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=".")
    assert done.stdout.strip() == "[]"
