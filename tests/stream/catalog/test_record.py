"""Records of the catalog topic."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.living import Price, Remove, Stock, Upsert
from stream.catalog.record import SCHEMA, BadChangeError, CatalogDefect, decode_changes
from stream.catalog.sender import item_of


def decode(**fields: Any) -> list[Any]:
    return decode_changes(json.dumps(fields).encode())


def test_each_op_is_read() -> None:
    (upsert,) = decode(op="upsert", item_id="m1", title=" oat  drink ", price="2.5", category="Milk")
    assert isinstance(upsert, Upsert)
    assert (upsert.item.title, upsert.item.price, upsert.item.category) == ("oat drink", 2.5, "Milk")
    assert decode(op="price", item_id="m1", price=2) == [Price("m1", 2.0)]
    assert decode(op="price", item_id="m1", price=None) == [Price("m1", None)]
    assert decode(op="stock", item_id="m1", in_stock=False) == [Stock("m1", in_stock=False)]
    assert decode(op="stock", item_id=7, quantity=3) == [Stock("7", in_stock=True)]
    assert decode(op="remove", item_id="m1") == [Remove("m1")]


def test_an_upsert_may_say_its_stock() -> None:
    changes = decode(op="upsert", item_id="m1", title="oat drink", quantity=0)
    assert changes[1] == Stock("m1", in_stock=False)


@pytest.mark.parametrize(
    ("value", "defect", "detail"),
    [
        (None, CatalogDefect.EMPTY, "no value"),
        (b"", CatalogDefect.EMPTY, "no value"),
        (b"{", CatalogDefect.MALFORMED, "truncated"),
        (b"\xff\xfe", CatalogDefect.MALFORMED, ""),
        (b"[1]", CatalogDefect.MALFORMED, "object"),
        (b'{"item_id": "a"}', CatalogDefect.UNKNOWN_OP, "upsert"),
        (b'{"op": ["price"], "item_id": "a"}', CatalogDefect.UNKNOWN_OP, "upsert"),
        (b'{"op": "drop", "item_id": "a"}', CatalogDefect.UNKNOWN_OP, "'drop'"),
        (b'{"op": "remove"}', CatalogDefect.MISSING_FIELD, "item_id"),
        (b'{"op": "upsert", "item_id": "a"}', CatalogDefect.MISSING_FIELD, "title"),
        (b'{"op": "upsert", "item_id": "a", "title": " - "}', CatalogDefect.BAD_FIELD, "title"),
        (b'{"op": "upsert", "item_id": "a", "title": "t", "price": -1}', CatalogDefect.BAD_FIELD, "price"),
        (b'{"op": "price", "item_id": "a"}', CatalogDefect.MISSING_FIELD, "price"),
        (b'{"op": "price", "item_id": "a", "price": "NaN"}', CatalogDefect.BAD_FIELD, "price"),
        (b'{"op": "stock", "item_id": "a"}', CatalogDefect.MISSING_FIELD, "in_stock"),
        (b'{"op": "stock", "item_id": "a", "in_stock": "no"}', CatalogDefect.BAD_FIELD, "in_stock"),
        (b'{"op": "stock", "item_id": "a", "quantity": -1}', CatalogDefect.BAD_FIELD, "in_stock"),
        (b'{"op": "remove", "item_id": " a"}', CatalogDefect.BAD_FIELD, "item_id"),
        (
            b'{"op": "remove", "item_id": "a", "x": "' + b"y" * 200_000 + b'"}',
            CatalogDefect.TOO_LARGE,
            "bytes",
        ),
    ],
)
def test_what_is_no_change_is_refused_with_its_reason(value: bytes | None, defect: str, detail: str) -> None:
    with pytest.raises(BadChangeError) as caught:
        decode_changes(value)
    assert caught.value.defect == defect
    assert detail in caught.value.detail


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["op", "item_id", "title", "price", "in_stock", "quantity", "attributes"]),
                x | st.sampled_from(["upsert", "price", "stock", "remove"]),
            )
        ),
    ).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_are_changes_or_refused(value: bytes) -> None:
    try:
        changes = decode_changes(value)
    except BadChangeError as error:
        changes = [error]
    assert changes


def test_the_key_is_the_items_id() -> None:
    assert item_of(b'{"item_id": "m1"}') == "m1"
    assert item_of(b'{"item_id": 7}') == "7"
    assert item_of(b'{"op": 1}') is None
    assert item_of(b"[") is None


def test_the_schema_names_the_ops_that_are_read() -> None:
    assert SCHEMA["properties"]["op"]["enum"] == ["upsert", "price", "stock", "remove"]
