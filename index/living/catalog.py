"""A build and what has changed since, read as one catalogue."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from index.built.catalog import NEWEST, Catalog, Rows
from index.items.titles import short_title
from index.living.added import AddedRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from index.items.item import Item
    from index.living.delta import Delta

__all__ = ["LiveCatalog"]


class LiveCatalog(Catalog):
    """As `Catalog`, over one state; new rows follow those of the build, each with a text of its own.

    Removed and sold-out items keep a row, so that what a shopper saw still has a title; `offered` leaves them out.
    """

    def __init__(self, delta: Delta, added: AddedRows | None = None) -> None:
        """Read a state.

        Args:
            delta: The state.
            added: What the states of this build share; made anew if None.
        """
        self.delta = delta
        self._added = added or AddedRows(delta.base)
        self._added.grow(delta)
        self._base = delta.base
        self.manifest = delta.base.manifest
        self._rows = len(delta.base)
        self._texts = delta.base.manifest.texts

    def __len__(self) -> int:
        return self._rows + self.delta.rows

    def __contains__(self, item_id: object) -> bool:
        return (
            isinstance(item_id, str) and self.row(item_id) is not None and item_id not in self.delta.removed
        )

    def row(self, item_id: str) -> int | None:
        """The newest row of an item; None for one that nobody knows."""
        return self.delta.row(item_id)

    def item(self, row: int) -> Item:
        """Everything known of the item in a row, as it is now."""
        return self.delta.item(row)

    def item_id(self, row: int) -> str:
        """As `Catalog.item_id`."""
        return self._base.item_id(row) if row < self._rows else self.delta.items[row].item_id

    def rows_of(self, item_ids: Sequence[str]) -> Rows:
        """As `Catalog.rows_of`."""
        rows = self._base.rows_of(item_ids)
        newest = self.delta.row_of
        if newest:
            for at, item in enumerate(item_ids):
                if item in newest:
                    rows[at] = newest[item]
        return rows

    def item_ids(self, rows: Rows) -> list[str]:
        """As `Catalog.item_ids`."""
        ids = self._base.item_ids(np.minimum(rows, self._rows - 1))
        for at in np.flatnonzero(rows >= self._rows).tolist():
            ids[at] = self.delta.items[int(rows[at])].item_id
        return ids

    def title(self, row: int) -> str:
        """As `Catalog.title`."""
        return self.delta.items[row].title if row in self.delta.items else self._base.title(row)

    def short_title(self, row: int) -> str:
        """As `Catalog.short_title`."""
        changed = self.delta.items.get(row)
        return self._base.short_title(row) if changed is None else short_title(changed.title)

    def category(self, row: int) -> str:
        """As `Catalog.category`."""
        return self.delta.items[row].category if row in self.delta.items else self._base.category(row)

    def price(self, row: int) -> float | None:
        """As `Catalog.price`."""
        return self.delta.items[row].price if row in self.delta.items else self._base.price(row)

    def brand(self, row: int) -> str | None:
        """As `Catalog.brand`."""
        return self.delta.items[row].brand if row in self.delta.items else self._base.brand(row)

    def popularities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """As `Catalog.popularities`."""
        found = self._base.popularities(np.minimum(rows, self._rows - 1))
        for at in self._changed(rows):
            found[at] = self.delta.items[int(rows[at])].popularity or 0.0
        return found

    def popularity(self, row: int) -> float:
        """As `Catalog.popularity`."""
        changed = self.delta.items.get(row)
        return self._base.popularity(row) if changed is None else changed.popularity or 0.0

    def prices(self, rows: Rows) -> npt.NDArray[np.float64]:
        """As `Catalog.prices`."""
        found = self._base.prices(np.minimum(rows, self._rows - 1))
        for at in self._changed(rows):
            price = self.delta.items[int(rows[at])].price
            found[at] = np.nan if price is None else price
        return found

    def category_codes(self, rows: Rows) -> npt.NDArray[np.int64]:
        """As `Catalog.category_codes`."""
        found = self._base.category_codes(np.minimum(rows, self._rows - 1))
        new = rows >= self._rows
        found[new] = self._added.codes(rows[new] - self._rows)
        return found

    def category_code(self, category: str) -> int:
        """As `Catalog.category_code`."""
        code = self._base.category_code(category)
        return self._added.code(category) if code < 0 else code

    def texts_of(self, rows: Rows) -> Rows:
        """As `Catalog.texts_of`."""
        found = self._base.texts_of(np.minimum(rows, self._rows - 1))
        new = rows >= self._rows
        found[new] = self._texts + rows[new] - self._rows
        return found

    def attribute(self, row: int, name: str) -> str | None:
        """As `Catalog.attribute`."""
        changed = self.delta.items.get(row)
        return self._base.attribute(row, name) if changed is None else changed.attributes.get(name)

    @property
    def categories(self) -> tuple[str, ...]:
        """As `Catalog.categories`; new ones last."""
        new = (item.category for row, item in self.delta.items.items() if row >= self._rows)
        return tuple(dict.fromkeys([*self._base.categories, *new]))

    def category_of_item(self) -> dict[str, str]:
        """As `Catalog.category_of_item`."""
        return self._base.category_of_item() | {i.item_id: i.category for i in self.delta.items.values()}

    def phrases(self) -> Iterator[str]:
        """As `Catalog.phrases`, with the titles of new and changed items."""
        yield from self._base.phrases()
        for item in self.delta.items.values():
            yield short_title(item.title)

    def sold_out(self) -> frozenset[str]:
        """Ids of items that are not to be had."""
        return self.delta.sold_out

    @property
    def hidden(self) -> int:
        """As `Catalog.hidden`."""
        return self.delta.hidden

    def offered(self, rows: Rows) -> Rows:
        """As `Catalog.offered`."""
        return rows[~self.delta.masked[rows]] if self.delta.hidden else rows

    def offered_mask(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """As `Catalog.offered_mask`."""
        mask: npt.NDArray[np.bool_] = ~self.delta.masked[rows]
        return mask

    def rows_of_category(self, category: str) -> Rows:
        """As `Catalog.rows_of_category`, without what is not offered; new rows by their popularity among the others."""
        return self._merged(self.offered(self._base.rows_of_category(category)), self._new.get(category, []))

    def popular(self, category: str | None, n: int) -> Rows:
        """As `Catalog.popular`."""
        rows = self._base.popular(category, n + self.delta.hidden)
        new = self._new.get(category, []) if category is not None else self._all_new
        return self._merged(self.offered(rows)[:n], new[:n])[:n]

    def text_of(self, row: int) -> int:
        """As `Catalog.text_of`."""
        return self._base.text_of(row) if row < self._rows else self._texts + row - self._rows

    def rows_of_text(self, text: int) -> Rows:
        """As `Catalog.rows_of_text`."""
        if text < self._texts:
            return self._base.rows_of_text(text)
        return np.array([self._rows + text - self._texts], dtype=np.int64)

    def text_sizes(self, texts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """As `Catalog.text_sizes`."""
        sizes = np.ones(len(texts), dtype=np.int64)
        old = texts < self._texts
        sizes[old] = self._base.text_sizes(texts[old])
        return sizes

    def rows_of_texts(self, texts: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Rows:
        """As `Catalog.rows_of_texts`."""
        rows: Rows = texts - self._texts + self._rows
        old = texts < self._texts
        rows[old] = self._base.rows_of_texts(texts[old], places[old])
        return rows

    @cached_property
    def added_rows(self) -> Rows:
        """As `Catalog.added_rows`."""
        end = self._rows + self.delta.rows
        rows = np.arange(end - 1, max(self._rows, end - NEWEST) - 1, -1)
        rows = self.offered(rows)
        return rows[self.is_added(rows)]

    def is_added(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """As `Catalog.is_added`."""
        added = rows >= self._rows
        added[added] = self._added.unknown_before(rows[added] - self._rows)
        return added

    def liked(self, rows: Rows) -> npt.NDArray[np.float64]:
        """As `Catalog.liked`."""
        return np.where(rows < self._rows, self._base.liked(np.minimum(rows, self._rows - 1)), 0.0)

    def popular_of_build(self, category: str, n: int) -> Rows:
        """As `Catalog.popular_of_build`."""
        rows = self._base.rows_of_category(category)
        found = self.offered(rows[: 2 * n])
        return found[:n] if len(found) >= n else self.offered(rows)[:n]

    def _changed(self, rows: Rows) -> list[int]:
        changed = self._changed_rows
        if not len(changed):
            return []
        at = np.searchsorted(changed, rows)
        at[at == len(changed)] = 0
        return np.flatnonzero(changed[at] == rows).tolist()

    @cached_property
    def _changed_rows(self) -> Rows:
        """Rows whose items are new or changed, rising."""
        return np.sort(np.fromiter(self.delta.items, dtype=np.int64, count=len(self.delta.items)))

    @cached_property
    def _all_new(self) -> list[int]:
        """New rows that are offered, most popular first."""
        rows = np.flatnonzero(~self.delta.masked[self._rows :]) + self._rows
        return sorted(rows.tolist(), key=lambda row: -self.popularity(row))

    @cached_property
    def _new(self) -> dict[str, list[int]]:
        """The same by category."""
        found: dict[str, list[int]] = {}
        for row in self._all_new:
            found.setdefault(self.delta.items[row].category, []).append(row)
        return found

    def _merged(self, rows: Rows, new: list[int]) -> Rows:
        if not new:
            return rows
        liked = np.concatenate([self._base.popularities(rows), [self.popularity(row) for row in new]])
        both = np.concatenate([rows, np.array(new, dtype=np.int64)])
        return both[np.argsort(-liked, kind="stable")]
