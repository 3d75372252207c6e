"""The likeliest phrases of a trie with their probabilities, for several shoppers at once, in a few passes.

At each decision the model's probabilities are taken over the trie's edges alone, so the probabilities of all phrases
add up to 1. From the root, decisions are opened best first: one whose probability is below that of the last phrase
wanted can bring none, since probabilities only fall along a path. All decisions opened in a round, of all shoppers,
are one pass of the model; each token sees its shopper's text and the tokens before it on its own path, through a mask
(tree attention: Miao and others, "SpecInfer", ASPLOS 2024), so nothing is computed twice and no cache is copied.

A search for one kind of phrases for one shopper is a job. What happens in a round happens to all jobs in the same few array
operations, so a shopper more in the batch costs little beside the model's own arithmetic.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from agents.runtime.student.trie import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.runtime.student.layers import Layers, Read
    from agents.runtime.student.trie import Trie

__all__ = ["Ask", "Found", "Search"]

_ROUNDS: Final = 16
_WIDTH: Final = 48
_NEVER: Final = -1e9
# Of so large a share of all logits the whole product is quicker than picking them one by one.
_MANY: Final = 0.1

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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


class _Complete(NamedTuple):
    """Phrases that are complete: job, score and number of each."""

    job: Ints
    score: Floats
    phrase: Ints

    def and_also(self, other: _Complete) -> _Complete:
        return _Complete(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def only(self, which: npt.NDArray[np.generic]) -> _Complete:
        return _Complete(self.job[which], self.score[which], self.phrase[which])


class _Open(NamedTuple):
    """Decisions whose logits are wanted: job, score, the edge that leads there, and the token read before it (-1: the question)."""

    job: Ints
    score: Floats
    edge: Ints
    after: Ints

    def and_also(self, other: _Open) -> _Open:
        return _Open(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def only(self, which: npt.NDArray[np.generic]) -> _Open:
        return _Open(self.job[which], self.score[which], self.edge[which], self.after[which])


@dataclass(slots=True)
class _Jobs:
    """All jobs of a batch: (jobs,) each.

    Attributes:
        row: The shopper.
        kind: Of its phrases.
        wanted: How many.
        until: Its deadline, infinite if there is none.
        banned: Sorted job x phrases + phrase of what must not be written.
        closed: Sorted job x nodes + node of nodes below which nothing else is left.
        bar: The score that a phrase must exceed to be wanted.
        late: Whether the deadline ended it.
        done: The best phrases so far.
        waiting: What may still bring better ones.
    """

    row: Ints
    kind: Ints
    wanted: Ints
    until: Floats
    banned: Ints
    closed: Ints
    bar: Floats
    late: npt.NDArray[np.bool_]
    done: _Complete
    waiting: _Open


@dataclass(slots=True)
class _Tokens:
    """Every token read beyond the questions: its column beyond its question's, its place in its text, and which such columns it sees."""

    fed: Ints
    position: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    sees: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))


class Search:
    """Searches a model's distribution over a trie; in several threads at once, if need be."""

    def __init__(self, layers: Layers, ends: tuple[int, int]) -> None:
        """Use a student's layers; ``ends`` are the tokens that may follow a complete phrase."""
        self._layers = layers
        self._head = layers.head
        self._end_head = layers.head[list(ends)].T.contiguous()
        self._root: tuple[Trie, torch.Tensor] | None = None

    def __call__(self, trie: Trie, asks: Sequence[Ask]) -> list[Found]:
        """The likeliest phrases of each shopper, in order."""
        with torch.inference_mode():
            return self._search(trie, asks)

    def _search(self, trie: Trie, asks: Sequence[Ask]) -> list[Found]:
        read, hidden = self._layers.read([ask.ids for ask in asks])
        jobs = _jobs_of(trie, asks)
        tokens = _Tokens(np.zeros(len(asks), dtype=np.int64))
        if len(jobs.row):
            self._open_roots(trie, jobs, hidden)
        for _ in range(_ROUNDS):
            chosen = _choose(jobs)
            if not len(chosen.job):
                break
            self._round(trie, jobs, chosen, read, tokens)
        found = [Found({}, int(tokens.fed[row]), late=False) for row in range(len(asks))]
        done, ends = jobs.done, np.searchsorted(jobs.done.job, np.arange(len(jobs.row) + 1))
        for job, row in enumerate(jobs.row.tolist()):
            part = slice(ends[job], ends[job + 1])
            listed = [*zip(done.phrase[part].tolist(), done.score[part].tolist(), strict=True)]
            found[row].phrases[int(jobs.kind[job])] = listed
        late = {int(row) for row in jobs.row[jobs.late]}
        return [Found(one.phrases, one.fed, row in late) for row, one in enumerate(found)]

    def _open_roots(self, trie: Trie, jobs: _Jobs, hidden: torch.Tensor) -> None:
        root = self._root  # another thread may put its own in place
        if root is None or root[0] is not trie:
            edges = trie.tokens[: trie.first[1]]
            root = self._root = (trie, self._head[torch.from_numpy(edges)].T.contiguous())
        own = hidden[torch.from_numpy(jobs.row)]
        every = np.arange(len(jobs.row))
        nodes = np.full(len(every), ROOT)
        logits = (own @ root[1]).numpy()
        self._open(trie, jobs, every, np.zeros(len(every)), nodes, np.full(len(every), -1), own, logits)

    def _round(self, trie: Trie, jobs: _Jobs, chosen: _Open, read: Read, tokens: _Tokens) -> None:
        """One pass over the tokens of all decisions to open."""
        base, many = read.columns, len(read.lengths)
        old = base - int(read.lengths.max())
        chosen = chosen.only(np.argsort(jobs.row[chosen.job], kind="stable"))
        links = trie.chain_first[chosen.edge + 1] - trie.chain_first[chosen.edge]
        sizes = links + 1
        begins = np.cumsum(sizes) - sizes
        owner = np.repeat(np.arange(len(sizes)), sizes)
        step = np.arange(len(owner)) - begins[owner]
        ids = trie.tokens[chosen.edge][owner]
        inner = step > 0
        ids[inner] = trie.chains[(trie.chain_first[chosen.edge][owner] + step - 1)[inner]]
        row = jobs.row[chosen.job][owner]
        slot = np.arange(len(row)) - np.searchsorted(row, row)
        new = int(slot.max()) + 1
        # What a token sees beyond the question is what the one before it on its path sees, and itself.
        known = len(tokens.position)
        this = known + np.arange(len(row))
        sees = np.zeros((known + len(row), old + new), dtype=bool)
        sees[:known, :old] = tokens.sees
        position = np.concatenate([tokens.position, np.zeros(len(row), dtype=np.int64)])
        for depth in range(int(sizes.max())):
            at = this[step == depth]
            before = at - 1 if depth else chosen.after
            on_path = before >= 0
            sees[at[on_path]] = sees[before[on_path]]
            sees[at, old + slot[at - known]] = True
            position[at] = np.where(on_path, position[before] + 1, read.lengths[row[at - known]])
        tokens.sees, tokens.position = sees, position
        np.add.at(tokens.fed, row, 1)
        mask = np.zeros((many, new, base + new), dtype=bool)
        mask[:, :, : base - old] = (np.arange(base - old) < read.lengths[:, None])[:, None]
        mask[row, slot, base - old :] = sees[this]
        hidden = self._layers.go_on(read, ids, row, slot, position[this], mask)
        last = begins + sizes - 1
        wanted = chosen.score > jobs.bar[chosen.job]
        last, chosen = last[wanted], chosen.only(wanted)
        self._open(
            trie,
            jobs,
            chosen.job,
            chosen.score,
            trie.goals[chosen.edge],
            known + last,
            hidden[torch.from_numpy(last)],
        )

    def _open(
        self,
        trie: Trie,
        jobs: _Jobs,
        job: Ints,
        score: Floats,
        node: Ints,
        after: Ints,
        hidden: torch.Tensor,
        logits: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Take n decisions: complete what is complete, and put the rest where it waits.

        ``hidden`` (n, hidden) is where each is taken; ``logits`` (n, edges) are theirs where that is known already.
        """
        counts = trie.first[node + 1] - trie.first[node]
        which = np.repeat(np.arange(len(node)), counts)
        place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        edge = trie.first[node][which] + place
        allowed = _allowed(trie, jobs, job[which], edge)
        which, place, edge = which[allowed], place[allowed], edge[allowed]
        values = (
            self._logits(hidden, which, trie.tokens[edge]) if logits is None else logits[which, place]
        ).astype(np.float64)
        phrase = trie.ends[node]
        ended = np.flatnonzero(
            (phrase >= 0)
            & (trie.kinds[phrase] == jobs.kind[job])
            & ~_in(jobs.banned, job * len(trie.phrases) + phrase)
        )
        pair = (hidden[torch.from_numpy(ended)] @ self._end_head).numpy().astype(np.float64)
        whole = np.concatenate([values, np.logaddexp(pair[:, 0], pair[:, 1])])
        owner = np.concatenate([which, ended])
        # log p = log p of the path + logit - log sum exp of the decision's logits
        top = np.full(len(node), _NEVER)
        np.maximum.at(top, owner, whole)
        total = np.bincount(owner, np.exp(whole - top[owner]), minlength=len(node))
        with np.errstate(divide="ignore"):
            whole = (score - top - np.log(total))[owner] + whole
        of = job[owner]
        final = np.concatenate([trie.finals[edge], phrase[ended]])
        if logits is not None:
            _cut(jobs, which, whole[: len(which)], final[: len(which)])
        wanted = whole >= jobs.bar[of]
        complete = wanted & (final >= 0)
        jobs.done = jobs.done.and_also(_Complete(of[complete], whole[complete], final[complete]))
        _settle(jobs)
        leads = np.flatnonzero(wanted & (final < 0))
        fresh = _Open(of[leads], whole[leads], edge[leads], after[owner[leads]])
        jobs.waiting = jobs.waiting.and_also(fresh)

    def _logits(self, hidden: torch.Tensor, which: Ints, tokens: Ints) -> npt.NDArray[np.float32]:
        at, ids = torch.from_numpy(which), torch.from_numpy(tokens)
        if len(tokens) > _MANY * hidden.shape[0] * self._head.shape[0]:
            found = (hidden @ self._head.T)[at, ids]
        else:
            found = torch.einsum("ij,ij->i", hidden[at], self._head[ids])
        result: npt.NDArray[np.float32] = found.numpy()
        return result


def _jobs_of(trie: Trie, asks: Sequence[Ask]) -> _Jobs:
    wanted = [
        (row, kind, many)
        for row, ask in enumerate(asks)
        for kind, many in ask.wanted.items()
        if many > 0 and kind < len(trie.counts) and trie.counts[kind, ROOT] > 0
    ]
    row, kind, most = np.array(wanted, dtype=np.int64).reshape(-1, 3).T
    banned, closed = [], []
    for job, (of, own, _) in enumerate(wanted):
        phrases = [phrase for phrase in asks[of].banned if trie.kinds[phrase] == own]
        if phrases:
            banned.append(np.sort(np.array(phrases)) + job * len(trie.phrases))
            nodes = [node for phrase in phrases for node in trie.above[phrase]]
            above, fewer = np.unique(np.array(nodes), return_counts=True)
            closed.append(above[trie.counts[own, above] == fewer] + job * len(trie.nodes))
    none = np.zeros(0, dtype=np.int64)
    until = [asks[of].deadline for of, _, _ in wanted]
    return _Jobs(
        row,
        kind,
        most,
        np.array([np.inf if one is None else one for one in until]),
        np.concatenate([none, *banned]),
        np.concatenate([none, *closed]),
        np.full(len(row), _NEVER),
        np.zeros(len(row), dtype=bool),
        _Complete(none, np.zeros(0), none),
        _Open(none, np.zeros(0), none, none),
    )


def _allowed(trie: Trie, jobs: _Jobs, job: Ints, edge: Ints) -> npt.NDArray[np.bool_]:
    """Which edges lead to a phrase that the job may write. The number that an edge lacks is -1, and what it picks is not looked at."""
    goal, final, kind = trie.goals[edge], trie.finals[edge], jobs.kind[job]
    below = (trie.counts[kind, goal] > 0) & ~_in(jobs.closed, job * len(trie.nodes) + goal)
    own = (trie.kinds[final] == kind) & ~_in(jobs.banned, job * len(trie.phrases) + final)
    allowed: npt.NDArray[np.bool_] = np.where(goal >= 0, below, own)
    return allowed


def _in(values: Ints, asked: Ints) -> npt.NDArray[np.bool_]:
    """Which are among sorted values."""
    if not len(values):
        return np.zeros(len(asked), dtype=bool)
    found: npt.NDArray[np.bool_] = values[np.searchsorted(values, asked).clip(max=len(values) - 1)] == asked
    return found


def _settle(jobs: _Jobs) -> None:
    """Keep of each job's phrases as many as are wanted, in order, and raise its bar."""
    done = jobs.done.only(np.lexsort((jobs.done.phrase, -jobs.done.score, jobs.done.job)))
    place = np.arange(len(done.job)) - np.searchsorted(done.job, done.job)
    jobs.done = done.only(place < jobs.wanted[done.job])
    last = np.flatnonzero(place == jobs.wanted[done.job] - 1)
    jobs.bar[done.job[last]] = done.score[last]


def _cut(jobs: _Jobs, job: Ints, score: Floats, final: Ints) -> None:
    """Raise the bars to what the roots' own phrases reach: of thousands only those are sorted that may be wanted."""
    ends = np.searchsorted(job, np.arange(len(jobs.row) + 1))
    for at, wanted in enumerate(jobs.wanted.tolist()):
        part = slice(ends[at], ends[at + 1])
        own = score[part][final[part] >= 0]
        if len(own) > wanted:
            jobs.bar[at] = np.partition(own, -wanted)[-wanted]


def _choose(jobs: _Jobs) -> _Open:
    """The likeliest decisions that may still bring something; they no longer wait."""
    waiting = jobs.waiting.only(jobs.waiting.score > jobs.bar[jobs.waiting.job])
    late = jobs.until < time.monotonic()
    if late.any():
        jobs.late[np.unique(waiting.job[late[waiting.job]])] = True
        waiting = waiting.only(~late[waiting.job])
    waiting = waiting.only(np.lexsort((waiting.edge, -waiting.score, waiting.job)))
    place = np.arange(len(waiting.job)) - np.searchsorted(waiting.job, waiting.job)
    jobs.waiting = waiting.only(place >= _WIDTH)
    return waiting.only(place < _WIDTH)
