from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.items.titles import embedding_text, short_title


@pytest.mark.parametrize(
    ("title", "short"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "White Hanging Heart T-Light Holder"),
        ("ICE - CRUSHED/CUBED 22 LB", "Ice - Crushed/Cubed 22 lb"),
        ("60 CT LED USB LIGHTS 1.5 LTR XL", "60 ct LED USB Lights 1.5 ltr XL"),
        ("SET/6 RED SPOTTY PAPER PLATES", "Set/6 Red Spotty Paper Plates"),
        ("CHILDREN'S APRON", "Children's Apron"),
        ("Philips  AJ100 Clock Radio,", "Philips AJ100 Clock Radio"),
        ("paper paper towels", "paper towels"),
    ],
)
def test_a_raw_title_becomes_readable(title: str, short: str) -> None:
    assert short_title(title) == short


def test_a_cut_never_parts_a_number_from_its_unit() -> None:
    assert short_title("a b c d 500 ml e", words=5) == "a b c d"
    assert short_title("a b c d 500 ml e", words=6) == "a b c d 500 ml"


def test_a_cut_leaves_no_dangling_word_or_open_bracket() -> None:
    assert short_title("lamp for the kitchen", words=3) == "lamp"
    assert short_title("lamp (blue and red) big", words=2) == "lamp"


@given(st.text(min_size=1).map(lambda text: " ".join(text.split())).filter(bool), st.integers(1, 12))
def test_a_short_title_is_never_empty_and_has_at_most_the_words_asked_for(title: str, words: int) -> None:
    short = short_title(title, words)
    assert short
    assert len(short.split()) <= max(words, 1) or short == title


@given(st.lists(st.sampled_from(["Red", "wool", "SCARF", "500", "ml", "(big)", "&"]), min_size=1, max_size=8))
def test_shortening_a_mixed_case_title_adds_no_words(words: list[str]) -> None:
    title = " ".join(["plain", *words])
    assert set(short_title(title).split()) <= set(title.split())


def test_the_encoder_reads_brand_and_category_only_where_the_title_lacks_them() -> None:
    assert embedding_text("Oatly oat drink", "Milk", "oatly") == "Oatly oat drink, Milk"
    assert embedding_text("Whole milk", "MILK", None) == "Whole milk"
