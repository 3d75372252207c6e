"""The study behind ``nearline eval demand``: who writes, what answers, and what they are compared with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agents.runtime.weights import locate
from agents.settings import LocalSettings
from agents.token_count import counter
from console.settings import load_settings
from console.verbs.evaluation.demand_agents import Known, judge_of
from console.verbs.evaluation.demand_faults import faults
from console.verbs.evaluation.demand_forms import Agent, HistoryForm
from console.verbs.evaluation.demand_fused import Fusion
from console.verbs.evaluation.demand_history import Teller
from console.verbs.evaluation.demand_slices import Slices
from console.verbs.evaluation.demand_trends import Trending
from console.verbs.evaluation.demand_writing import Writer, shoppers_of
from console.verbs.evaluation.options import agents_of
from console.verbs.evaluation.purchases import moment_of, read_purchases
from index.channels.behaviour import Behaviour
from index.channels.dense import Dense
from index.channels.hybrid import WEIGHTS, Hybrid
from index.channels.lexical import Lexical
from index.evaluate.demand import (
    Answers,
    measure,
    of_channel,
    some,
    thin_task,
    with_new,
)
from index.evaluate.metrics import bootstrap
from index.evaluate.slate import split
from index.settings import open_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from console.verbs.evaluation.demand_writing import Written
    from console.verbs.evaluation.purchases import Bought
    from index.encoders.encoder import Encoder
    from index.evaluate.slate import Split, Task

__all__ = ["Study"]

_THIN: Final = (1, 3, 5)
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
    slices: Slices
    encoder: Encoder
    forms: Sequence[HistoryForm]
    known: Known | None
    trending: Trending | None
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
        configured = agents_of(settings.agents, student, queries)
        moment = moment_of(cutoff)
        tell("reading purchases")
        bought = read_purchases(events, catalog, known_before=moment)
        cut = split(bought.log, moment)
        task, listed = cut.task("novel"), with_new(cut, bought.log)
        if shoppers is not None and shoppers < len(task.users):
            chosen = np.sort(np.random.default_rng(seed).permutation(len(task.users))[:shoppers])
            task, listed = some(task, chosen), some(listed, chosen)
        tell("loading models")
        runtime = open_runtime(configured, bought.on_offer(task.offered))
        tell("encoding titles")
        encoder = open_encoder(settings.index.encoder)
        vectors = encoder.encode([title or "-" for title in bought.titles])
        judge = judge_of(bought, vectors, encoder, moment) if Agent.JUDGE in chosen_agents else None
        writer = Writer(runtime, configured, judge=judge)
        by_ledger = chosen_agents - {Agent.JUDGE, Agent.TRENDS}
        known = Known(bought, cut.history, by_ledger) if by_ledger else None
        trending = None
        if Agent.TRENDS in chosen_agents:
            tell("trends")
            trending = Trending(bought, cut.history, moment, encoder)
        words = Lexical.build({"title": bought.titles})
        hybrid = Hybrid((words, Lexical.build({"whole": bought.titles}), Dense(encoder, vectors)), WEIGHTS)
        new_share = configured.student.new_share
        slices = Slices(bought, cut, Answers(hybrid), vectors, queries, new_share, seed)
        return cls(bought, cut, task, listed, writer, slices, encoder, forms, known, trending, seed, tell)

    def report(self, *, thin: bool, form: int, earlier: Sequence[Path] = ()) -> dict[str, Any]:
        """All figures."""
        return dict(self.parts(thin=thin, form=form, earlier=earlier))

    def parts(
        self, *, thin: bool, form: int, earlier: Sequence[Path] = ()
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The figures part by part, each with its name, as they are there."""
        behaviour = Behaviour.ease(self.cut.history)
        cosines = Behaviour.item_knn(self.cut.history)
        self.tell("demands")
        written = self.written(self.task)
        writer = self._writer(written)
        if self.trending is not None:
            writer["trends"] = {"documents": self.trending.documents, "mined": len(self.trending.trends)}
        yield "writer", writer
        yield "NOVEL", self.slices.novel(self.task, written, behaviour, cosines)
        # A student may write what is new in the catalogue; others know no catalogue, and their demands stay the same.
        both = self.written(self.listed) if self.writer.knows_the_catalogue else written
        yield "LISTED", self.slices.novel(self.listed, both, behaviour, cosines)
        yield "NEW", self.slices.new(self.listed, self.task.offered, both, behaviour)
        if thin:
            for products in _THIN:
                task, owned = thin_task(self.task, products)
                short = self.written(task)
                yield f"THIN {products}", self.slices.thin(task, owned, short, behaviour, cosines)
        if earlier:
            yield from self._fused(written, both, behaviour, earlier).items()
        self.tell("what is wrong with the demands")
        yield (
            "FAULTS",
            faults(
                self.bought,
                self.task,
                written,
                self.slices,
                self.encoder,
                self.writer.settings,
                seed=self.seed,
            ),
        )
        if form:
            profiles = [one.prompt for one in written.sets][:form]
            yield "writer", {**writer, "valid_unconstrained": self.writer.unconstrained(profiles)}
        if len(self.forms) > 1:
            yield "HISTORY", self._told(written)

    def written(self, task: Task, form: HistoryForm | None = None) -> Written:
        """The demands of a task's shoppers, with its catalogue on offer; their past is told in the first form if none is named."""
        titles = self.bought.titles
        self.writer.offer(self.bought.on_offer(task.offered))
        form = self.forms[0] if form is None else form
        if form is HistoryForm.NEWEST:
            shoppers = shoppers_of(task.shoppers, task.users.tolist(), self.bought.log, titles)
            if self.known is not None:
                shoppers = self.known.of(shoppers, task)
            if self.trending is not None:
                shoppers = self.trending.of(shoppers)
            return self.writer.write(shoppers, self.tell)
        return self.writer.reading(_ALL_CHARACTERS).write(
            self._teller.tell(task, form, 0).shoppers, self.tell
        )

    def _fused(
        self, written: Written, both: Written, behaviour: Behaviour, earlier: Sequence[Path]
    ) -> dict[str, Any]:
        fusion = Fusion(
            self.bought, self.cut, self.slices.vectors, self.slices.answers, self.writer.settings,
            queries=self.slices.queries, seed=self.seed, tell=self.tell,
        )  # fmt: skip
        fusion.learn_from(earlier)
        return {
            f"{name}, fused by a ranker": fusion.report(
                task,
                demands,
                {"U2Q": self.slices.lists(task, demands.queries), "EASE^R": of_channel(behaviour, task)},
            )
            for name, task, demands in (("NOVEL", self.task, written), ("LISTED", self.listed, both))
        }

    def _told(self, written: Written) -> dict[str, Any]:
        """The same shoppers with their pasts told in several ways."""
        task, measured, told = self.task, {}, {}
        for form in self.forms:
            self.tell(f"demands from a past told as {form.value}")
            demands = written if form is self.forms[0] else self.written(task, form)
            name = f"U2Q, {form.value}"
            measured[name] = measure(self.slices.lists(task, demands.queries), task, seed=self.seed)
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
