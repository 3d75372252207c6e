"""Slates from behaviour and from words at once, ordered by a ranker that learnt at earlier moments what each is worth.

A scene is one moment: its shoppers, what behaviour knew then (`index.ranking.features`), what their demands brought, and
which of the new titles are like those they bought. A ranker for a moment learns from scenes before it, whose demands were
written by somebody who had not seen what was bought next either. The same scenes give the ranker that knows behaviour
alone, so what words add is one difference between two slates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from index.channels.taste import Taste
from index.errors import CatalogError
from index.evaluate.demand import DEPTH, Rows, of_channel
from index.ranking.diversity import broaden
from index.ranking.features import FEATURES, Knowledge
from index.ranking.learned import train
from index.ranking.lessons import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.evaluate.demand import Answers
    from index.evaluate.slate import Task
    from index.ranking.learned import Ranker

__all__ = ["COLUMNS", "PARTS", "Brought", "Scene", "brought", "learn", "slates_of"]

WORDS: Final = (
    "words_place",
    "words_votes",
    "words_confidence",
    "words_demand",
)
"""Of an item that demands bring: its place in their slate, the sum of 1 / (1 + its place) over all demands that bring it
among their first ten, the logarithm of the first one's confidence, and that one's place among the demands."""

CONTENT: Final = ("content_place", "listed_only")
"""Its place among the new titles nearest to the mean title, and whether it was never sold."""

COLUMNS: Final = (*FEATURES, *CONTENT, *WORDS)
"""Names of a fused ranker's columns."""

PARTS: Final[dict[str, frozenset[str]]] = {
    "behaviour": frozenset({"behaviour"}),
    "behaviour and new titles by content": frozenset({"behaviour", "content"}),
    "behaviour, content and U2Q": frozenset({"behaviour", "content", "words"}),
}
"""The fused slates that are compared, by what may bring candidates and has columns."""

_DEEP: Final = 100
_FIRST: Final = 10
_NEAREST: Final = 30
_MISSES: Final = 4
_SECOND: Final = [
    FEATURES.index(f"{name}_share") for name in ("ease", "ease-decayed", "ease-recent", "ease-basket")
]


@dataclass(frozen=True, slots=True)
class Brought:
    """What the demands of n shoppers bring.

    Attributes:
        rows: (n, 100) their items, best first, -1 where there are no more.
        columns: (n, 100, len(WORDS)) of each.
    """

    rows: Rows
    columns: npt.NDArray[np.float32]


def brought(
    answers: Answers,
    queries: Sequence[Sequence[str]],
    confidences: Sequence[Sequence[float | None]],
    task: Task,
    *,
    depth: int = _DEEP,
) -> Brought:
    """The items of demands in turns, as `index.evaluate.demand.slates`, and what is known of how they came.

    Args:
        answers: Of the channel that is asked.
        queries: Of each shopper, the most wanted first.
        confidences: Of each query, from 0 to 1; None where its writer gave none.
        task: Whose they are.
        depth: Most items of a shopper.
    """
    out = ~task.offered | task.shoppers.bought(len(task.offered))
    rows = np.full((len(queries), depth), -1, dtype=np.int64)
    columns = np.full((len(queries), depth, len(WORDS)), np.nan, dtype=np.float32)
    for at, (mine, sure) in enumerate(zip(queries, confidences, strict=True)):
        lists = [one[~out[at][one]] for one in answers(mine)]
        votes: dict[int, float] = {}
        for one in lists:
            for place, item in enumerate(one[:_FIRST].tolist()):
                votes[item] = votes.get(item, 0.0) + 1.0 / (1 + place)
        first: dict[int, int] = {}
        for place in range(max(map(len, lists), default=0)):
            for number, one in enumerate(lists):
                if place < len(one):
                    first.setdefault(int(one[place]), number)
            if len(first) >= depth:
                break
        for place, (item, number) in enumerate([*first.items()][:depth]):
            confidence = sure[number]
            rows[at, place] = item
            columns[at, place] = (
                place,
                votes.get(item, 0.0),
                np.nan if confidence is None else np.log(max(confidence, 1e-9)),
                number,
            )
    return Brought(rows, columns)


@dataclass(frozen=True, slots=True)
class _Pool:
    """Candidates: (m,) owner, item, where from; (m, len(COLUMNS)) columns."""

    owner: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    part: dict[str, npt.NDArray[np.bool_]]
    columns: npt.NDArray[np.float32]


class Scene:
    """One moment, with the candidates of all its shoppers.

    Args:
        knowledge: What behaviour knew.
        task: The shoppers, what is on offer, and what they bought next.
        words: What their demands bring.
    """

    def __init__(self, knowledge: Knowledge, task: Task, words: Brought) -> None:
        self.task = task
        self._sales = knowledge.item("sales_30")
        self._pool = _pool(knowledge, task, words)

    def samples(self, part: str, seed: int) -> Samples:
        """What the scene teaches a ranker of one of `PARTS`: all hits of the shoppers who have one, and some misses."""
        pool = self._pool
        hit = np.zeros(len(pool.rows), dtype=bool)
        items = len(self.task.offered)
        wanted = np.concatenate([at * items + one for at, one in enumerate(self.task.targets)])
        hit = np.isin(pool.owner * items + pool.rows, wanted) & pool.part[part]
        reached = np.bincount(pool.owner, hit, minlength=self.task.shoppers.count) > 0
        # The same misses whichever part is trained, so that two rankers differ in what they are told alone.
        drawn = np.random.default_rng(seed).random(len(pool.rows)) < 1 / _MISSES
        kept = pool.part[part] & reached[pool.owner] & (hit | drawn)
        sizes = np.unique(pool.owner[kept], return_counts=True)[1]
        return Samples(pool.columns[kept][:, _columns(part)], hit[kept].astype(np.int32), sizes)

    def slates(self, ranker: Ranker, part: str, depth: int = DEPTH) -> Rows:
        """(n, depth) the slates of a ranker of one of `PARTS`, -1 where one has ended."""
        pool, count = self._pool, self.task.shoppers.count
        kept = np.flatnonzero(pool.part[part])
        owner, items, columns = pool.owner[kept], pool.rows[kept], pool.columns[kept]
        present, compact = np.unique(owner, return_inverse=True)
        relevance = ranker.score(columns[:, _columns(part)], compact)
        # Behaviour's second opinion has none of an item that nobody bought yet.
        second = np.nan_to_num(columns[:, _SECOND]).mean(axis=1, dtype=np.float64)
        found = np.full((count, depth), -1, dtype=np.int64)
        bounds = np.searchsorted(compact, np.arange(len(present) + 1))
        for shopper, (start, stop) in zip(present.tolist(), pairwise(bounds.tolist()), strict=True):
            mine = items[start:stop]
            order = broaden(relevance[start:stop], second[start:stop], self._sales[mine])[:depth]
            found[shopper, : len(order)] = mine[order]
        return found


def learn(scenes: Sequence[Scene], part: str, *, seed: int = 0) -> Ranker:
    """A ranker of one of `PARTS` from earlier scenes.

    Raises:
        CatalogError: If no scene has anything to learn from, or lightgbm is not installed.
    """
    lessons = [scene.samples(part, seed + at) for at, scene in enumerate(scenes)]
    if not any(len(one.hit) for one in lessons):
        raise CatalogError(
            f"At none of the {len(scenes)} earlier moments did a shopper buy anything that {part} brings.",
            way_out="Give students of other cutoffs, or a longer log.",
        )
    whole = Samples(
        np.concatenate([one.features for one in lessons]),
        np.concatenate([one.hit for one in lessons]),
        np.concatenate([one.sizes for one in lessons]),
    )
    return train(whole, "novel", names=[COLUMNS[at] for at in _columns(part)])


def slates_of(scenes: Sequence[Scene], now: Sequence[Scene], *, seed: int = 0) -> list[dict[str, Rows]]:
    """Of each scene of now, by part, the slates of rankers that learnt from the earlier scenes."""
    found: list[dict[str, Rows]] = [{} for _ in now]
    for part in PARTS:
        ranker = learn(scenes, part, seed=seed)
        for at, scene in enumerate(now):
            found[at][part] = scene.slates(ranker, part)
    return found


def _columns(part: str) -> list[int]:
    allowed = {*FEATURES}
    allowed |= {*CONTENT} if "content" in PARTS[part] else set()
    allowed |= {*WORDS} if "words" in PARTS[part] else set()
    return [at for at, name in enumerate(COLUMNS) if name in allowed]


def _pool(knowledge: Knowledge, task: Task, words: Brought) -> _Pool:
    shoppers, items = task.shoppers, len(task.offered)
    count = shoppers.count
    scores = knowledge.score(shoppers)
    by_behaviour = np.zeros((count, items), dtype=bool)

    def noted(owner: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        by_behaviour[owner, rows] = True
        return np.zeros(len(owner), dtype=bool)

    knowledge.candidates(shoppers, novel=True, scores=scores, wanted=noted)
    new = task.offered & ~knowledge.sold
    nearest = np.full((count, _NEAREST), -1, dtype=np.int64)
    if knowledge.vectors is not None and new.any():
        kept = min(_NEAREST, int(new.sum()))
        nearest[:, :kept] = of_channel(Taste(knowledge.vectors, new), _only(task, new), depth=kept)
    by_content, content_place = _placed(nearest, items)
    by_words, _ = _placed(words.rows, items)
    also = (by_content | by_words) & task.offered
    found = knowledge.candidates(shoppers, novel=True, scores=scores, also=also)
    owner, rows = found.owner, found.rows
    columns = np.full((len(owner), len(COLUMNS)), np.nan, dtype=np.float32)
    columns[:, : len(FEATURES)] = found.features
    columns[:, len(FEATURES)] = content_place[owner, rows]
    columns[:, len(FEATURES) + 1] = ~knowledge.sold[rows]
    for at in range(len(WORDS)):
        table = np.full((count, items), np.nan, dtype=np.float32)
        who, place = np.nonzero(words.rows >= 0)
        table[who, words.rows[who, place]] = words.columns[who, place, at]
        columns[:, len(FEATURES) + len(CONTENT) + at] = table[owner, rows]
    origin = {
        "behaviour": by_behaviour[owner, rows],
        "content": by_content[owner, rows],
        "words": by_words[owner, rows],
    }
    part = {
        name: np.logical_or.reduce([origin[one] for one in sorted(allowed)])
        for name, allowed in PARTS.items()
    }
    return _Pool(owner, rows, part, columns)


def _only(task: Task, offered: npt.NDArray[np.bool_]) -> Task:
    return replace(task, offered=offered)


def _placed(rows: Rows, items: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """(n, items) whether an item is in the rows, and its place there; NaN where it is not."""
    there = np.zeros((len(rows), items), dtype=bool)
    place = np.full((len(rows), items), np.nan, dtype=np.float32)
    who, at = np.nonzero(rows >= 0)
    there[who, rows[who, at]] = True
    place[who, rows[who, at]] = at
    return there, place
