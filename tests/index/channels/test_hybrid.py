from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index.channels.channel import Scored
from index.channels.hybrid import choose_weights, fuse_scores
from index.channels.lexical import Lexical

FIELDS = {
    "title": ["Canon toner black", "Running shoes", "Café lamp", "Shoe rack"],
    "brand": ["Canon", "Nike", "", ""],
    "attributes": ["laser", "sport shoes shoes shoes", "lamp lamps", ""],
}


def scored(*lists: list[tuple[int, float]]) -> Scored:
    depth = max(map(len, lists)) + 1  # one place is empty: the lists have ended
    rows = np.full((len(lists), depth), -1, dtype=np.int64)
    scores = np.full((len(lists), depth), -np.inf, dtype=np.float32)
    for at, one in enumerate(lists):
        for place, (row, score) in enumerate(one):
            rows[at, place], scores[at, place] = row, score
    return Scored(rows, scores)


def test_stems_and_accents_find_one_another() -> None:
    found = Lexical.build(FIELDS).answer(["shoe", "cafe LAMPS", "the", "zebra"], 4).rows
    assert set(found[0][:2].tolist()) == {1, 3}
    assert found[1][0] == 2
    assert (found[2:] == -1).all()


def test_a_term_counts_in_its_best_field_and_the_tie_adds_the_others() -> None:
    one = Lexical.build(FIELDS, tie=0.0).answer(["canon"], 1).scores[0, 0]
    summed = Lexical.build(FIELDS, tie=1.0).answer(["canon"], 1).scores[0, 0]
    assert 0 < one < summed


def test_scores_are_fused_after_each_query_is_brought_to_one() -> None:
    left, right = scored([(1, 10.0), (2, 9.0)]), scored([(2, 0.5), (3, 0.25)])
    found = fuse_scores([left, right], [1.0, 0.5], 5)
    assert found.rows.tolist() == [[2, 1, 3, -1, -1]]
    np.testing.assert_allclose(found.scores[0][:3], [1.4, 1.0, 0.25], rtol=1e-6)


def test_the_last_of_a_full_list_counts_as_nothing() -> None:
    full = Scored(np.array([[4, 6, 5]]), np.array([[0.9, 0.8, 0.7]], dtype=np.float32))
    found = fuse_scores([full], [1.0], 3)
    np.testing.assert_allclose(found.scores[0], [1.0, 0.5, 0.0], atol=1e-5)


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_the_scale_of_a_channel_does_not_matter(a: float, b: float) -> None:
    lists = [[(1, 3.0), (2, 2.0), (5, 1.0)], [(2, 3.0), (4, 1.0)]]
    plain = fuse_scores([scored(one) for one in lists], [1.0, 0.3], 4).rows
    scaled = [scored([(r, s * by) for r, s in one]) for one, by in zip(lists, (a, b), strict=True)]
    assert fuse_scores(scaled, [1.0, 0.3], 4).rows.tolist() == plain.tolist()


def test_weights_are_chosen_without_the_query_they_are_measured_on() -> None:
    n = 10
    good = scored(*[[(7, 2.0), (1, 1.0)] for _ in range(n)])
    bad = scored(*[[(1, 2.0), (7, 1.0)] for _ in range(n)])

    def quality(found: Scored) -> np.ndarray:
        return (found.rows[:, 0] == 7).astype(float)

    choice = choose_weights([good, bad], quality, grid=[(1.0,), (0.0, 3.0)], depth=2)
    assert choice.weights == (1.0, 0.0)
    assert set(choice.by_fold) == {(1.0, 0.0)}
    assert quality(choice.held_out).all()
