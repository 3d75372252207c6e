"""One change on the catalog topic, as JSON, keyed by the item's id.

::

    {"op": "upsert", "item_id": "m1", "title": "Oat drink 1 l", "category": "Milk", "price": 2.5, "brand": "Oatly",
     "popularity": 12, "attributes": {"size": "1 l"}, "in_stock": true}     title is required; it replaces all before
    {"op": "price",  "item_id": "m1", "price": 2.4}                         null for an unknown price
    {"op": "stock",  "item_id": "m1", "in_stock": false}                    or "quantity": 0
    {"op": "remove", "item_id": "m1"}

Fields of the item are checked and cleaned as those of a catalogue file (`index.items.item`). Changes of an item count in the
order of its partition, so the key must be the item's id.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
from pydantic import ValidationError

from index.items.item import MAX_NUMBER, Item, fault
from index.living import Change, Price, Remove, Stock, Upsert

__all__ = ["SCHEMA", "BadChangeError", "CatalogDefect", "decode_changes"]

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A change of the catalogue",
    "type": "object",
    "required": ["op", "item_id"],
    "properties": {
        "op": {"enum": ["upsert", "price", "stock", "remove"]},
        "item_id": {"type": "string", "minLength": 1, "maxLength": 256},
        "title": {"type": "string", "maxLength": 1000},
        "category": {"type": ["string", "null"], "maxLength": 200},
        "brand": {"type": ["string", "null"], "maxLength": 200},
        "price": {"type": ["number", "null"], "minimum": 0, "maximum": MAX_NUMBER},
        "popularity": {"type": ["number", "null"], "minimum": 0, "maximum": MAX_NUMBER},
        "attributes": {"type": ["object", "null"], "maxProperties": 64},
        "in_stock": {"type": "boolean"},
        "quantity": {"type": "integer", "minimum": 0},
    },
    "oneOf": [
        {"properties": {"op": {"const": "upsert"}}, "required": ["title"]},
        {"properties": {"op": {"const": "price"}}, "required": ["price"]},
        {
            "properties": {"op": {"const": "stock"}},
            "anyOf": [{"required": ["in_stock"]}, {"required": ["quantity"]}],
        },
        {"properties": {"op": {"const": "remove"}}},
    ],
}
"""The records of the topic as a JSON schema, for producers."""

_OF_ITEM = ("item_id", "title", "category", "price", "brand", "popularity", "attributes")


class CatalogDefect(StrEnum):
    """Why a record of the catalog topic is dead."""

    EMPTY = "empty"  # no value
    TOO_LARGE = "too_large"  # longer than stream.catalog.max_bytes
    MALFORMED = "malformed"  # no JSON object
    UNKNOWN_OP = "unknown_op"  # another op than upsert, price, stock, remove
    MISSING_FIELD = "missing_field"  # a field that this op needs is not there
    BAD_FIELD = "bad_field"  # a field that no item can have so
    UNKNOWN_ITEM = "unknown_item"  # a price, stock or removal of an item that nobody knows


class BadChangeError(Exception):
    """A record that is no change; it goes to the dead topic with ``defect`` and ``detail``."""

    def __init__(self, defect: CatalogDefect, detail: str) -> None:
        super().__init__(f"{defect}: {detail}")
        self.defect = defect
        self.detail = detail


def decode_changes(value: bytes | None, max_bytes: int = 131_072) -> list[Change]:
    """The changes that one record says: one, or an upsert and its stock.

    Raises:
        BadChangeError: If it is none, with the reason.
    """
    if not value:
        raise BadChangeError(CatalogDefect.EMPTY, "the record has no value")
    if len(value) > max_bytes:
        raise BadChangeError(CatalogDefect.TOO_LARGE, f"{len(value)} bytes, at most {max_bytes} are read")
    try:
        fields = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadChangeError(CatalogDefect.MALFORMED, str(error)) from None
    if not isinstance(fields, dict):
        raise BadChangeError(CatalogDefect.MALFORMED, "expected a JSON object")
    op = fields.get("op")
    if not isinstance(op, str) or op not in {"upsert", "price", "stock", "remove"}:
        raise BadChangeError(
            CatalogDefect.UNKNOWN_OP, f"{str(op)[:40]!r}, expected upsert, price, stock or remove"
        )
    if op == "upsert":
        item = _item({name: fields[name] for name in _OF_ITEM if name in fields})
        stock = (
            [Stock(item.item_id, _in_stock(fields))] if "in_stock" in fields or "quantity" in fields else []
        )
        return [Upsert(item), *stock]
    # An item with a title of no meaning: its id and price are checked as any item's are.
    checked = _item({"title": "x", **{name: fields[name] for name in ("item_id", "price") if name in fields}})
    if op == "price":
        if "price" not in fields:
            raise BadChangeError(CatalogDefect.MISSING_FIELD, "price: missing")
        return [Price(checked.item_id, checked.price)]
    if op == "stock":
        return [Stock(checked.item_id, _in_stock(fields))]
    return [Remove(checked.item_id)]


def _item(fields: dict[str, Any]) -> Item:
    try:
        return Item.model_validate(fields)
    except ValidationError as error:
        name, reason = fault(error)
        missing = name not in fields
        raise BadChangeError(
            CatalogDefect.MISSING_FIELD if missing else CatalogDefect.BAD_FIELD, f"{name}: {reason}"
        ) from None


def _in_stock(fields: dict[str, Any]) -> bool:
    told = fields.get("in_stock")
    if isinstance(told, bool):
        return told
    quantity = fields.get("quantity")
    if told is None and quantity is None:
        raise BadChangeError(CatalogDefect.MISSING_FIELD, "in_stock: missing")
    if told is not None or isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 0:
        raise BadChangeError(
            CatalogDefect.BAD_FIELD, "in_stock: expected true or false, or quantity from 0 up"
        )
    return quantity > 0
