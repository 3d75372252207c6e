"""From the records of a file to checked items, and to a list of those that were refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import ValidationError

from index.errors import CatalogSourceError
from index.items.item import UNCATEGORISED, Item, fault
from index.items.reader import Record, read_records
from index.items.titles import embedding_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from index.items.columns import Columns

__all__ = ["Intake", "Progress", "Reject", "take_in"]

_KEPT: Final = 1_000
_SHOWN: Final = 80


class Progress(Protocol):
    """Told how far a build is."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Take note.

        Args:
            stage: ``read`` (records), ``encode`` (texts) or ``index`` (vectors).
            done: How many are done.
            total: How many there are; None while that is unknown.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that did not become an item.

    Attributes:
        line: Line of the file, from 1; of Parquet the row.
        field: The item's field at fault, or ``line`` if the record could not be read.
        reason: What was expected, in words that are the same for every such record.
        found: The beginning of what was there.
    """

    line: int
    field: str
    reason: str
    found: str = ""


@dataclass(slots=True)
class Intake:
    """What came in.

    Attributes:
        items: The items, in the file's order.
        text_of: For each item the number of its text.
        texts: The different texts to encode, numbered in the order they came.
        rejects: The first 1,000 refused records.
        reasons: All refused records, by field and reason.
    """

    items: list[Item] = field(default_factory=list)
    text_of: list[int] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def take_in(
    source: Path, columns: Columns, popularity: Mapping[str, float], rejects: Path, progress: Progress
) -> Intake:
    """Read and check every record; write each refused one to the file ``rejects``, a JSON object a line.

    Raises:
        CatalogSourceError: If the source cannot be read or holds no valid item.
    """
    taken = Intake()
    lines: dict[str, int] = {}
    names: list[str] = []
    count = 0
    with rejects.open("w", encoding="utf-8") as stream:
        for count, record in enumerate(read_records(source), 1):
            if count % 2_000 == 0:
                progress("read", count, None)
            names = names or [str(name)[:_SHOWN] for name in record.fields or ()]
            outcome = _check(record, columns, popularity, lines)
            if isinstance(outcome, Item):
                lines[outcome.item_id] = record.line
                category = None if outcome.category == UNCATEGORISED else outcome.category
                text = embedding_text(outcome.title, category, outcome.brand)
                taken.text_of.append(taken.texts.setdefault(text, len(taken.texts)))
                taken.items.append(outcome)
                continue
            stream.write(json.dumps(asdict(outcome)) + "\n")
            taken.reasons[f"{outcome.field}: {outcome.reason}"] += 1
            if len(taken.rejects) < _KEPT:
                taken.rejects.append(outcome)
    progress("read", count, count)
    if not taken.items:
        raise CatalogSourceError(
            _none_valid(source, taken, names),
            way_out="Correct the file, or say which of its columns is which: `--column item_id=NAME`.",
        )
    return taken


def _check(
    record: Record, columns: Columns, popularity: Mapping[str, float], lines: Mapping[str, int]
) -> Item | Reject:
    if record.fields is None:
        name, _, reason = record.problem.partition(": ")
        return Reject(record.line, name, reason)
    picked = columns.pick(record.fields)
    known = popularity.get(str(picked.get("item_id", "")))
    if known is not None:
        picked["popularity"] = known
    try:
        item = Item.model_validate(picked)
    except ValidationError as error:
        name, reason = fault(error)
        return Reject(record.line, name, reason, _glimpse(picked.get(name)))
    if item.item_id in lines:
        found = f"{_glimpse(item.item_id)}, first on line {lines[item.item_id]}"
        return Reject(record.line, "item_id", "given to an earlier item", found)
    return item


def _glimpse(value: Any) -> str:
    if value is None:
        return ""
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _none_valid(source: Path, taken: Intake, names: list[str]) -> str:
    if not taken.reasons:
        return f"{source} is empty."
    reason, count = taken.reasons.most_common(1)[0]
    columns = f"; its columns are {', '.join(names[:20])}" if names else ""
    return f"{source} holds no valid item: {count} of {taken.reasons.total()} records have {reason}{columns}."
