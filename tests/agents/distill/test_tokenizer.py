"""The tokenizer of words and phrases."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers")

from agents.distill.form import FIXED, answer, question
from agents.distill.tokenizer import train_tokenizer, words_only

_SOLD = {
    "jumbo bag red": 900,
    "jumbo bag pink": 800,
    "jumbo bag blue": 3,
    "lunch bag red": 500,
    "lunch bag pink": 2,
    "party bunting": 700,
    "party cone red": 1,
    "wall clock red": 1,
    "wall clock pink": 1,
}
_TOKENIZER = train_tokenizer(_SOLD, words=330, size=360)


def test_what_is_sold_most_is_one_token() -> None:
    assert len(_TOKENIZER.encode("jumbo bag red").ids) == 1


def test_a_title_never_seen_is_made_of_words_that_were() -> None:
    tokens = [_TOKENIZER.decode([token]) for token in _TOKENIZER.encode("wall clock blue").ids]
    assert "".join(tokens) == "wall clock blue"
    assert tokens[0].startswith("wall")


def test_apart_no_token_goes_over_the_end_of_a_word() -> None:
    apart = words_only(_TOKENIZER)
    for title in _SOLD:
        tokens = [apart.decode([token]) for token in apart.encode(title).ids]
        assert "".join(tokens) == title
        assert not any(" " in token.strip() for token in tokens)


def test_everything_between_phrases_is_one_token() -> None:
    text = question("bought: jumbo bag red; lunch bag red") + "party bunting" + '"]}'
    pieces = _TOKENIZER.encode(text).tokens
    assert set(FIXED) - {"<pad>", "<end>"} >= {piece for piece in pieces if piece in FIXED}
    assert pieces[0] == "shop\n\n"
    assert pieces[-1] == '"]}'
    assert '{"queries":["' in pieces


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
def test_any_text_in_any_script_comes_back_as_it_was(titles: list[str]) -> None:
    text = answer(titles)
    assert _TOKENIZER.decode(_TOKENIZER.encode(text).ids, skip_special_tokens=False) == text
