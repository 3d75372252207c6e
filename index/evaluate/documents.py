"""The catalogue of a retrieval evaluation: ids and the texts of the fields that words are looked for in.

==============  ==================================================================================
field           column of the file
==============  ==================================================================================
id              ``item_id`` or ``id``
``title``       ``title``
``name``        ``name``: a model number or a short name
``description`` ``description`` or ``short_description``
``brand``       ``brand`` or ``supplier``
``attributes``  the values of the object ``attributes``, and of every column that begins with ``attr_``
==============  ==================================================================================
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from index.errors import CatalogSourceError
from index.items.reader import read_records

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Documents", "read_documents"]

_LONGEST: Final = 20_000
"""Characters of a field that are read; a longer text is cut, as no product is described by more."""


@dataclass(slots=True)
class Documents:
    """The items, by row.

    Attributes:
        ids: Their ids.
        fields: By field the text of every item; empty where there is none.
        rejects: By reason, how many records are no item.
        examples: The first ten rejects, as ``line N: reason``.
    """

    ids: list[str] = field(default_factory=list)
    fields: dict[str, list[str]] = field(
        default_factory=lambda: {name: [] for name in ("title", "name", "description", "brand", "attributes")}
    )
    rejects: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def rows(self) -> dict[str, int]:
        """The row of each item by its id."""
        return {item: row for row, item in enumerate(self.ids)}


def read_documents(path: Path) -> Documents:
    """Read a catalogue file of any kind that `index.items.reader` knows.

    Raises:
        CatalogSourceError: If the file cannot be read or holds no item.
    """
    found = Documents()
    seen: set[str] = set()
    for record in read_records(path):
        reason = record.problem or "no JSON object"
        if record.fields is not None:
            item = _text(record.fields.get("item_id") or record.fields.get("id"))
            title = _text(record.fields.get("title"))
            reason = _fault(item, title, seen)
            if not reason:
                seen.add(item)
                _add(found, item, title, record.fields)
                continue
        found.rejects[reason] += 1
        if len(found.examples) < 10:
            found.examples.append(f"line {record.line}: {reason}")
    if not found.ids:
        raise CatalogSourceError(
            f"{path} holds no item with an id and a title ({dict(found.rejects.most_common(3))}).",
            way_out="Give a file with the columns item_id (or id) and title.",
        )
    return found


def _fault(item: str, title: str, seen: set[str]) -> str:
    if not item:
        return "no item_id"
    if item in seen:
        return "an id given before"
    return "" if title else "an empty title"


def _add(found: Documents, item: str, title: str, record: dict[str, Any]) -> None:
    attributes = record.get("attributes")
    values = list(attributes.values()) if isinstance(attributes, dict) else []
    values += [value for name, value in record.items() if name.startswith("attr_")]
    found.ids.append(item)
    found.fields["title"].append(title)
    found.fields["name"].append(_text(record.get("name")))
    found.fields["description"].append(_text(record.get("description") or record.get("short_description")))
    found.fields["brand"].append(_text(record.get("brand") or record.get("supplier")))
    # Flags and measures are no words that anybody searches for.
    found.fields["attributes"].append(
        " ".join(value for value in values if isinstance(value, str))[:_LONGEST]
    )


def _text(value: object) -> str:
    return (
        str(value).strip()[:_LONGEST] if isinstance(value, str | int) and not isinstance(value, bool) else ""
    )
