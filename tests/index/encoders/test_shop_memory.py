from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.encoder_training import write_folder
from index.encoders.encoder import unit_rows
from index.encoders.fingerprint import model_fingerprint
from index.encoders.shop_memory import MEMORY_ARRAYS, MEMORY_RECORD, MemoryRecord, ShopMemory
from index.errors import CatalogError, EncoderUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("safetensors")

RECORD = MemoryRecord(
    base=None, base_fingerprint="sha256:base", sharpness=0.03, sink=0.6, nearest=4, digest=""
)


def memory(seed: int = 0, texts: int = 20) -> ShopMemory:
    dice = np.random.default_rng(seed)
    keys, shifts = dice.normal(size=(2, texts, 16))
    return ShopMemory(unit_rows(keys), shifts.astype(np.float32), RECORD)


@given(st.integers(0, 100), st.integers(1, 30))
def test_vectors_have_length_one_whatever_was_learnt(seed: int, texts: int) -> None:
    vectors = unit_rows(np.random.default_rng(seed + 1).normal(size=(9, 16)))
    assert np.linalg.norm(memory(seed, texts).lay_over(vectors), axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_known_text_gets_its_own_shift_and_an_unlike_one_none() -> None:
    keys = np.eye(16, dtype=np.float32)[:3]
    shifts = np.eye(16, dtype=np.float32)[8:11]
    known = ShopMemory(keys, shifts, RECORD)
    out = known.lay_over(np.eye(16, dtype=np.float32)[[1, 5]])
    assert out[0] == pytest.approx(unit_rows((keys[1] + shifts[1])[None])[0], abs=1e-4)
    assert out[1] == pytest.approx(np.eye(16)[5], abs=1e-4)


def test_what_is_saved_opens_the_same_and_has_a_fingerprint_of_its_own(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", lambda folder: memory(1).save(folder, {"seed": 1}))
    write_folder(tmp_path / "two", lambda folder: memory(2).save(folder, {"seed": 2}))
    opened = ShopMemory.open(tmp_path / "one", fingerprint="sha256:base")
    vectors = unit_rows(np.random.default_rng(3).normal(size=(5, 16)))
    assert opened.lay_over(vectors) == pytest.approx(memory(1).lay_over(vectors), abs=1e-2)
    first = model_fingerprint(tmp_path / "one")
    assert first != model_fingerprint(tmp_path / "two")
    (tmp_path / "one" / "training.json").write_text("{}")
    assert model_fingerprint(tmp_path / "one") == first


def test_a_file_that_is_cut_altered_or_gone_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "enc"
    arrays = out / MEMORY_ARRAYS

    def refused(match: str) -> None:
        with pytest.raises(EncoderUnavailableError, match=match):
            ShopMemory.open(out, fingerprint="sha256:base")

    write_folder(out, lambda folder: memory().save(folder, {}))
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-100])
    refused("cannot be read")
    arrays.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused("not those that were written")
    arrays.unlink()
    refused("cannot be read")
    (out / MEMORY_RECORD).write_text("{")
    refused("no readable record")


def test_a_memory_over_another_general_encoder_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "enc", lambda folder: memory().save(folder, {}))
    with pytest.raises(EncoderUnavailableError, match="another general encoder"):
        ShopMemory.open(tmp_path / "enc", fingerprint="sha256:other")


def test_a_place_that_holds_something_else_is_not_overwritten_and_a_failed_write_leaves_the_last(
    tmp_path: Path,
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years of work")
    with pytest.raises(CatalogError, match="no trained encoder"):
        write_folder(taken, lambda folder: memory().save(folder, {}))
    assert (taken / "thesis.txt").is_file()

    out = tmp_path / "enc"
    write_folder(out, lambda folder: memory().save(folder, {}))
    before = model_fingerprint(out)

    def broken(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError("disk full")

    with pytest.raises(CatalogError, match="disk full"):
        write_folder(out, broken)
    assert model_fingerprint(out) == before
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_another_reading_of_a_known_text_gets_that_texts_vector_and_the_others_keep_theirs() -> None:
    known = memory(texts=6)
    near = unit_rows(known.keys + 0.15 * unit_rows(np.random.default_rng(8).normal(size=(6, 16))))
    both = known.reading(np.arange(6), near)
    strict = RECORD.model_copy(update={"sharpness": 0.0005})
    known, both = (ShopMemory(one.keys, one.shifts, strict) for one in (known, both))
    learnt = known.lay_over(known.keys)
    assert both.lay_over(near) == pytest.approx(learnt, abs=1e-3)
    assert both.lay_over(known.keys) == pytest.approx(learnt, abs=1e-3)
