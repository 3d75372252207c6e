"""The built catalogue, opened for reading: memory-mapped, quick to open, quick to ask."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from index.built.manifest import ITEMS, SOLD_OUT, Manifest
from index.errors import CatalogDamagedError
from index.items.item import UNCATEGORISED, Item

if TYPE_CHECKING:
    from pathlib import Path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["BUILD_KEY", "NEWEST", "Catalog", "Rows"]

Rows = npt.NDArray[np.int64]

BUILD_KEY: Final = b"nearline.build_id"
"""Key in the item table's metadata of the build it belongs to."""


NEWEST: Final = 2_000
"""Items that came after the build which are offered as new: the latest of them."""


class Catalog:
    """The items of one build, by row from 0 to ``len - 1`` in the order of the source.

    Safe to share between threads; nothing in it changes. A newer build that is swapped in
    leaves an open catalogue as it is.
    """

    def __init__(self, manifest: Manifest, table: Any, sold_out: frozenset[str] = frozenset()) -> None:
        self.manifest = manifest
        self._sold_out = sold_out
        self._ids = table["item_id"].chunk(0)
        self._titles = table["title"].chunk(0)
        self._short_titles = table["short_title"].chunk(0)
        self._brands = table["brand"].chunk(0)
        self._attributes = table["attributes"].chunk(0)
        self._prices = table["price"].chunk(0).to_numpy()
        self._popularity = table["popularity"].chunk(0).to_numpy()
        categories = table["category"].chunk(0)
        self._category_of = categories.indices.to_numpy()
        self._categories: list[str] = categories.dictionary.to_pylist()
        self._text_of = table["text"].chunk(0).to_numpy()
        self._row_of: dict[str, int] = dict(zip(self._ids.to_pylist(), range(len(self._ids)), strict=True))
        self._masked: npt.NDArray[np.bool_] | None = None
        if sold_out:
            self._masked = np.zeros(len(self._ids), dtype=np.bool_)
            self._masked[[self._row_of[item] for item in sold_out if item in self._row_of]] = True
        self._order()

    def _order(self) -> None:
        """Sort rows by popularity, within everything, each category and each text; ties by row."""
        liked = -self._popularity
        self._popular = np.lexsort((liked,)).astype(np.int64)
        self._by_category = np.lexsort((liked, self._category_of)).astype(np.int64)
        self._category_starts = np.searchsorted(
            self._category_of[self._by_category], np.arange(len(self._categories) + 1)
        )
        self._code_of = {name: code for code, name in enumerate(self._categories)}
        self._by_text = np.lexsort((liked, self._text_of)).astype(np.int64)
        self._text_starts = np.searchsorted(self._text_of[self._by_text], np.arange(self.manifest.texts + 1))

    @classmethod
    def open(cls, directory: Path, *, verify: bool = False) -> Catalog:
        """Open the catalogue in a folder.

        Args:
            directory: The folder ``nearline catalog build`` wrote.
            verify: Compare the file's SHA-256 too, which reads all of it.

        Raises:
            CatalogMissingError: If there is no catalogue.
            CatalogDamagedError: If the item table is missing, cut short or altered.
        """
        manifest = Manifest.load(directory)
        path = manifest.check(directory, ITEMS, verify=verify)
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            found = (table.schema.metadata or {}).get(BUILD_KEY, b"").decode()
            if found != manifest.build_id or table.num_rows != manifest.items:
                raise CatalogDamagedError(
                    f"{path} belongs to another build than the manifest beside it.",
                    way_out="If a build was just finishing, open it again; else build it again.",
                )
            return cls(manifest, table, _sold_out(directory, manifest, verify=verify))
        except (pa.ArrowException, KeyError, IndexError) as error:
            raise CatalogDamagedError(
                f"{path} is no readable item table.", way_out="Build the catalogue again."
            ) from error

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._row_of

    def row(self, item_id: str) -> int | None:
        """The row of an item; None if the catalogue lacks it."""
        return self._row_of.get(item_id)

    def item_id(self, row: int) -> str:
        """The id of the item in a row."""
        return _text(self._ids[row])

    def rows_of(self, item_ids: Sequence[str]) -> Rows:
        """(m,) `row` of many items at once; -1 for those that the catalogue lacks."""
        get = self._row_of.get
        return np.array([get(item, -1) for item in item_ids], dtype=np.int64)

    def item_ids(self, rows: Rows) -> list[str]:
        """`item_id` of many rows (m,) at once."""
        ids: list[str] = self._ids.take(pa.array(rows)).to_pylist()
        return ids

    def title(self, row: int) -> str:
        """The whole title, cleaned."""
        return _text(self._titles[row])

    def short_title(self, row: int) -> str:
        """The short title, for people and prompts."""
        return _text(self._short_titles[row])

    def category(self, row: int) -> str:
        """The category's name."""
        return self._categories[int(self._category_of[row])]

    def named_category(self, row: int) -> str | None:
        """The category's name; None where the source gave none."""
        name = self.category(row)
        return None if name == UNCATEGORISED else name

    def price(self, row: int) -> float | None:
        """The price, in the shop's currency; None if unknown."""
        price = float(self._prices[row])
        return None if price != price else price  # noqa: PLR0124 - only a NaN differs from itself

    def brand(self, row: int) -> str | None:
        """The brand; None if unknown."""
        brand: str | None = self._brands[row].as_py()
        return brand

    def popularity(self, row: int) -> float:
        """The popularity given for the item, such as pieces sold; 0 if none was."""
        return float(self._popularity[row])

    def popularities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """`popularity` of many rows (m,) at once."""
        found: npt.NDArray[np.float64] = self._popularity[rows]
        return found

    def liked(self, rows: Rows) -> npt.NDArray[np.float64]:
        """(m,) popularity as the build had it, 0 for later rows: to settle ties, where it need not be the newest."""
        return self.popularities(rows)

    def prices(self, rows: Rows) -> npt.NDArray[np.float64]:
        """`price` of many rows (m,) at once; NaN where unknown."""
        found: npt.NDArray[np.float64] = self._prices[rows]
        return found

    def category_codes(self, rows: Rows) -> npt.NDArray[np.int64]:
        """(m,) the numbers of the rows' categories; -1 where the source gave none."""
        codes: Rows = self._category_of[rows].astype(np.int64)
        codes[codes == self._code_of.get(UNCATEGORISED, -1)] = -1
        return codes

    def category_code(self, category: str) -> int:
        """The number of a category; -1 for an unknown one."""
        return -1 if category == UNCATEGORISED else self._code_of.get(category, -1)

    def texts_of(self, rows: Rows) -> Rows:
        """`text_of` of many rows (m,) at once."""
        texts: Rows = self._text_of[rows].astype(np.int64)
        return texts

    def attribute(self, row: int, name: str) -> str | None:
        """One attribute of the item in a row; None if it has none of the name."""
        found: str | None = json.loads(self._attributes[row].as_py() or "{}").get(name)
        return found

    def item(self, row: int) -> Item:
        """Everything known of the item in a row."""
        return Item.model_construct(
            item_id=self.item_id(row),
            title=self.title(row),
            category=self.category(row),
            price=self.price(row),
            brand=self.brand(row),
            popularity=self.popularity(row),
            attributes=json.loads(self._attributes[row].as_py() or "{}"),
        )

    @property
    def categories(self) -> tuple[str, ...]:
        """All categories, in the order the source first names them."""
        return tuple(self._categories)

    def category_of_item(self) -> dict[str, str]:
        """The category of every item, by id: for whoever asks once an event and holds no rows."""
        names = [self._categories[code] for code in self._category_of.tolist()]
        return dict(zip(self._row_of, names, strict=True))

    def phrases(self) -> Iterator[str]:
        """Every different short title."""
        yield from pc.unique(self._short_titles).to_pylist()

    def rows_of_category(self, category: str) -> Rows:
        """The rows of a category, most popular first, ties in the source's order; empty for an unknown one."""
        code = self._code_of.get(category)
        if code is None:
            return self._popular[:0]
        return self._by_category[self._category_starts[code] : self._category_starts[code + 1]]

    def popular(self, category: str | None, n: int) -> Rows:
        """The n most popular rows of a category, or of all with None; the source's order where nothing is known."""
        rows = self._popular if category is None else self.rows_of_category(category)
        return self.offered(rows[: n + self.hidden])[:n]

    def sold_out(self) -> frozenset[str]:
        """Ids that were known not to be on offer when the catalogue was made."""
        return self._sold_out

    def is_offered(self, item_id: str) -> bool:
        """Whether an item is here and may be shown now."""
        row = self.row(item_id)
        return row is not None and len(self.offered(np.array([row], dtype=np.int64))) == 1

    @property
    def hidden(self) -> int:
        """How many rows are not offered at present."""
        return len(self._sold_out)

    def offered(self, rows: Rows) -> Rows:
        """Those of the rows that may be shown."""
        return rows if self._masked is None else rows[~self._masked[rows]]

    @property
    def added_rows(self) -> Rows:
        """Rows of the `NEWEST` offered items that came after the build, the newest first; none where nothing changes."""
        return np.empty(0, dtype=np.int64)

    def is_added(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """(m,) which of the rows are of items that the build did not have."""
        return np.zeros(len(rows), dtype=np.bool_)

    def popular_of_build(self, category: str, n: int) -> Rows:
        """As `popular` of a category, without looking at what came after the build: at no cost after a change."""
        return self.popular(category, n)

    def offered_mask(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """(m,) which of the rows may be shown."""
        return np.ones(len(rows), dtype=np.bool_) if self._masked is None else ~self._masked[rows]

    def text_of(self, row: int) -> int:
        """The number of the row's text, which is its number in the vector index."""
        return int(self._text_of[row])

    def rows_of_text(self, text: int) -> Rows:
        """The rows that share a text, most popular first."""
        return self._by_text[self._text_starts[text] : self._text_starts[text + 1]]

    def text_sizes(self, texts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many rows share each of the texts."""
        sizes: npt.NDArray[np.int64] = self._text_starts[texts + 1] - self._text_starts[texts]
        return sizes

    def rows_of_texts(self, texts: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Rows:
        """The rows in the given places, from 0, among the rows of the given texts; both (m,)."""
        rows: Rows = self._by_text[self._text_starts[texts] + places]
        return rows


def _sold_out(directory: Path, manifest: Manifest, *, verify: bool) -> frozenset[str]:
    if SOLD_OUT not in manifest.files:
        return frozenset()
    path = manifest.check(directory, SOLD_OUT, verify=verify)
    try:
        return frozenset(map(str, json.loads(path.read_bytes())))
    except (ValueError, TypeError) as error:
        raise CatalogDamagedError(
            f"{path} is no list of ids.", way_out="Build the catalogue again."
        ) from error


def _text(scalar: Any) -> str:
    text: str = scalar.as_py()
    return text
