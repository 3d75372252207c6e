"""The shop as the judge of demands asks about it: a catalogue, its channels of words, and what is bought together.

`agents.judge` says what it asks for (`agents.judge.shop.Shop`); here it is answered from `index`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from agents.judge import Calibration, Judge
from agents.judge.shop import Near
from agents.judge.terms import terms
from index.channels.dense import DenseCatalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agents.judge.shop import Thing
    from agents.settings import JudgeSettings
    from index.channels.behaviour import Neighbours
    from index.channels.channel import QueryChannel
    from index.encoders.encoder import Encoder, Vectors
    from index.recall import Recall

__all__ = ["HasNow", "LivingJudge", "Rows", "Shelf", "shelf_of"]

DEPTH: Final = 10
"""Items looked at in each list of a demand."""


class HasNow(Protocol):
    """What hands out the recall to use: a `Recall` itself, or a catalogue that changes."""

    @property
    def now(self) -> Recall:
        """The recall over the newest state."""


class Rows(Protocol):
    """What is asked of a catalogue, as `index.Catalog` has it."""

    def __len__(self) -> int: ...

    def row(self, item_id: str) -> int | None:
        """The row of an item; None if there is no such item."""

    def item_id(self, row: int) -> str:
        """The id of the item in a row."""

    def title(self, row: int) -> str:
        """Its title."""

    def category(self, row: int) -> str:
        """Its category."""

    def popularity(self, row: int) -> float:
        """How much it is bought."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """What is counted over a whole catalogue: some seconds for a million items, once a build."""

    words: Counter[str]
    sold: Counter[str]
    popularity: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: Rows, before: _Counts | None = None) -> _Counts:
        """Count; after ``before``, which counted the same rows, only those that were added since."""
        words = Counter(before.words) if before else Counter[str]()
        sold = Counter(before.sold) if before else Counter[str]()
        known = len(before.popularity) if before else 0
        liked = np.zeros(len(rows))
        for row in range(known, len(rows)):
            words.update(terms(rows.title(row)))
            liked[row] = rows.popularity(row)
            sold[rows.category(row)] += int(liked[row]) + 1
        whole = np.concatenate([before.popularity, liked[known:]]) if before else liked
        return cls(words, sold, np.sort(whole))


class Shelf:
    """Answers the judge; as `agents.judge.shop.Shop` describes. Safe to share between threads.

    Args:
        rows: The catalogue.
        dense: Finds rows near in meaning; its scores are cosines.
        lexical: Finds rows with the words; None does without.
        encoder: Of the queries.
        vectors: (m, d) the vectors of m rows' texts; None if the rows' titles are to be encoded.
        together: What is bought together, with the ids of its items by number; None where nothing was learnt.
        offered: Those of some rows that may be shown; all if None.
        before: A shelf over an earlier state of the same build, whose counts are taken over.
    """

    def __init__(
        self,
        rows: Rows,
        dense: QueryChannel,
        lexical: QueryChannel | None,
        encoder: Encoder,
        *,
        vectors: Callable[[npt.NDArray[np.int64]], Vectors] | None = None,
        together: tuple[Neighbours, Sequence[str]] | None = None,
        offered: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]] | None = None,
        before: Shelf | None = None,
    ) -> None:
        self._rows = rows
        self._dense = dense
        self._lexical = lexical
        self._encoder = encoder
        self._vectors = vectors or self._encoded
        self._offered = offered
        # Another shelf is no stranger.
        self._counts: _Counts = _Counts.of(rows, before._counts if before else None)  # noqa: SLF001
        self._sold = max(1, self._counts.sold.total())
        self._neighbours = together[0] if together else None
        self._number = {item: at for at, item in enumerate(together[1])} if together else {}
        self._learnt = np.abs(together[0].strengths).sum(axis=1) > 0 if together else None

    @property
    def rarest(self) -> float:
        """As `Shop.rarest`."""
        return math.log1p(max(1, len(self._rows)))

    def rarity(self, word: str) -> float | None:
        """As `Shop.rarity`."""
        count = self._counts.words.get(word)
        return math.log1p(len(self._rows) / count) if count else None

    def category_share(self, category: str) -> float:
        """As `Shop.category_share`."""
        return self._counts.sold.get(category, 0) / self._sold

    def near(self, queries: Sequence[str]) -> list[list[Near]]:
        """As `Shop.near`, of what is on offer. What only its words found is no nearer in meaning than the last that meaning found."""
        if not queries:
            return []
        by_meaning = self._dense.answer(queries, DEPTH)
        by_words = self._lexical.answer(queries, DEPTH) if self._lexical else None
        found = []
        for at in range(len(queries)):
            scores: dict[int, float] = {
                int(row): float(score)
                for row, score in zip(by_meaning.rows[at], by_meaning.scores[at], strict=True)
                if row >= 0
            }
            last = min(scores.values(), default=0.0)
            for row in by_words.rows[at] if by_words is not None else ():
                if row >= 0:
                    scores.setdefault(int(row), last)
            rows = np.array(list(scores), dtype=np.int64)
            shown = self._offered(rows) if self._offered else rows
            found.append([self._near(row, scores[row]) for row in shown.tolist()])
        return found

    def _near(self, row: int, likeness: float) -> Near:
        rows, liked = self._rows, self._counts.popularity
        below = float(np.searchsorted(liked, rows.popularity(row))) / max(1, len(liked))
        return Near(rows.item_id(row), rows.title(row), rows.category(row), likeness, below)

    def likeness(self, queries: Sequence[str], things: Sequence[Thing]) -> npt.NDArray[np.float32]:
        """As `Shop.likeness`; an item that the catalogue lacks is compared by its text."""
        known = np.full((len(queries), len(things)), np.nan, dtype=np.float32)
        if not queries or not things:
            return known
        asked = self._encoder.encode(queries)
        row_of = [self._rows.row(thing.item) if thing.item else None for thing in things]
        items = [at for at, row in enumerate(row_of) if row is not None]
        texts = [at for at, row in enumerate(row_of) if row is None and things[at].text.strip()]
        if items:
            rows = np.array([row_of[at] for at in items], dtype=np.int64)
            known[:, items] = asked @ self._vectors(rows).T
        if texts:
            known[:, texts] = asked @ self._encoder.encode([things[at].text for at in texts]).T
        return known

    def affinity(self, bought: Mapping[str, float], items: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """As `Shop.affinity`: by the sum of the item-to-item weights of what was bought."""
        near, learnt = self._neighbours, self._learnt
        if near is None or learnt is None:
            return None
        scores = np.zeros(len(near.partners), dtype=np.float32)
        for item, weight in bought.items():
            number = self._number.get(item)
            if number is not None:
                # An item stands once among the partners of another, so no sum is lost.
                scores[near.partners[number]] += weight * near.strengths[number]
        ranked = np.sort(scores)
        numbers = [self._number.get(item, -1) for item in items]
        places = np.searchsorted(ranked, scores[numbers]) / max(1, len(ranked))
        known = np.array([number >= 0 and bool(learnt[number]) for number in numbers], dtype=bool)
        found: npt.NDArray[np.float32] = np.where(known, places, np.nan).astype(np.float32)
        return found

    def _encoded(self, rows: npt.NDArray[np.int64]) -> Vectors:
        return self._encoder.encode([self._rows.title(int(row)) for row in rows])


def shelf_of(recall: Recall, before: Shelf | None = None) -> Shelf:
    """The shelf of an opened recall; ``before`` is one over an earlier state of the same build."""
    beside = recall.beside
    kept = beside.embeddings

    def vectors(rows: npt.NDArray[np.int64]) -> Vectors:
        texts = recall.catalog.texts_of(rows)
        found = np.empty((len(rows), recall.vectors.dimensions), np.float32)
        old = texts < len(kept)
        found[old] = kept[texts[old]]
        found[~old] = recall.vectors.added[texts[~old] - len(kept)]
        return found

    return Shelf(
        recall.catalog,
        DenseCatalog(recall),
        beside.lexical,
        recall.encoder,
        vectors=None if kept is None else vectors,
        together=beside.neighbours,
        offered=recall.catalog.offered,
        before=before,
    )


class LivingJudge:
    """The judge over a catalogue that changes; call it once a batch.

    Args:
        settings: Whether and how demands are judged.
        recall: Its ``now`` is the newest state of the catalogue.

    Raises:
        CalibrationError: The settings name a file that holds no calibration.
    """

    def __init__(self, settings: JudgeSettings, recall: HasNow) -> None:
        self._calibration = Calibration.load(settings.calibration)
        self._threshold = settings.threshold
        self._recall = recall
        self._made: tuple[Recall, Judge, Shelf] | None = None

    def follow(self, recall: HasNow) -> None:
        """Judge by another catalogue from now on: the living one, once it is there."""
        self._recall = recall

    def __call__(self) -> Judge:
        """The judge over the newest state; counting a new build takes some seconds for a million items."""
        now, made = self._recall.now, self._made
        if made is not None and made[0] is now:
            return made[1]
        same = made is not None and made[0].catalog.manifest.build_id == now.catalog.manifest.build_id
        shelf = shelf_of(now, made[2] if made is not None and same else None)
        judge = Judge(shelf, self._calibration, self._threshold)
        self._made = (now, judge, shelf)
        return judge
