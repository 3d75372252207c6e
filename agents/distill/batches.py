"""Batches: texts as token ids, and at each place of an answer the teacher's opinion of every piece.

A written title is a path in the trie of all phrases. At each node of the path the target is not the one piece that was
drawn but the share of the teacher's weight below each child, so one pair teaches the whole list that the teacher gave
(soft targets: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, here exact at every node).
A title once written has no weight afterwards, so a student that learns this does not repeat itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from agents.distill.form import (
    BETWEEN,
    CLOSE,
    END,
    FIXED,
    JOIN,
    LINES,
    NEW_LINE,
    NEXT,
    OPEN,
    PAD,
    START,
)
from agents.distill.tokenizer import piece, words_only

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from agents.distill.pairs import Pairs
    from agents.distill.settings import Lessons

__all__ = ["Batch", "Batches"]

Ints = npt.NDArray[np.int64]

_ENDED: Final = -2
_NONE: Final = -1
# A part of the histories has its newest titles on another line than the bought ones, as at a shopper who is looking round.
_LOOKING: Final = 0.3


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from.

    Attributes:
        ids: (rows, longest) token ids, padded on the right.
        rows: (places,) the row of each place that is learnt.
        columns: (places,) its column: what is learnt is the piece after it.
        pieces: (places, n) pieces that the teacher gives weight to; the same piece may be there several times.
        weights: (places, n) their weights, adding up to 1 in each row.
    """

    ids: Ints
    rows: Ints
    columns: Ints
    pieces: Ints
    weights: npt.NDArray[np.float32]


class Batches:
    """Draws batches from pairs."""

    def __init__(self, pairs: Pairs, tokenizer: Tokenizer, settings: Lessons) -> None:
        self._pairs = pairs
        self._settings = settings
        self._id = {text: piece(tokenizer, text) for text in FIXED}
        spelt = [
            [encoding.ids for encoding in one.encode_batch(list(pairs.phrases))]
            for one in (tokenizer, words_only(tokenizer))
        ]
        self._longest = max(len(ids) for way in spelt for ids in way)
        # Two ways to spell each phrase: whole, and by its words.
        self._paths = np.full((2, len(pairs.phrases), self._longest + 1), _NONE, dtype=np.int64)
        self._spelt = spelt
        for way, phrases in enumerate(spelt):
            for number, ids in enumerate(phrases):
                self._paths[way, number, : len(ids)] = ids
                self._paths[way, number, len(ids)] = _ENDED

    def draw(self, random: np.random.Generator, size: int, answers: int) -> Batch:
        """A batch of ``size`` pairs, each with ``answers`` titles written."""
        pairs = self._pairs
        chosen = random.integers(0, len(pairs), size)
        wants, weights = pairs.wants[chosen], pairs.weights[chosen]
        most = int((wants >= 0).sum(axis=1).max())
        wants, weights = wants[:, :most], weights[:, :most].copy()
        way = (random.random(wants.shape) < self._settings.apart).astype(np.int64)
        candidates = self._paths[way, np.maximum(wants, 0)]
        # Without replacement, likelier ones first: the largest log weight + Gumbel noise (Kool and others, ICML 2019).
        with np.errstate(divide="ignore"):
            noisy = np.log(weights) + random.gumbel(size=weights.shape)
        answers = min(answers, most)
        picked = np.argsort(-noisy, axis=1)[:, :answers]
        questions = [self._question(pairs.history(int(pair)), random) for pair in chosen]
        texts = [[*question] for question in questions]
        lists: list[tuple[Ints, Ints, Ints, npt.NDArray[np.float32]]] = []
        each = np.arange(size)
        last = np.minimum(answers, (weights > 0).sum(axis=1)) - 1
        for turn in range(answers):
            pick = picked[:, turn]
            live = weights[each, pick] > 0
            after: Ints = np.where(turn == last, self._id[CLOSE], self._id[BETWEEN])
            path = candidates[each, pick]
            starts = np.array([len(text) for text in texts]) - 1
            left = np.where(live[:, None], weights, 0.0)
            for depth in range(self._longest + 1):
                going = (path[:, depth] != _NONE) & live
                if not going.any():
                    break
                pieces = candidates[:, :, depth]
                share = left[going]
                lists.append(
                    (
                        each[going],
                        starts[going] + depth,
                        np.maximum(np.where(pieces == _ENDED, after[:, None], pieces)[going], 0),
                        (share / share.sum(axis=1, keepdims=True)).astype(np.float32),
                    )
                )
                left = left * (pieces == path[:, depth : depth + 1])
            for row in np.flatnonzero(live):
                ids = path[row]
                texts[row] += [*ids[ids >= 0].tolist(), int(after[row])]
            weights[each, pick] = 0.0
        # Before the first title and after the last one: the form itself.
        opened = np.array([len(text) for text in questions]) - 2
        closed = np.array([len(text) for text in texts]) - 1
        for places, form in ((opened, OPEN), (closed, END)):
            certain = np.zeros((size, most), dtype=np.float32)
            certain[:, 0] = 1.0
            lists.append((each, places, np.full((size, most), self._id[form], dtype=np.int64), certain))
        ids = np.full((size, max(map(len, texts))), self._id[PAD], dtype=np.int64)
        for number, text in enumerate(texts):
            ids[number, : len(text)] = text
        rows, columns, pieces, shares = (np.concatenate(parts) for parts in zip(*lists, strict=True))
        return Batch(ids, rows, columns, pieces, shares)

    def _question(self, had: Ints, random: np.random.Generator) -> list[int]:
        """The ids up to the opening of the answer."""
        if len(had) > 1 and self._settings.dropped:
            kept = had[random.random(len(had)) >= self._settings.dropped]
            had = kept if len(kept) else had[-1:]
        had = had[-self._settings.history :]
        looked = int(random.integers(1, len(had) + 1)) if random.random() < _LOOKING else 0
        line = LINES[int(random.integers(2, len(LINES)))]
        text = [self._id[START]]
        for name, part in ((LINES[1], had[: len(had) - looked]), (line, had[len(had) - looked :])):
            if not len(part):
                continue
            if len(text) > 1:
                text.append(self._id[NEW_LINE])
            text.append(self._id[name])
            apart = random.random(len(part)) < self._settings.apart
            for at, (number, words) in enumerate(zip(part.tolist(), apart.tolist(), strict=True)):
                if at:
                    text.append(self._id[JOIN])
                text += self._spelt[int(words)][number]
        return [*text, self._id[NEXT], self._id[OPEN]]
