"""Batches: texts, and the teacher's opinion at every place."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from agents.distill.batches import Batches
from agents.distill.form import PAD
from agents.distill.pairs import FEWEST, Pair, Pairs, read_pairs, write_pairs
from agents.distill.settings import TrainSettings
from agents.distill.tokenizer import train_tokenizer

_SOLD = {"jumbo bag red": 9, "jumbo bag pink": 8, "jumbo mug": 3, "party bunting": 5, "wall clock": 1}
_SETTINGS = TrainSettings(vocabulary=600, apart=0.5, dropped=0.0)


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    one = Pair((3,), (0, 1, 2), (0.5, 0.3, 0.2))
    write_pairs(tmp_path, _SOLD, [one] * FEWEST, {})
    return read_pairs(tmp_path)


def _drawn(pairs: Pairs, answers: int = 3, **more: float) -> tuple[Batches, object, object]:
    tokenizer = train_tokenizer(_SOLD, words=330, size=600)
    batches = Batches(pairs, tokenizer, _SETTINGS.model_copy(update=more))
    return batches, tokenizer, batches.draw(np.random.default_rng(0), 40, answers)


def test_every_text_is_a_question_and_a_valid_answer(pairs: Pairs) -> None:
    _, tokenizer, batch = _drawn(pairs)
    for row in batch.ids.tolist():
        text = tokenizer.decode(row, skip_special_tokens=False).split(PAD)[0]
        head, _, written = text.partition("\nnext: ")
        assert head in {
            f"shop\n\n{line}: party bunting" for line in ("bought", "added", "searched", "viewed")
        }
        phrases = written.removeprefix('{"queries":["').removesuffix('"]}').split('","')
        assert sorted(phrases) == ["jumbo bag pink", "jumbo bag red", "jumbo mug"]


def test_shares_add_up_to_one_at_every_place(pairs: Pairs) -> None:
    batch = _drawn(pairs)[2]
    assert np.allclose(batch.weights.sum(axis=1), 1, atol=1e-5)


def test_the_first_place_has_the_teachers_share_below_each_first_piece(pairs: Pairs) -> None:
    _, tokenizer, batch = _drawn(pairs, apart=0.0)
    opening = tokenizer.token_to_id('{"queries":["')
    first = [
        at
        for at, (row, column) in enumerate(zip(batch.rows, batch.columns, strict=True))
        if batch.ids[row, column] == opening
    ]
    assert len(first) == 40
    expected: dict[int, float] = {}
    for phrase, share in (("jumbo bag red", 0.5), ("jumbo bag pink", 0.3), ("jumbo mug", 0.2)):
        piece = tokenizer.encode(phrase).ids[0]
        expected[piece] = expected.get(piece, 0.0) + share
    for at in first:
        found: dict[int, float] = {}
        for piece, share in zip(batch.pieces[at].tolist(), batch.weights[at].tolist(), strict=True):
            if share:
                found[piece] = found.get(piece, 0.0) + share
        assert found == pytest.approx(expected, abs=1e-5)


def test_what_follows_a_place_is_a_piece_that_the_teacher_gives_weight_to(pairs: Pairs) -> None:
    _, tokenizer, batch = _drawn(pairs)
    ended = tokenizer.token_to_id(PAD)
    width = batch.ids.shape[1]
    for row, column, pieces, shares in zip(
        batch.rows, batch.columns, batch.pieces, batch.weights, strict=True
    ):
        if column + 1 < width:
            after = batch.ids[row, column + 1]
            assert after in pieces[shares > 0] or after == ended


def test_the_same_seed_draws_the_same_batch(pairs: Pairs) -> None:
    batches, _, batch = _drawn(pairs)
    again = batches.draw(np.random.default_rng(0), 40, 3)
    assert np.array_equal(batch.ids, again.ids)
    assert np.array_equal(batch.weights, again.weights)
