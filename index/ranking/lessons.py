"""What earlier moments of a log teach a ranker: what was known then, and what was bought next.

A model for a moment learns from moments some weeks before it. At each, everything known is learnt anew from what came
before, and the targets are what each shopper bought on their first day after it, where that day is before the moment
the model is for. So nothing later than that moment is ever seen. Models for different moments share what is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from index.channels.purchases import DAY_MS
from index.errors import CatalogError
from index.evaluate.slate import split
from index.ranking.features import Knowledge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from index.channels.purchases import Purchases
    from index.encoders.encoder import Vectors
    from index.evaluate.slate import Rule

__all__ = ["GAPS", "Lessons", "Samples", "gather"]

GAPS: Final = (14, 28, 42, 56, 70, 98)
"""Days before the moment a model is for at which it is trained."""

_MISSES: Final = 4
"""One in so many of the candidates that were no target is trained on: it teaches as much, in a quarter of the time."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Candidates to train on.

    Attributes:
        features: (m, len(FEATURES)).
        hit: (m,) 1 where the candidate is a target.
        sizes: (g,) how many candidates each shopper has, in order.
    """

    features: npt.NDArray[np.float32]
    hit: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Lesson:
    """One moment by one rule: the candidates of the shoppers who came back, whenever that was.

    Attributes:
        features: (m, len(FEATURES)).
        hit: (m,) whether the candidate is a target.
        owner: (m,) the shopper, rising.
        back: (m,) the day that the shopper came back.
    """

    features: npt.NDArray[np.float32]
    hit: npt.NDArray[np.bool_]
    owner: npt.NDArray[np.int64]
    back: npt.NDArray[np.int64]


class Lessons:
    """The moments of a log, each learnt when first asked for.

    Args:
        log: All order lines; a model for a moment sees those before it.
        rules: For which rules; what is known at a moment is learnt once for all of them.
        vectors: As in `Knowledge`.
        progress: Told how many moments are done, of how many.
    """

    def __init__(
        self,
        log: Purchases,
        rules: Sequence[Rule],
        vectors: Vectors | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._log = log
        self._rules = tuple(rules)
        self._vectors = vectors
        self._progress = progress
        self._known: dict[int, dict[Rule, _Lesson]] = {}

    def samples(self, now: int, gaps: Sequence[int] = GAPS) -> dict[Rule, Samples]:
        """What the moments before ``now`` (UTC ms) teach, by rule.

        Raises:
            CatalogError: If no moment has shoppers to learn from.
        """
        before = now // DAY_MS
        found: dict[Rule, list[_Lesson]] = {rule: [] for rule in self._rules}
        for done, gap in enumerate(gaps):
            if self._progress is not None:
                self._progress(done, len(gaps))
            for rule, lesson in self.at(now - gap * DAY_MS).items():
                kept = lesson.back < before
                if kept.any():
                    found[rule].append(
                        _Lesson(
                            lesson.features[kept], lesson.hit[kept], lesson.owner[kept], lesson.back[kept]
                        )
                    )
        if self._progress is not None:
            self._progress(len(gaps), len(gaps))
        for rule, lessons in found.items():
            if not lessons:
                raise CatalogError(
                    f"The log before the cutoff is too short to train a ranker ({rule}): at none of {len(gaps)} earlier "
                    f"moments, the first {max(gaps)} days before it, is there a shopper with two days before and one after.",
                    way_out="Choose a later cutoff, or leave the channel `fused` out.",
                )
        return {rule: _joined(lessons) for rule, lessons in found.items()}

    def at(self, moment: int, knowledge: Knowledge | None = None) -> dict[Rule, _Lesson]:
        """The lesson of a moment (UTC ms) by rule; empty where the log had hardly begun.

        Args:
            moment: When.
            knowledge: What was known then, where it is there already.
        """
        if moment not in self._known:
            self._known[moment] = self._learn(moment, knowledge)
        return self._known[moment]

    def _learn(self, moment: int, knowledge: Knowledge | None) -> dict[Rule, _Lesson]:
        try:
            task = split(self._log, moment).task("all")
        except CatalogError:
            return {}  # this moment has nobody to learn from, others may
        shoppers, items = task.shoppers, len(self._log.items)
        if knowledge is None:
            knowledge = Knowledge(self._log.before(moment), moment, self._vectors)
        scores = knowledge.score(shoppers)
        followed = np.zeros((shoppers.count, items), dtype=bool)
        for at, one in enumerate(task.targets):
            followed[at, one] = True
        later = self._log.keep(self._log.time >= moment)
        back = np.full(len(self._log.users), np.iinfo(np.int64).max)
        np.minimum.at(back, later.user, later.day)

        def wanted(owner: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
            hit = followed[owner, rows]
            reached = np.bincount(owner, hit) > 0
            kept: npt.NDArray[np.bool_] = reached[owner] & (hit | _drawn(task.users[owner], rows, moment))
            return kept

        lessons: dict[Rule, _Lesson] = {}
        for rule in self._rules:
            found = knowledge.candidates(shoppers, novel=rule == "novel", scores=scores, wanted=wanted)
            hit = followed[found.owner, found.rows]
            lessons[rule] = _Lesson(found.features, hit, found.owner, back[task.users[found.owner]])
        return lessons


def gather(
    history: Purchases,
    now: int,
    rules: Sequence[Rule],
    vectors: Vectors | None = None,
    *,
    gaps: Sequence[int] = GAPS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Rule, Samples]:
    """`Lessons.samples` for one moment; lines at or after ``now`` are not looked at.

    Raises:
        CatalogError: If no moment has shoppers to learn from.
    """
    return Lessons(history.before(now), rules, vectors, progress=progress).samples(now, gaps)


def _joined(lessons: Sequence[_Lesson]) -> Samples:
    sizes = [np.unique(one.owner, return_counts=True)[1] for one in lessons]
    return Samples(
        np.concatenate([one.features for one in lessons]),
        np.concatenate([one.hit for one in lessons]).astype(np.int32),
        np.concatenate(sizes),
    )


def _drawn(users: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], moment: int) -> npt.NDArray[np.bool_]:
    """One in `_MISSES` of pairs of user and item, by a hash: whoever else is there, the same pairs are drawn.

    The mixing function is SplitMix64's (Steele, Lea and Flood, OOPSLA 2014).
    """
    with np.errstate(over="ignore"):
        mixed = (users.astype(np.uint64) << np.uint64(32)) ^ rows.astype(np.uint64)
        mixed += np.uint64(moment // DAY_MS) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    drawn: npt.NDArray[np.bool_] = mixed % np.uint64(_MISSES) == 0
    return drawn
