from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index.encoder_training.mining import mine
from index.encoders.encoder import unit_rows


@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 1_000))
def test_what_is_mined_is_the_nearest_that_does_not_belong(texts: int, keep: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    asked, known = (unit_rows(dice.normal(size=(many, 8))) for many in (7, texts))
    positives = np.unique(dice.integers(0, 7 * texts, 9))
    found = mine(asked, known, positives, depth=texts, keep=keep)
    for question, row in enumerate(found):
        order = [
            text
            for text in np.argsort(-(known @ asked[question]))
            if question * texts + text not in positives
        ]
        assert [text for text in row if text >= 0] == order[:keep]


def test_a_question_to_which_all_belongs_has_no_hard_negative() -> None:
    known = unit_rows(np.random.default_rng(0).normal(size=(4, 8)))
    assert (mine(known[:1], known, np.arange(4), keep=3) == -1).all()
