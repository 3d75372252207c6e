from __future__ import annotations

import numpy as np
import pytest
import Stemmer
from hypothesis import given
from hypothesis import strategies as st

from index.channels import lexical
from index.channels.lexical import Lexical, words

WORDS = ("red", "blue", "oak", "steel", "lamp", "rug", "vase")
TEXT = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)


@given(st.lists(TEXT, min_size=1, max_size=30), st.lists(TEXT, min_size=1, max_size=4), st.integers(1, 40))
@pytest.mark.parametrize("dense", [0, 64], ids=["sorted", "added up in an array"])
def test_the_best_items_come_first_and_of_equal_ones_the_first(
    dense: int, titles: list[str], queries: list[str], depth: int
) -> None:
    index = Lexical.build({"title": titles, "brand": titles[::-1]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "_DENSE", dense)
        found = index.answer(queries, depth)
        again = index.answer(queries[::-1], depth)
    assert found.rows.tolist() == again.rows[::-1].tolist()
    for query, rows, scores in zip(queries, found.rows, found.scores, strict=True):
        sums: dict[int, float] = {}
        for term in dict.fromkeys(query.split()):
            alone = Lexical.answer(index, [term], len(titles))
            for row, score in zip(alone.rows[0].tolist(), alone.scores[0].tolist(), strict=True):
                if row >= 0:
                    sums[row] = sums.get(row, 0.0) + score
        known = rows >= 0
        assert known.sum() == min(len(sums), depth)
        assert scores[known].tolist() == pytest.approx([sums[row] for row in rows[known].tolist()], rel=1e-5)
        order = list(zip((-scores[known]).tolist(), rows[known].tolist(), strict=True))
        assert order == sorted(order)
        left = set(sums) - set(rows[known].tolist())
        assert all(sums[row] <= scores[known].min() * (1 + 1e-5) for row in left)


def test_accents_and_capitals_make_no_other_word() -> None:
    stemmer = Stemmer.Stemmer("english")
    assert words("Café LAMPS", stemmer) == words("cafe lamp", stemmer) == ["cafe", "lamp"]
    assert np.all(Lexical.build({"title": ["cafe", "bar"]}).answer(["CAFÉ"], 2).rows == [[0, -1]])
