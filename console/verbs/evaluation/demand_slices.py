"""What demands find on the protocol's slices, beside what behaviour, content and popularity find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from index.channels.popularity import Popularity
from index.channels.taste import Taste
from index.evaluate.demand import (
    Answers,
    exclusive,
    fused,
    measure,
    new_task,
    of_channel,
    slates,
    swapped,
    times,
)
from index.evaluate.metrics import bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from console.verbs.evaluation.demand_writing import Written
    from console.verbs.evaluation.purchases import Bought
    from index.channels.behaviour import Behaviour
    from index.encoders.encoder import Vectors
    from index.evaluate.demand import Rows
    from index.evaluate.slate import Split, Task

__all__ = ["Slices"]

_SWAPS: Final = 5
# Of the words' slate and of behaviour's when they are one list.
_FUSED: Final = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Slices:
    """One log cut at one moment, and what answers demands.

    Attributes:
        bought: The log with its items.
        cut: The log at the cutoff.
        answers: Of the channel that answers demands.
        vectors: (items, d) of the titles.
        queries: Most demands of a shopper.
        new_share: Of the demands, the share that is kept for new titles.
        seed: Of what is drawn.
    """

    bought: Bought
    cut: Split
    answers: Answers
    vectors: Vectors
    queries: int
    new_share: float
    seed: int

    def lists(self, task: Task, queries: Sequence[Sequence[str]], bought: Any = None) -> Rows:
        """The slates of demands; ``bought`` as `index.evaluate.demand.slates` has it."""
        return slates(self.answers, [one[: self.queries] for one in queries], task, bought=bought)

    def swaps(self, task: Task, queries: Sequence[Sequence[str]]) -> list[Rows]:
        """Slates from somebody else's demands, several times over: which stranger somebody gets is chance."""
        return [
            self.lists(task, [queries[at] for at in swapped(len(queries), self.seed + turn)])
            for turn in range(_SWAPS)
        ]

    def alone(self, task: Task, queries: Sequence[Sequence[str]]) -> dict[str, Any]:
        """What demands alone find, and how many times as much as somebody else's do."""
        mine = measure(self.lists(task, queries), task, seed=self.seed)
        by_chance = [measure(rows, task, seed=self.seed) for rows in self.swaps(task, queries)]
        recall = [one.each["Recall@50"] for one in by_chance]
        return {
            "channels": {"U2Q": mine.values, "U2Q swapped": by_chance[0].values},
            "swap_recall": [float(one.mean()) for one in recall],
            "swap_ratio": times(mine.each["Recall@50"], np.mean(recall, axis=0), seed=self.seed),
        }

    def novel(self, task: Task, written: Written, behaviour: Behaviour, cosines: Behaviour) -> dict[str, Any]:
        """Demands alone and fused, beside behaviour, content and popularity."""
        mine = self.lists(task, written.queries)
        swaps = self.swaps(task, written.queries)
        popular = Popularity.learn(self.cut.history, self.cut.cutoff)
        lists = {
            "U2Q": mine,
            "U2Q swapped": swaps[0],
            "EASE^R": of_channel(behaviour, task),
            "item-kNN": of_channel(cosines, task),
            "popularity": of_channel(popular, task),
            "mean title": of_channel(Taste(self.vectors, task.offered), task),
            "titles bought": self.lists(task, self._own_titles(task)),
        }
        lists["U2Q + EASE^R"] = fused([mine, lists["EASE^R"]], _FUSED, len(task.offered))
        report: dict[str, Any] = {
            "shoppers": len(task.users),
            "offered": int(task.offered.sum()),
            "unseen_share": task.unseen,
        }
        measured = {
            name: measure(rows, task, category=self.bought.category, seed=self.seed)
            for name, rows in lists.items()
        }
        report["channels"] = {
            name: {**one.values, "coverage@50": one.coverage, "categories@50": one.categories}
            for name, one in measured.items()
        }
        recall = {name: one.each["Recall@50"] for name, one in measured.items()}
        by_chance = [measure(rows, task, seed=self.seed).each["Recall@50"] for rows in swaps]
        report["swap_recall"] = [float(one.mean()) for one in by_chance]
        report["swap_ratio"] = times(recall["U2Q"], np.mean(by_chance, axis=0), seed=self.seed)
        report["fused_less_best"] = {
            name: bootstrap(recall["U2Q + EASE^R"] - recall[name], seed=self.seed)
            for name in ("U2Q", "EASE^R")
        }
        report["exclusive"] = self._exclusive(task, lists)
        return report

    def _exclusive(self, task: Task, lists: dict[str, Rows]) -> dict[str, Any]:
        """Targets that only one finds, a shopper; random popular titles beside."""
        random = np.random.default_rng(self.seed)
        counts = Popularity.learn(self.cut.history, self.cut.cutoff).counts
        most = np.argsort(-counts, kind="stable")[:500]
        drawn = [
            [self.bought.titles[at] for at in random.permutation(most)[: self.queries]] for _ in task.users
        ]
        lists = {**lists, "random popular titles": self.lists(task, drawn)}
        names = ("EASE^R", "item-kNN", "popularity")
        rest = [lists[name] for name in names]
        found = {
            name: bootstrap(exclusive(lists[name], rest, task.targets), seed=self.seed)
            for name in ("U2Q", "U2Q swapped", "random popular titles")
        }
        found |= {
            name: bootstrap(
                exclusive(
                    lists[name], [lists["U2Q"], *(lists[one] for one in names if one != name)], task.targets
                ),
                seed=self.seed,
            )
            for name in names
        }
        return found

    def new(
        self, listed: Task, known: npt.NDArray[np.bool_], written: Written, behaviour: Behaviour
    ) -> dict[str, Any]:
        """Only what is first sold after the cutoff counts; ``known`` was sold before."""
        task, kept = new_task(listed, known)
        queries = [written.queries[at] for at in kept]
        others = [written.queries[at] for at in swapped(len(written.queries), self.seed)[kept]]
        new = listed.offered & ~known
        taste = of_channel(Taste(self.vectors, task.offered), task)
        # The share that a student keeps for new titles, given to the baseline too: what is left is knowing which.
        kept_places = round(self.queries * self.new_share)
        only = of_channel(Taste(self.vectors, new), task)[:, :kept_places]
        lists = {
            "U2Q": self.lists(task, queries),
            "U2Q swapped": self.lists(task, others),
            "EASE^R": of_channel(behaviour, task),
            "mean title": taste,
            "titles bought": self.lists(task, self._own_titles(task)),
            "mean title, the same share new": np.concatenate([only, taste], axis=1)[:, : taste.shape[1]],
        }
        measured = {name: measure(rows, task, seed=self.seed) for name, rows in lists.items()}
        best = max(measured[name].values["Recall@50"].mean for name in ("mean title", "titles bought"))
        return {
            "shoppers": len(task.users),
            "new_items": int(new.sum()),
            "channels": {name: one.values for name, one in measured.items()},
            "times_best_content": measured["U2Q"].values["Recall@50"].mean / max(best, 1e-9),
        }

    def thin(
        self,
        task: Task,
        bought: npt.NDArray[np.bool_],
        written: Written,
        behaviour: Behaviour,
        cosines: Behaviour,
    ) -> dict[str, Any]:
        """Histories cut to their last products; ``bought`` is what nobody may be shown all the same."""
        lists = {
            "U2Q": self.lists(task, written.queries, bought),
            "EASE^R": of_channel(behaviour, task, bought=bought),
            "item-kNN": of_channel(cosines, task, bought=bought),
            "mean title": of_channel(Taste(self.vectors, task.offered), task, bought=bought),
        }
        measured = {name: measure(rows, task, seed=self.seed) for name, rows in lists.items()}
        gain = measured["U2Q"].each["Recall@50"] - measured["EASE^R"].each["Recall@50"]
        return {
            "shoppers": len(task.users),
            "channels": {name: one.values for name, one in measured.items()},
            "recall_less_ease": bootstrap(gain, seed=self.seed),
        }

    def _own_titles(self, task: Task) -> list[list[str]]:
        """The titles that each shopper bought, the newest first."""
        latest = task.shoppers.latest(self.queries)
        starts = np.searchsorted(latest.shopper, np.arange(latest.count + 1))
        titles = self.bought.titles
        return [
            [titles[item] for item in latest.item[starts[at] : starts[at + 1]][::-1]]
            for at in range(latest.count)
        ]
