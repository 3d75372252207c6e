"""The study behind ``nearline eval demand``: who writes, what answers, and what they are compared with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agents.settings import AgentSettings, RuntimeKind
from console.settings import load_settings
from console.verbs.evaluation.demand_writing import Writer, shoppers_of
from console.verbs.evaluation.purchases import moment_of, read_purchases
from index.channels.behaviour import Behaviour
from index.channels.dense import Dense
from index.channels.hybrid import WEIGHTS, Hybrid
from index.channels.lexical import Lexical
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
    some,
    swapped,
    thin_task,
    with_new,
)
from index.evaluate.metrics import bootstrap
from index.evaluate.slate import split
from index.settings import open_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from console.verbs.evaluation.demand_writing import Written
    from console.verbs.evaluation.purchases import Bought
    from index.evaluate.demand import Rows
    from index.evaluate.slate import Split, Task

__all__ = ["Study"]

_THIN: Final = (1, 3, 5)
# Of the words' slate and of behaviour's when they are one list.
_FUSED: Final = (1.0, 1.0)


@dataclass(slots=True)
class Study:
    """One log cut at one moment, with everything that is asked."""

    bought: Bought
    cut: Split
    task: Task
    listed: Task
    writer: Writer
    answers: Answers
    vectors: Any
    queries: int
    seed: int
    tell: Callable[[str], None]

    @classmethod
    def open(
        cls,
        events: Path,
        catalog: Path | None,
        cutoff: str,
        student: Path | None,
        *,
        queries: int,
        shoppers: int | None,
        seed: int,
        tell: Callable[[str], None],
    ) -> Study:
        """Read the log, load the writer and index the titles.

        Raises:
            NearlineError: of whichever of them cannot be had.
        """
        from agents import open_runtime  # noqa: PLC0415  # the model before the encoder, see agents.runtime.threads

        settings = load_settings()
        agents = settings.agents
        if student is not None:
            own = settings.agents.student.model_copy(update={"model": str(student)})
            agents = AgentSettings.model_validate(
                {"runtime": RuntimeKind.STUDENT, "student": own, "queries": queries}
            )
        moment = moment_of(cutoff)
        tell("reading purchases")
        bought = read_purchases(events, catalog, known_before=moment)
        cut = split(bought.log, moment)
        task, listed = cut.task("novel"), with_new(cut, bought.log)
        if shoppers is not None and shoppers < len(task.users):
            chosen = np.sort(np.random.default_rng(seed).permutation(len(task.users))[:shoppers])
            task, listed = some(task, chosen), some(listed, chosen)
        tell("loading models")
        titles = [title for title, on in zip(bought.titles, task.offered, strict=True) if on and title]
        writer = Writer(open_runtime(agents, titles), agents)
        tell("encoding titles")
        encoder = open_encoder(settings.index.encoder)
        vectors = encoder.encode([title or "-" for title in bought.titles])
        words = Lexical.build({"title": bought.titles})
        hybrid = Hybrid((words, Lexical.build({"whole": bought.titles}), Dense(encoder, vectors)), WEIGHTS)
        return cls(bought, cut, task, listed, writer, Answers(hybrid), vectors, queries, seed, tell)

    def report(self, *, thin: bool, form: int) -> dict[str, Any]:
        """All figures."""
        behaviour = Behaviour.ease(self.cut.history)
        cosines = Behaviour.item_knn(self.cut.history)
        self.tell("demands")
        written = self._write(self.task)
        report: dict[str, Any] = {
            "writer": self._writer(written),
            "NOVEL": self._novel(self.task, written, behaviour, cosines),
        }
        # A student may write what is new in the catalogue; others know no catalogue, and their demands stay the same.
        both = self._write(self.listed) if self.writer.knows_the_catalogue else written
        report["LISTED"] = self._novel(self.listed, both, behaviour, cosines)
        report["NEW"] = self._new(both, behaviour)
        if thin:
            for products in _THIN:
                report[f"THIN {products}"] = self._thin(products, behaviour, cosines)
        if form:
            profiles = [one.prompt for one in written.sets][:form]
            report["writer"]["valid_unconstrained"] = self.writer.unconstrained(profiles)
        return report

    def _write(self, task: Task) -> Written:
        titles = self.bought.titles
        self.writer.offer([title for title, on in zip(titles, task.offered, strict=True) if on and title])
        users = task.users.tolist()
        return self.writer.write(shoppers_of(task.shoppers, users, self.bought.log, titles), self.tell)

    def _lists(self, task: Task, queries: Sequence[Sequence[str]], bought: Any = None) -> Rows:
        return slates(self.answers, [one[: self.queries] for one in queries], task, bought=bought)

    def _novel(
        self, task: Task, written: Written, behaviour: Behaviour, cosines: Behaviour
    ) -> dict[str, Any]:
        mine = self._lists(task, written.queries)
        other = [written.queries[at] for at in swapped(len(written.queries), self.seed)]
        popular = Popularity.learn(self.cut.history, self.cut.cutoff)
        lists = {
            "U2Q": mine,
            "U2Q swapped": self._lists(task, other),
            "EASE^R": of_channel(behaviour, task),
            "item-kNN": of_channel(cosines, task),
            "popularity": of_channel(popular, task),
            "mean title": of_channel(Taste(self.vectors, task.offered), task),
            "titles bought": self._lists(task, self._own_titles(task)),
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
        report["swap_ratio"] = float(recall["U2Q"].mean() / max(recall["U2Q swapped"].mean(), 1e-9))
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
        lists = {**lists, "random popular titles": self._lists(task, drawn)}
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

    def _new(self, written: Written, behaviour: Behaviour) -> dict[str, Any]:
        task, kept = new_task(self.listed, self.task.offered)
        queries = [written.queries[at] for at in kept]
        others = [written.queries[at] for at in swapped(len(written.queries), self.seed)[kept]]
        new = self.listed.offered & ~self.task.offered
        taste = of_channel(Taste(self.vectors, task.offered), task)
        # The share that a student keeps for new titles, given to the baseline too: what is left is knowing which.
        kept_places = round(self.queries * self.writer.settings.student.new_share)
        only = of_channel(Taste(self.vectors, new), task)[:, :kept_places]
        lists = {
            "U2Q": self._lists(task, queries),
            "U2Q swapped": self._lists(task, others),
            "EASE^R": of_channel(behaviour, task),
            "mean title": taste,
            "titles bought": self._lists(task, self._own_titles(task)),
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

    def _thin(self, products: int, behaviour: Behaviour, cosines: Behaviour) -> dict[str, Any]:
        task, bought = thin_task(self.task, products)
        written = self._write(task)
        lists = {
            "U2Q": self._lists(task, written.queries, bought),
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

    def _writer(self, written: Written) -> dict[str, Any]:
        sets = written.sets
        return {
            "runtime": sets[0].runtime,
            "model": sets[0].model,
            "prompt": sets[0].prompt_version,
            "demands": float(np.mean([len(one.demands) for one in sets])),
            "rejected": float(np.mean([len(one.rejected) for one in sets])),
            "rungs": dict(Counter(str(one.rung) for one in sets)),
            "seconds": written.seconds,
            "cpu_seconds": written.cpu_seconds,
            "tokens_in": float(np.mean([one.prompt_tokens for one in sets])),
            "tokens_out": float(np.mean([one.output_tokens for one in sets])),
            "not_in_catalogue": self._strange(written),
        }

    def _strange(self, written: Written) -> float:
        """Share of demands with a word that no title on offer has."""
        from agents.words import words  # noqa: PLC0415

        known = {
            word
            for title, on in zip(self.bought.titles, self.task.offered, strict=True)
            if on
            for word in words(title)
        }
        asked = [query for one in written.queries for query in one]
        return float(np.mean([not known.issuperset(words(query)) for query in asked])) if asked else 0.0
