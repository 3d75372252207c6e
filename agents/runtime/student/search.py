"""The likeliest phrases of a trie with their probabilities, for several shoppers at once, in a few passes.

At each decision the model's probabilities are taken over the trie's edges alone, so the probabilities of all phrases
add up to 1. From the root, decisions are opened best first: one whose probability is below that of the last phrase
wanted can bring none, since probabilities only fall along a path. All decisions opened in a round, of all shoppers,
are one pass of the model; each token sees its shopper's text and the tokens before it on its own path, through a mask
(tree attention: Miao and others, "SpecInfer", ASPLOS 2024), so nothing is computed twice and no cache is copied.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache

from agents.runtime.student.trie import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.runtime.student.trie import Trie

__all__ = ["Ask", "Found", "Search"]

_ROUNDS: Final = 16
_WIDTH: Final = 48
_NEVER: Final = -1e9

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted for one shopper.

    Attributes:
        ids: The tokens of the question.
        wanted: By kind of phrase how many, such as ``{0: 30, 1: 10}``.
        banned: Numbers of phrases that must not be written.
        deadline: ``time.monotonic`` seconds; what is found by then is returned.
    """

    ids: Sequence[int]
    wanted: dict[int, int]
    banned: frozenset[int] = frozenset()
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to one `Ask`.

    Attributes:
        phrases: By kind numbers of phrases and their log probabilities among the kind's phrases, the likeliest first.
        fed: Tokens that the model read beyond the question.
        late: Whether the deadline ended it.
    """

    phrases: dict[int, list[tuple[int, float]]]
    fed: int
    late: bool


@dataclass(slots=True)
class _Open:
    """A decision whose logits are wanted."""

    score: float
    node: int
    tokens: tuple[int, ...]
    parent: tuple[int, ...]


@dataclass(slots=True)
class _Job:
    """One kind of phrases for one shopper: (phrases,) which may be written, (nodes,) how many of them are below."""

    row: int
    kind: int
    wanted: int
    may: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int64]
    done: list[tuple[float, int]] = field(default_factory=list)
    waiting: list[_Open] = field(default_factory=list)

    @property
    def bar(self) -> float:
        """The score that a phrase must exceed to be wanted."""
        return self.done[0][0] if len(self.done) >= self.wanted else _NEVER

    def complete(self, score: float, phrase: int) -> None:
        if len(self.done) < self.wanted:
            heapq.heappush(self.done, (score, -phrase))
        elif score > self.done[0][0]:
            heapq.heapreplace(self.done, (score, -phrase))


class Search:
    """Searches a model's distribution over a trie. Not safe for several threads at once."""

    def __init__(self, model: Any, ends: tuple[int, int]) -> None:
        """Use a causal language model of transformers.

        Args:
            model: On the CPU, in evaluation mode.
            ends: The tokens that may follow a complete phrase.
        """
        self._body = model.model
        self._head: torch.Tensor = model.lm_head.weight.detach()
        self._ends = np.array(ends)

    def __call__(self, trie: Trie, asks: Sequence[Ask]) -> list[Found]:
        """The likeliest phrases of each shopper, in order."""
        with torch.inference_mode():
            return self._search(trie, asks)

    def _search(self, trie: Trie, asks: Sequence[Ask]) -> list[Found]:
        lengths = np.array([len(ask.ids) for ask in asks])
        ids = torch.zeros((len(asks), int(lengths.max())), dtype=torch.long)
        for row, ask in enumerate(asks):
            ids[row, : len(ask.ids)] = torch.tensor(ask.ids)
        cache = DynamicCache()
        # Padded on the right: a causal model does not see it, and the masks below leave it out.
        hidden = self._body(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
        last = hidden[torch.arange(len(asks)), torch.from_numpy(lengths - 1)]
        jobs = [
            _Job(row, kind, wanted, *_may(trie, ask.banned, kind))
            for row, ask in enumerate(asks)
            for kind, wanted in ask.wanted.items()
            if wanted > 0 and kind < len(trie.counts) and trie.counts[kind, ROOT] > 0
        ]
        logits = (last @ self._head.T).numpy()
        for job in jobs:
            self._open(trie, job, logits[job.row], 0.0, ROOT, ())
        fed = np.zeros(len(asks), dtype=np.int64)
        late = [False] * len(asks)
        for _ in range(_ROUNDS):
            now = time.monotonic()
            batch = []
            for job in jobs:
                until = asks[job.row].deadline
                ready = [one for one in job.waiting if one.score > job.bar]
                if ready and until is not None and now > until:
                    late[job.row] = True
                    ready = []
                ready.sort(key=lambda one: -one.score)
                batch += [(job, one) for one in ready[:_WIDTH]]
                job.waiting = ready[_WIDTH:]
            if not batch:
                break
            self._round(trie, batch, cache, lengths, fed)
        found: list[Found] = []
        for row in range(len(asks)):
            by_kind = {
                job.kind: [(-phrase, score) for score, phrase in sorted(job.done, reverse=True)]
                for job in jobs
                if job.row == row
            }
            found.append(Found(by_kind, int(fed[row]), late[row]))
        return found

    def _round(
        self, trie: Trie, batch: list[tuple[_Job, _Open]], cache: DynamicCache, lengths: Any, fed: Any
    ) -> None:
        """One pass over the tokens of all decisions to open."""
        rows = len(lengths)
        base = int(cache.get_seq_length())
        places: list[list[tuple[int, int, tuple[int, ...]]]] = [[] for _ in range(rows)]
        ends: list[tuple[int, tuple[int, ...]]] = []
        for job, one in batch:
            mine, path = places[job.row], one.parent
            for token in one.tokens:
                path = (*path, base + len(mine))
                mine.append((token, int(lengths[job.row]) + len(path) - 1, path))
            ends.append((len(mine) - 1, path))
        longest = max(map(len, places))
        ids = torch.zeros((rows, longest), dtype=torch.long)
        positions = torch.zeros((rows, longest), dtype=torch.long)
        sees = np.zeros((rows, 1, longest, base + longest), dtype=bool)
        for row, mine in enumerate(places):
            sees[row, 0, :, : lengths[row]] = True
            fed[row] += len(mine)
            for at, (token, position, path) in enumerate(mine):
                ids[row, at] = token
                positions[row, at] = position
                sees[row, 0, at, list(path)] = True
        hidden = self._body(
            input_ids=ids,
            position_ids=positions,
            attention_mask=torch.from_numpy(sees),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        where = torch.tensor([(job.row, at) for (job, _), (at, _) in zip(batch, ends, strict=True)])
        logits = (hidden[where[:, 0], where[:, 1]] @ self._head.T).numpy()
        for (job, one), row, (_, path) in zip(batch, logits, ends, strict=True):
            if one.score > job.bar:
                self._open(trie, job, row, one.score, one.node, path)

    def _open(
        self,
        trie: Trie,
        job: _Job,
        logits: npt.NDArray[np.float32],
        score: float,
        at: int,
        path: tuple[int, ...],
    ) -> None:
        """Take a decision's logits: complete what is complete, and put the rest where it waits."""
        node = trie.nodes[at]
        # An edge leads to a node or to a phrase; the other number is -1 and what it picks is not looked at.
        allowed = np.where(node.nodes >= 0, job.left[node.nodes] > 0, job.may[node.phrases])
        edges = np.flatnonzero(allowed)
        values = logits[node.tokens[edges]].astype(np.float64)
        ended = node.ends if node.ends >= 0 and job.may[node.ends] else -1
        if ended >= 0:
            values = np.append(values, np.logaddexp.reduce(logits[self._ends].astype(np.float64)))
        if not len(values):
            return
        values = score + values - np.logaddexp.reduce(values)
        if ended >= 0:
            job.complete(float(values[-1]), ended)
            values = values[:-1]
        order = np.argsort(-values)
        for place in order:
            value, edge = float(values[place]), int(edges[place])
            if value <= job.bar:
                break
            if node.phrases[edge] >= 0:
                job.complete(value, int(node.phrases[edge]))
            else:
                tokens = (int(node.tokens[edge]), *node.chains[edge])
                job.waiting.append(_Open(value, int(node.nodes[edge]), tokens, path))


def _may(
    trie: Trie, banned: frozenset[int], kind: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which phrases of a kind may be written, and how many of them are at or below each node."""
    may = trie.kinds == kind
    left = trie.counts[kind].copy()
    for phrase in banned:
        if may[phrase]:
            may[phrase] = False
            left[list(trie.above[phrase])] -= 1
    return may, left
