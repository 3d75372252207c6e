"""What may be said of one item while the catalogue serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from index.items.item import Item

__all__ = ["Change", "Price", "Remove", "Stock", "Upsert"]


@dataclass(frozen=True, slots=True)
class Upsert:
    """The item is this from now on; it is new, or all that was known of it is replaced. Its stock is not."""

    item: Item


@dataclass(frozen=True, slots=True)
class Price:
    """The item's price is this from now on; None for unknown."""

    item_id: str
    price: float | None


@dataclass(frozen=True, slots=True)
class Stock:
    """Whether the item is to be had. One that is not keeps its place and is not offered."""

    item_id: str
    in_stock: bool


@dataclass(frozen=True, slots=True)
class Remove:
    """The item is gone, until it is upserted again."""

    item_id: str


Change: TypeAlias = Upsert | Price | Stock | Remove
