"""What has changed since the build: one immutable state after each batch of changes.

A changed item whose text and category stay the same keeps its row and its vector. Any other upsert gets a new row
behind those of the build, with a text of its own, and the row before is no longer offered. So rows and texts of
the build never move, and a state that is being read never changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from index.built.embeddings import item_text
from index.items.item import UNCATEGORISED, Item
from index.items.titles import embedding_text
from index.living.changes import Price, Remove, Stock, Upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.built.catalog import Catalog
    from index.living.changes import Change

__all__ = ["Applied", "Delta", "text_of"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Delta:
    """A state.

    Attributes:
        base: The build.
        items: The items of changed rows as they are now: rows of the build, and all new rows.
        row_of: The row of each item that has a new one, newest.
        masked: (build's rows + new rows) what is not offered: replaced, removed or sold out.
        bare: (build's texts) texts of the build none of whose rows is offered.
        removed: Items that are gone.
        sold_out: Items that are not to be had.
        rows: How many new rows there are.
        changes: How many changes were applied since the build.
    """

    base: Catalog
    items: dict[int, Item]
    row_of: dict[str, int]
    masked: Mask
    bare: Mask
    removed: frozenset[str]
    sold_out: frozenset[str]
    rows: int = 0
    changes: int = 0
    hidden: int = field(default=0)

    @classmethod
    def empty(cls, base: Catalog) -> Delta:
        """Nothing changed yet; what was sold out when the build was made still is."""
        masked = np.zeros(len(base), dtype=np.bool_)
        gone = [row for item in base.sold_out() if (row := base.row(item)) is not None]
        masked[gone] = True
        delta = cls(
            base, {}, {}, masked, np.zeros(base.manifest.texts, np.bool_), frozenset(), base.sold_out()
        )
        return replace(delta, bare=_bare(base, delta.bare, masked, gone), hidden=int(masked.sum()))

    def row(self, item_id: str) -> int | None:
        """The row of an item, also of one that is not offered; None for one that nobody knows."""
        row = self.row_of.get(item_id)
        return self.base.row(item_id) if row is None else row

    def item(self, row: int) -> Item:
        """The item in a row as it is now."""
        return self.items[row] if row in self.items else self.base.item(row)


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch.

    Attributes:
        delta: The state after it.
        texts: The texts of the rows it added, in their order: to be encoded before the state is shown.
        unknown: Places in the batch of prices, stocks and removals of items that nobody knows.
    """

    delta: Delta
    texts: list[str]
    unknown: list[int]


def apply(delta: Delta, changes: Sequence[Change]) -> Applied:
    """The state after a batch of changes, in their order; the given one stays as it is."""
    base, first = delta.base, len(delta.base)
    items, row_of = dict(delta.items), dict(delta.row_of)
    removed, sold_out = set(delta.removed), set(delta.sold_out)
    last = {change.item.item_id: at for at, change in enumerate(changes) if isinstance(change, Upsert)}
    begun = {
        change.item.item_id: at
        for at, change in reversed(list(enumerate(changes)))
        if isinstance(change, Upsert)
    }
    texts: list[str] = []
    unknown: list[int] = []
    hide: list[int] = []  # rows that another one has replaced
    touched: dict[str, None] = {}

    def known(item_id: str) -> int | None:
        row = row_of.get(item_id)
        return base.row(item_id) if row is None else row

    for at, change in enumerate(changes):
        item_id = change.item.item_id if isinstance(change, Upsert) else change.item_id
        row = known(item_id)
        touched[item_id] = None
        if isinstance(change, Upsert):
            if last[item_id] != at:
                continue  # a later one of the batch says it all
            removed.discard(item_id)
            text = text_of(change.item)
            if row is not None and _same_place(delta, items, row, change.item, text):
                items[row] = change.item
                continue
            if row is not None:
                hide.append(row)
            row_of[item_id] = first + delta.rows + len(texts)
            items[row_of[item_id]] = change.item
            texts.append(text)
        elif row is None and begun.get(item_id, at) >= at:
            unknown.append(at)
        elif isinstance(change, Price):
            if row is not None:
                now = items[row] if row in items else base.item(row)
                items[row] = now.model_copy(update={"price": change.price})
        elif isinstance(change, Stock):
            (sold_out.discard if change.in_stock else sold_out.add)(item_id)
        elif isinstance(change, Remove):
            removed.add(item_id)
            sold_out.discard(item_id)
    masked = np.concatenate([delta.masked, np.zeros(len(texts), dtype=np.bool_)])
    masked[hide] = True
    changed = [*hide]
    for item_id in touched:
        row = known(item_id)
        if row is not None:
            masked[row] = item_id in removed or item_id in sold_out
            changed.append(row)
    after = replace(
        delta,
        items=items,
        row_of=row_of,
        masked=masked,
        bare=_bare(base, delta.bare, masked, [row for row in changed if row < first]),
        removed=frozenset(removed),
        sold_out=frozenset(sold_out),
        rows=delta.rows + len(texts),
        changes=delta.changes + len(changes),
        hidden=int(np.count_nonzero(masked)),
    )
    return Applied(after, texts, unknown)


def text_of(item: Item) -> str:
    """What the encoder reads of an item."""
    return embedding_text(item.title, None if item.category == UNCATEGORISED else item.category, item.brand)


def _same_place(delta: Delta, items: dict[int, Item], row: int, item: Item, text: str) -> bool:
    """Whether an item can stay in its row: what is searched and grouped by is as before."""
    if row in items:
        return items[row].category == item.category and text_of(items[row]) == text
    base = delta.base
    return row < len(base) and base.category(row) == item.category and item_text(base, row) == text


def _bare(base: Catalog, bare: Mask, masked: Mask, rows: Sequence[int]) -> Mask:
    """``bare`` with the texts of the given rows of the build looked at again."""
    if not rows:
        return bare
    now = bare.copy()
    for text in {base.text_of(row) for row in rows}:
        now[text] = bool(masked[base.rows_of_text(text)].all())
    return now
