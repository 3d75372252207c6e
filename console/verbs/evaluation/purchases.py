"""Purchases and what is known of their items, as the verbs that learn from them and measure read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from console.errors import ConsoleError

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from index.channels.purchases import Purchases
    from index.encoders.encoder import Vectors

__all__ = ["Bought", "moment_of", "read_purchases", "student_cutoff"]


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase log with its items.

    Attributes:
        log: The order lines.
        rejects: By reason, how many orders were left out.
        titles: By the item's number; "" where unknown.
        category: (items,) the number of each item's category, -1 where unknown; None without categories.
        category_names: By the category's number.
    """

    log: Purchases
    rejects: Counter[str]
    titles: list[str]
    category: npt.NDArray[np.int64] | None
    category_names: tuple[str, ...] = ()

    def category_of(self, item: int) -> str:
        """The name of an item's category; empty where it is unknown."""
        codes = self.category
        return self.category_names[codes[item]] if codes is not None and codes[item] >= 0 else ""

    def on_offer(self, offered: npt.NDArray[np.bool_] | None = None) -> list[str]:
        """The short titles of the items that are offered, of all if none are named: what a worker lets a student write."""
        from index.items.titles import short_title  # noqa: PLC0415

        return [
            short_title(title)
            for at, title in enumerate(self.titles)
            if title and (offered is None or offered[at])
        ]

    def vectors(self) -> Vectors | None:
        """(items, d) of the titles by the configured encoder; None without titles."""
        from console.settings import load_settings  # noqa: PLC0415
        from index.settings import open_encoder  # noqa: PLC0415

        if not any(self.titles):
            return None
        return open_encoder(load_settings().index.encoder).encode([title or "-" for title in self.titles])


def moment_of(day: str) -> int:
    """UTC milliseconds of 00:00 of a day such as 2011-09-01.

    Raises:
        ConsoleError: If it is no day.
    """
    try:
        moment = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConsoleError(
            f"The cutoff {day!r} is no day.", way_out="Give it as year, month and day: 2011-09-01."
        ) from error
    return int(moment.timestamp()) * 1000


def student_cutoff(student: Path) -> str:
    """The day before which a student has seen purchases.

    Raises:
        ConsoleError: If its folder does not say.
    """
    try:
        cutoff: str = json.loads((student / "student.json").read_text(encoding="utf-8"))["pairs"]["cutoff"]
        moment_of(cutoff)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConsoleError(
            f"The folder {student} does not say up to when its student has seen purchases.",
            way_out="Name one that `nearline distill train` wrote.",
        ) from error
    return cutoff


def read_purchases(events: Path, catalog: Path | None, *, known_before: int | None = None) -> Bought:
    """Read a file of purchases.

    Args:
        events: A CSV file of Online Retail, events as .jsonl, .jsonl.gz or .parquet, or ``completejourney``.
        catalog: The items of a file of one's own events.
        known_before: UTC milliseconds; items read as they did before, where the dataset can tell.

    Raises:
        DatasetError: If a file cannot be read.
        CatalogError: If it has no valid order.
    """
    import numpy as np  # noqa: PLC0415

    from index.evaluate.orders import take_orders  # noqa: PLC0415
    from stream.datasets import open_dataset  # noqa: PLC0415

    dataset = open_dataset(str(events), catalog=catalog)
    items = _items(dataset, events, catalog, known_before)
    orders = take_orders(dataset.orders(), list(items), source=str(events))
    known = [items.get(item, {}) for item in orders.log.items]
    names = [str(row.get("category") or "") for row in known]
    codes = {name: code for code, name in enumerate(dict.fromkeys(name for name in names if name))}
    category = np.array([codes.get(name, -1) for name in names], dtype=np.int64) if codes else None
    return Bought(
        orders.log, orders.rejects, [str(row.get("title") or "") for row in known], category, tuple(codes)
    )


def _items(
    dataset: Any, events: Path, catalog: Path | None, known_before: int | None
) -> dict[str, dict[str, Any]]:
    """The items by id; of a shop's invoices as they read before a moment, then those sold only later."""
    from stream.datasets import CompleteJourney, OnlineRetail  # noqa: PLC0415

    items: dict[str, dict[str, Any]] = {}
    if isinstance(dataset, OnlineRetail) and known_before is not None:
        for row in OnlineRetail(events, known_before=known_before).catalog():
            items[row["item_id"]] = row
    if catalog is not None or isinstance(dataset, OnlineRetail | CompleteJourney):
        for row in dataset.catalog():
            items.setdefault(str(row.get("item_id", "")), row)
    items.pop("", None)
    return items
