from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.channels.lexical import Lexical
from index.channels.postings import PARTS, catalog_fields, open_lexical, save_lexical
from index.errors import CatalogDamagedError

if TYPE_CHECKING:
    from pathlib import Path

TITLES = ["oat drink barista", "oat drink vanilla", "rye bread", "sourdough bread", "dish soap lemon", "The"]
FIELDS = catalog_fields(
    TITLES,
    ["Oatly", None, None, None, None, None],
    ["milk", "milk", "bread", "bread", "", ""],
    [{"size": "1 l"}, {}, {}, {}, {"smell": "lemon fresh"}, {}],
)
WORDS = st.lists(st.sampled_from([*" ".join(TITLES).split(), "oatly", "fresh", "carburettor"]), max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("words")
    save_lexical(FIELDS, made)
    return made


@given(WORDS)
def test_words_from_disk_answer_as_those_in_memory(folder: Path, asked: list[str]) -> None:
    weights = {"title": 1.0, "brand": 1.0, "category": 0.5, "attributes": 0.7}
    known = Lexical.build(FIELDS, weights=weights).answer([" ".join(asked)], 10)
    found = open_lexical(folder, len(TITLES)).answer([" ".join(asked)], 10)
    assert found.rows.tolist() == known.rows.tolist()
    np.testing.assert_allclose(found.scores, known.scores, rtol=1e-6)


def test_of_a_word_in_very_many_items_the_strongest_are_kept(tmp_path: Path) -> None:
    titles = ["lamp", "lamp lamp", "lamp for the desk and the wall", "red lamp", "bread"]
    save_lexical({"title": titles}, tmp_path, most=2)
    found = open_lexical(tmp_path, len(titles)).answer(["lamp"], 5)
    assert set(found.rows[0, :2].tolist()) == {0, 1}
    assert found.rows[0, 2:].tolist() == [-1, -1, -1]


def test_a_catalogue_without_any_word_has_no_answers(tmp_path: Path) -> None:
    save_lexical({"title": ["the", "and"]}, tmp_path)
    assert open_lexical(tmp_path, 2).answer(["the lamp"], 3).rows.tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_or_cut_file_is_an_error_that_names_the_folder(tmp_path: Path, name: str) -> None:
    save_lexical(FIELDS, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CatalogDamagedError, match=str(tmp_path)):
        open_lexical(tmp_path, len(TITLES))
    (tmp_path / name).unlink()
    with pytest.raises(CatalogDamagedError, match=str(tmp_path)):
        open_lexical(tmp_path, len(TITLES))


def test_words_of_another_catalogue_are_refused(tmp_path: Path) -> None:
    save_lexical(FIELDS, tmp_path)
    with pytest.raises(CatalogDamagedError, match="do not fit"):
        open_lexical(tmp_path, len(TITLES) + 1)
