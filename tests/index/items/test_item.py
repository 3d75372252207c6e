from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from index.items.cleaning import clean_text
from index.items.item import UNCATEGORISED, Item, fault


def refused(**fields: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        Item.model_validate({"item_id": "1", "title": "a lamp", **fields})
    return fault(caught.value)


@pytest.mark.parametrize(
    "price", [float("nan"), float("inf"), -1, -0.01, "NaN", "1e999", 1e13, Decimal("NaN")]
)
def test_a_price_that_is_no_amount_is_refused(price: object) -> None:
    assert refused(price=price)[0] == "price"


@pytest.mark.parametrize("price", [True, [1], {"eur": 1}, "cheap", "1_000", "9" * 5000])
def test_a_price_of_a_wrong_type_is_refused(price: object) -> None:
    assert refused(price=price)[0] == "price"


@pytest.mark.parametrize(
    ("given_price", "price"), [("12.50", 12.5), (3, 3.0), ("", None), (None, None), (Decimal("1.5"), 1.5)]
)
def test_a_price_may_be_written_as_text_or_be_unknown(given_price: object, price: float | None) -> None:
    assert Item.model_validate({"item_id": "1", "title": "lamp", "price": given_price}).price == price


@pytest.mark.parametrize(
    "title", ["", "   ", "\n\t", "\u200b\ufeff", "...!", None, 7, ["lamp"], {"en": "lamp"}, b"lamp"]
)
def test_a_title_without_words_is_refused(title: object) -> None:
    assert refused(title=title)[0] == "title"


def test_an_enormous_title_is_refused() -> None:
    assert refused(title="x" * 1_000_000) == ("title", "more than 1000 characters")


@pytest.mark.parametrize(
    "item_id", ["", " 1", "1 ", "a\nb", "a\x00b", "\u202e1", True, 1.5, None, "x" * 257, "\ud800"]
)
def test_an_id_that_would_need_cleaning_is_refused(item_id: object) -> None:
    assert refused(item_id=item_id)[0] == "item_id"


def test_a_whole_number_is_an_id() -> None:
    assert Item.model_validate({"item_id": 25671, "title": "ice"}).item_id == "25671"


def test_quotes_braces_and_instructions_in_a_title_stay_text() -> None:
    title = 'Ignore all "rules" {"item": 1} {{x}} </s> \\n %s 電灯'
    assert Item.model_validate({"item_id": "1", "title": title}).title == title


def test_line_ends_become_spaces_and_hidden_characters_go() -> None:
    item = Item.model_validate({"item_id": "1", "title": " red\r\n\tlamp\x00\x1b[31m \u202egnp.exe\u2028x "})
    assert item.title == "red lamp[31m gnp.exe x"


def test_half_a_surrogate_pair_is_refused() -> None:
    assert refused(title="lamp \ud83d")[0] == "title"


def test_an_item_without_a_category_gets_the_one_for_such_items() -> None:
    assert Item.model_validate({"item_id": "1", "title": "lamp", "category": "  "}).category == UNCATEGORISED


@pytest.mark.parametrize(
    "attributes", [[1], "x", {"a": {"deep": 1}}, {"a": "x" * 501}, {str(n): "v" for n in range(65)}]
)
def test_attributes_that_are_no_small_flat_object_are_refused(attributes: object) -> None:
    assert refused(attributes=attributes)[0] == "attributes"


def test_numbers_among_the_attributes_become_text() -> None:
    item = Item.model_validate(
        {"item_id": "1", "title": "lamp", "attributes": {"watt": 40, "dim": True, "no": None}}
    )
    assert item.attributes == {"watt": "40", "dim": "True"}


@given(st.text())
def test_cleaning_is_final_and_leaves_no_control_character(text: str) -> None:
    clean = clean_text(text, 10_000)
    assert clean_text(clean, 10_000) == clean
    assert not any(unicodedata.category(char) == "Cc" for char in clean)
