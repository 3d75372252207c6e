"""The study behind ``nearline eval demand``: who writes, what answers, and what they are compared with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agents.runtime.weights import locate
from agents.settings import AgentSettings, LocalSettings, RuntimeKind
from agents.token_count import counter
from console.settings import load_settings
from console.verbs.evaluation.demand_agents import Known, judge_of
from console.verbs.evaluation.demand_forms import Agent, HistoryForm
from console.verbs.evaluation.demand_fused import Fusion
from console.verbs.evaluation.demand_history import Teller
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
    times,
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
# One swap of some hundred shoppers says little: which stranger somebody gets is chance.
_SWAPS: Final = 5
# Of the words' slate and of behaviour's when they are one list.
_FUSED: Final = (1.0, 1.0)
# More than the titles of any year.
_ALL_CHARACTERS: Final = 40_000


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
    forms: Sequence[HistoryForm]
    known: Known | None
    queries: int
    seed: int
    tell: Callable[[str], None]
    teller: Teller | None = None

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
        forms: Sequence[HistoryForm],
        agents: Sequence[Agent],
        seed: int,
        tell: Callable[[str], None],
    ) -> Study:
        """Read the log, load the writer and index the titles.

        Args:
            events: The log.
            catalog: Its items.
            cutoff: Day that ends the histories.
            student: A student's folder, or None for the runtime of the settings.
            queries: Most demands of a shopper.
            shoppers: Only so many.
            forms: How the past is told; demands are measured with the first.
            agents: Which take part for a prompted model.
            seed: Of what is drawn.
            tell: Told what is being done.

        Raises:
            NearlineError: of whichever of them cannot be had.
        """
        from agents import open_runtime  # noqa: PLC0415  # the model before the encoder, see agents.runtime.threads

        settings = load_settings()
        chosen_agents = frozenset(agents)
        configured = settings.agents
        if student is not None:
            own = settings.agents.student.model_copy(update={"model": str(student)})
            configured = AgentSettings.model_validate(
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
        runtime = open_runtime(configured, titles)
        tell("encoding titles")
        encoder = open_encoder(settings.index.encoder)
        vectors = encoder.encode([title or "-" for title in bought.titles])
        judge = judge_of(bought, vectors, encoder, moment) if Agent.JUDGE in chosen_agents else None
        writer = Writer(runtime, configured, judge=judge)
        known = Known(bought, cut.history, chosen_agents) if chosen_agents - {Agent.JUDGE} else None
        words = Lexical.build({"title": bought.titles})
        hybrid = Hybrid((words, Lexical.build({"whole": bought.titles}), Dense(encoder, vectors)), WEIGHTS)
        return cls(
            bought, cut, task, listed, writer, Answers(hybrid), vectors, forms, known, queries, seed, tell
        )

    def report(self, *, thin: bool, form: int, earlier: Sequence[Path] = ()) -> dict[str, Any]:
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
        if earlier:
            report |= self._fused(written, both, behaviour, earlier)
        if len(self.forms) > 1:
            report["HISTORY"] = self._told(written)
        if thin:
            for products in _THIN:
                report[f"THIN {products}"] = self._thin(products, behaviour, cosines)
        if form:
            profiles = [one.prompt for one in written.sets][:form]
            report["writer"]["valid_unconstrained"] = self.writer.unconstrained(profiles)
        return report

    def _write(self, task: Task, form: HistoryForm | None = None) -> Written:
        titles = self.bought.titles
        self.writer.offer([title for title, on in zip(titles, task.offered, strict=True) if on and title])
        form = self.forms[0] if form is None else form
        if form is HistoryForm.NEWEST:
            shoppers = shoppers_of(task.shoppers, task.users.tolist(), self.bought.log, titles)
            if self.known is not None:
                shoppers = self.known.of(shoppers, task)
            return self.writer.write(shoppers, self.tell)
        return self.writer.reading(_ALL_CHARACTERS).write(
            self._teller.tell(task, form, 0).shoppers, self.tell
        )

    def _fused(
        self, written: Written, both: Written, behaviour: Behaviour, earlier: Sequence[Path]
    ) -> dict[str, Any]:
        fusion = Fusion(
            self.bought, self.cut, self.vectors, self.answers, self.writer.settings,
            queries=self.queries, seed=self.seed, tell=self.tell,
        )  # fmt: skip
        fusion.learn_from(earlier)
        return {
            f"{name}, fused by a ranker": fusion.report(
                task,
                demands,
                {"U2Q": self._lists(task, demands.queries), "EASE^R": of_channel(behaviour, task)},
            )
            for name, task, demands in (("NOVEL", self.task, written), ("LISTED", self.listed, both))
        }

    def _told(self, written: Written) -> dict[str, Any]:
        """The same shoppers with their pasts told in several ways."""
        task, measured, told = self.task, {}, {}
        for form in self.forms:
            self.tell(f"demands from a past told as {form.value}")
            demands = written if form is self.forms[0] else self._write(task, form)
            name = f"U2Q, {form.value}"
            measured[name] = measure(self._lists(task, demands.queries), task, seed=self.seed)
            told[name] = self._teller.tell(task, form, self.writer.settings.profile_chars).figures()
            told[name]["tokens_of_the_writer"] = float(np.mean([one.prompt_tokens for one in demands.sets]))
        first = f"U2Q, {HistoryForm.RAW.value}"
        return {
            "shoppers": len(task.users),
            "channels": {name: one.values for name, one in measured.items()},
            "told": told,
            "differences": {
                f"{name} less {first}": {
                    metric: bootstrap(one.each[metric] - measured[first].each[metric], seed=self.seed)
                    for metric in ("NDCG@20", "NDCG@50", "Recall@50")
                }
                for name, one in measured.items()
                if first in measured and name != first
            },
        }

    @property
    def _teller(self) -> Teller:
        if self.teller is None:
            count = counter(locate(LocalSettings()) / "tokenizer.json")
            self.teller = Teller(self.bought, Behaviour.ease(self.cut.history), count)
        return self.teller

    def _lists(self, task: Task, queries: Sequence[Sequence[str]], bought: Any = None) -> Rows:
        return slates(self.answers, [one[: self.queries] for one in queries], task, bought=bought)

    def _novel(
        self, task: Task, written: Written, behaviour: Behaviour, cosines: Behaviour
    ) -> dict[str, Any]:
        mine = self._lists(task, written.queries)
        swaps = [
            self._lists(task, [written.queries[at] for at in swapped(len(written.queries), self.seed + turn)])
            for turn in range(_SWAPS)
        ]
        popular = Popularity.learn(self.cut.history, self.cut.cutoff)
        lists = {
            "U2Q": mine,
            "U2Q swapped": swaps[0],
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
