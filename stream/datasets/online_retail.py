"""UCI Online Retail: the invoices of a British wholesaler of gifts, most of whose buyers are shops.

Source: Chen, D. (2015), UCI Machine Learning Repository, CC BY 4.0. Read from a CSV file (plain or gzip) with the
columns ``InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID``.

A line is left out, and counted under the first reason that holds, when it is a cancellation (invoice
number with a C), its stock code is no product (postage, manual entries, fees, vouchers), it has no
customer, its quantity or price is not positive, or one of its fields cannot be read. Dates are British local
time and become UTC. The data has no categories: they are derived, see ``online_retail_titles``.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from statistics import median
from sys import intern
from typing import IO, TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from stream.datasets.baskets import Basket, Line, Tally
from stream.datasets.errors import DatasetError
from stream.datasets.online_retail_titles import readable_title, sort_of_gift
from stream.datasets.shop import OrderShop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from stream.datasets.browsing import BrowsingRule

__all__ = ["OnlineRetail"]

_COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
_PRODUCT = re.compile(r"\d{5}[A-Z]*|DCGS\w+")
_LONDON = ZoneInfo("Europe/London")


@dataclass(frozen=True, slots=True)
class _Sold:
    """One line that counts."""

    ts: int
    invoice: str
    item: str
    customer: str
    quantity: int
    price: float
    description: str


class OnlineRetail(OrderShop):
    """The dataset ``online-retail``.

    Args:
        path: the CSV file, ``.csv`` or ``.csv.gz``.
        known_before: UTC milliseconds; popularity, title and price are then taken only from lines before
            this time, and items not sold before it are not in the catalogue. None takes all lines.
        rule: the rule of the synthesised browsing.

    Raises:
        DatasetError: where the file is missing, lacks a column or has no line that counts.
    """

    name = "online-retail"

    def __init__(
        self, path: Path, *, known_before: int | None = None, rule: BrowsingRule | None = None
    ) -> None:
        super().__init__(rule)
        if not path.is_file():
            raise DatasetError(
                f"online-retail: there is no file {path}.",
                way_out="Name the CSV file (.csv or .csv.gz) of UCI Online Retail.",
            )
        self._path = path
        self._known_before = known_before

    def catalog(self) -> Iterator[dict[str, Any]]:
        """Yield the items, most sold first.

        ``title`` is the most frequent description of the stock code in normal case, ``category`` is derived
        from it, ``price`` is the median unit price (GBP), ``popularity`` the number of order lines (before
        ``known_before`` where given).
        """
        titles: dict[str, Counter[str]] = defaultdict(Counter)
        prices: dict[str, list[float]] = defaultdict(list)
        for sold in self._read[0]:
            if self._known_before is None or sold.ts < self._known_before:
                titles[sold.item][sold.description] += 1
                prices[sold.item].append(sold.price)
        for item in sorted(prices, key=lambda code: (-len(prices[code]), code)):
            # At a tie the longer description, then the first by alphabet: not the accident of the file's order.
            description = min(titles[item], key=lambda text: (-titles[item][text], -len(text), text))
            category, kind = sort_of_gift(description)
            yield {
                "item_id": item,
                "title": readable_title(description) or f"Item {item}",
                "category": category,
                "price": round(median(prices[item]), 2),
                "brand": None,
                "popularity": len(prices[item]),
                "attributes": {"type": kind},
            }

    def baskets(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[Basket]:
        """Yield the invoices with a line in ``[since, until)``, in order of their first line's time."""
        for basket in self._baskets:
            if until is not None and basket.ts >= until:
                return
            if (since is None or basket.lines[-1].ts >= since) and (users is None or basket.user_id in users):
                yield basket

    def tally(self) -> Tally:
        """Count all lines of the file, kept or left out and why."""
        return self._read[1]

    @cached_property
    def _baskets(self) -> list[Basket]:
        found = []
        by_invoice = sorted(self._read[0], key=lambda sold: (sold.customer, sold.invoice, sold.ts))
        for (customer, invoice), group in groupby(by_invoice, key=lambda sold: (sold.customer, sold.invoice)):
            seen: Counter[str] = Counter()
            lines = []
            for sold in group:
                # The same item may stand on an invoice several times.
                seen[sold.item] += 1
                event_id = f"or-{invoice}-{sold.item}-{seen[sold.item]}"
                amount = round(sold.quantity * sold.price, 2)
                lines.append(Line(event_id, sold.item, sold.ts, sold.quantity, amount))
            found.append(Basket(f"or-{invoice}", customer, tuple(lines)))
        return sorted(found, key=lambda basket: (basket.ts, basket.basket_id))

    @cached_property
    def _read(self) -> tuple[list[_Sold], Tally]:
        for encoding in ("utf-8-sig", "cp1252"):
            try:
                return self._parse(encoding)
            except UnicodeDecodeError:
                # The archive's spreadsheet is often saved in the Windows code page; pound signs tell.
                continue
            except (OSError, EOFError, csv.Error) as error:
                raise DatasetError(
                    f"{self._path}: cannot be read as CSV ({error}).",
                    way_out="Fetch the file again; it may be cut short.",
                ) from error
        raise DatasetError(f"{self._path}: neither UTF-8 nor Windows-1252 text.", way_out="Save it as UTF-8.")

    def _parse(self, encoding: str) -> tuple[list[_Sold], Tally]:
        kept: list[_Sold] = []
        tally = Tally()
        # Dates repeat for every line of an invoice, and turning local time to UTC is the slow part.
        times: dict[str, int] = {}
        with self._open(encoding) as text:
            reader = csv.DictReader(text)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DatasetError(
                    f"{self._path}: line 1 lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}.",
                    way_out=f"Expected are {', '.join(_COLUMNS)}.",
                )
            for row in reader:
                tally.read += 1
                sold = _sold(row, times)
                if isinstance(sold, str):
                    tally.drop(sold)
                else:
                    kept.append(sold)
        if not kept:
            raise DatasetError(
                f"{self._path}: none of its {tally.read} lines is an order ({tally.dropped}).",
                way_out="Check that it is the UCI Online Retail file with dates as 2010-12-01 08:26:00.",
            )
        tally.kept = len(kept)
        return kept, tally

    def _open(self, encoding: str) -> IO[str]:
        if self._path.suffix == ".gz":
            return gzip.open(self._path, "rt", encoding=encoding, newline="")
        return self._path.open(encoding=encoding, newline="")


def _sold(row: dict[str, Any], times: dict[str, int]) -> _Sold | str:
    """Read one line; text is the reason why it does not count."""
    if any(row[name] is None for name in _COLUMNS):
        return "unreadable field"
    invoice, code = row["InvoiceNo"].strip().upper(), row["StockCode"].strip().upper()
    if invoice.startswith("C"):
        return "cancellation"
    if not _PRODUCT.fullmatch(code):
        return "stock code is no product"
    customer = row["CustomerID"].strip().removesuffix(".0")
    if not customer:
        return "no customer"
    try:
        quantity, price = int(row["Quantity"]), float(row["UnitPrice"])
        ts = _utc_milliseconds(row["InvoiceDate"], times)
    except ValueError:
        return "unreadable field"
    if quantity <= 0:
        return "quantity not positive"
    if not 0 < price < float("inf"):
        return "price not positive"
    description = " ".join(row["Description"].split())
    return _Sold(ts, intern(invoice), intern(code), intern(customer), quantity, price, intern(description))


def _utc_milliseconds(date: str, times: dict[str, int]) -> int:
    ts = times.get(date)
    if ts is None:
        ts = int(datetime.fromisoformat(date).replace(tzinfo=_LONDON).timestamp()) * 1000
        times[date] = ts
    return ts
