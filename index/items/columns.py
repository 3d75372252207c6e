"""Which column of a catalogue file is which field of an item."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Columns"]


class Columns(BaseModel):
    """Names of the file's columns, by the field of an item they fill.

    A column that is named here and missing from a record counts as empty there; columns named nowhere are not read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: str = Field(default="item_id", description="Column with the item's id, as events name it.")
    title: str = Field(default="title", description="Column with the title.")
    category: str = Field(default="category", description="Column with the category's name.")
    price: str = Field(default="price", description="Column with the price, a number without a currency.")
    brand: str = Field(default="brand", description="Column with the brand's name.")
    popularity: str = Field(
        default="popularity", description="Column with how popular the item is, such as pieces sold."
    )
    attributes: tuple[str, ...] = Field(
        default=(),
        description="Further columns to keep as attributes; an object in a column named `attributes` is kept as well.",
    )

    def pick(self, record: dict[str, Any]) -> dict[str, Any]:
        """The fields of an item out of one record of the file; empty ones are left out."""
        found = {field: record.get(getattr(self, field)) for field in _FIELDS}
        attributes = record.get("attributes")
        if self.attributes:
            extra = {name: record[name] for name in self.attributes if record.get(name) not in (None, "")}
            attributes = {**attributes, **extra} if isinstance(attributes, dict) else attributes or extra
        found["attributes"] = attributes
        return {field: value for field, value in found.items() if value is not None and value != ""}


_FIELDS = ("item_id", "title", "category", "price", "brand", "popularity")
