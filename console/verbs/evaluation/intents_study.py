"""The study behind ``nearline eval intents``: simulated shoppers, what answers their new intents, and who finds it.

Whatever is learnt is learnt from purchases before the cutoff: the student, item-to-item weights, popularity, and how
often the simulated shoppers take an item. Shoppers are drawn over the same catalogue, from the cutoff on. Every channel
knows the same: the acts that the gate would put into a trigger after the first events of the new intent.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agents.explicit import EXPLICIT
from console.errors import ConsoleError
from console.settings import load_settings
from console.verbs.evaluation.demand_writing import Writer
from console.verbs.evaluation.intents_found import Asked, by_behaviour, found, swapped_within
from console.verbs.evaluation.intents_slates import Slates, catalog_rows, requests, said, with_queries_of
from console.verbs.evaluation.options import agents_of
from console.verbs.evaluation.purchases import moment_of, read_purchases
from index.channels.behaviour import LAMBDA, cosine_weights, gram
from index.channels.popularity import popularity
from index.evaluate.metrics import bootstrap
from index.items.titles import short_title
from index.ranking.closed_form import quick_ease
from index.settings import open_encoder
from stream.infer.shopper import shopper_of, taken_items
from stream.shoppers import Population, ShopperRule, beginnings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from agents import AgentSettings, DemandSet, Runtime
    from console.verbs.evaluation.demand_writing import Written
    from index.channels.purchases import Purchases
    from index.encoders.encoder import Encoder
    from index.evaluate.demand import Rows
    from stream.shoppers import Beginning

__all__ = ["IntentStudy", "Shelf", "Simulated"]

_POPULAR_DAYS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """Who is simulated: how many, for how many days, how many signs an intent gives, by which seed and rule."""

    shoppers: int
    days: float
    signs: int
    seed: int
    rule: ShopperRule


class Shelf:
    """The items on offer, as inference asks for them."""

    def __init__(self, items: Sequence[str], titles: Sequence[str], categories: Sequence[str]) -> None:
        self.items = tuple(items)
        self.titles = tuple(titles)
        self.categories = tuple(categories)
        self._row = {item: row for row, item in enumerate(items)}

    def row(self, item_id: str) -> int | None:
        """Row of an item; None if it is not on offer."""
        return self._row.get(item_id)

    def short_title(self, row: int) -> str:
        """The item's title, shortened for prompts."""
        return short_title(self.titles[row])

    def category(self, row: int) -> str:
        """The item's category; empty without categories."""
        return self.categories[row]


@dataclass(slots=True)
class IntentStudy:
    """A shop as it was at the cutoff, and shoppers with new intents."""

    history: Purchases
    cutoff: int
    shelf: Shelf
    begun: list[Beginning]
    runtime: Runtime
    settings: AgentSettings
    encoder: Encoder
    simulated: Simulated
    tell: Callable[[str], None]

    @classmethod
    def open(
        cls,
        events: Path,
        catalog: Path | None,
        cutoff: str,
        student: Path | None,
        *,
        items: int,
        simulated: Simulated,
        tell: Callable[[str], None],
    ) -> IntentStudy:
        """Read the log, simulate the shoppers, load the writer and index the titles.

        Raises:
            NearlineError: of whichever of them cannot be had.
        """
        from agents import open_runtime  # noqa: PLC0415  # the model before the encoder, see agents.runtime.threads

        settings = load_settings()
        agents = agents_of(settings.agents, student)
        moment = moment_of(cutoff)
        tell("reading purchases")
        bought = read_purchases(events, catalog, known_before=moment)
        history, kept = _narrowed(bought.log.before(moment), bought.titles, items)
        if not len(kept):
            raise ConsoleError(
                f"No item with a title was sold before {cutoff}.",
                way_out="Choose another cutoff, or give the catalogue with --catalog.",
            )
        titles = [bought.titles[at] for at in kept]
        shelf = Shelf(history.items, titles, [bought.category_of(at) for at in kept.tolist()])
        tell("simulating shoppers")
        sold = np.bincount(history.item, minlength=len(kept))
        population = Population(
            [
                {"item_id": item, "title": title, "category": category, "popularity": int(count)}
                for item, title, category, count in zip(
                    shelf.items, titles, shelf.categories, sold, strict=True
                )
            ],
            shoppers=simulated.shoppers,
            days=simulated.days,
            start=moment,
            seed=simulated.seed,
            rule=simulated.rule,
        )
        category_of = dict(zip(shelf.items, shelf.categories, strict=True))
        begun = beginnings(
            population, settings.stream.gate, category_of, signs=simulated.signs, seed=simulated.seed
        )
        tell("loading models")
        runtime = open_runtime(agents, [short_title(title) for title in titles])
        encoder = open_encoder(settings.index.encoder)
        return cls(history, moment, shelf, begun, runtime, agents, encoder, simulated, tell)

    def report(self) -> dict[str, Any]:
        """All figures.

        Raises:
            ConsoleError: If too few shoppers have an intent with something left to be shown.
        """
        asked = self._asked()
        if len(asked.begun) < 2:
            raise ConsoleError(
                f"Of {self.simulated.shoppers:,} shoppers {len(asked.begun)} began something new in time.",
                way_out="Simulate more shoppers, or more days.",
            )
        lists, written = self._lists(asked)
        seed = self.simulated.seed
        each = {name: found(rows, asked) for name, rows in lists.items()}
        kinds = asked.kinds()
        mine = next(iter(each))
        return {
            "shoppers": len(asked.begun),
            "simulated": self.simulated.shoppers,
            "offered": len(self.shelf.items),
            "signs": self.simulated.signs,
            "answering": float(np.median([len(one) for one in asked.targets])),
            "writer": {
                "runtime": written.sets[0].runtime,
                "model": written.sets[0].model,
                "prompt": written.sets[0].prompt_version,
                "demands": float(np.mean([len(one) for one in written.queries])),
                "cpu_seconds": written.cpu_seconds,
            },
            "channels": {
                name: {metric: bootstrap(values, seed=seed) for metric, values in one.items()}
                for name, one in each.items()
            },
            "less": {
                name: {
                    metric: bootstrap(each[mine][metric] - values, seed=seed)
                    for metric, values in one.items()
                }
                for name, one in each.items()
                if name != mine
            },
            "kinds": {
                kind: {
                    "shoppers": int(those.sum()),
                    "channels": {
                        name: {metric: bootstrap(values[those], seed=seed) for metric, values in one.items()}
                        for name, one in each.items()
                    },
                }
                for kind, those in kinds.items()
                if those.any()
            },
        }

    def _asked(self) -> Asked:
        """The beginnings that something on offer still answers."""
        return Asked.of(self.begun, self.shelf.row, len(self.shelf.items))

    def _lists(self, asked: Asked) -> tuple[dict[str, Rows], Written]:
        """The slates of every channel, those of the demands first."""
        self.tell("item-to-item weights")
        counts = gram(self.history)
        popular = popularity(self.history, self.cutoff, days=_POPULAR_DAYS)
        ease, cosines = quick_ease(counts, LAMBDA), cosine_weights(counts)
        rows = catalog_rows(self.shelf.items, self.shelf.titles, self.shelf.categories, popular)
        shoppers = [shopper_of(one.trigger, self.shelf) for one in asked.begun]
        written = Writer(self.runtime, self.settings).write(shoppers, self.tell)
        mine = requests(asked.begun, shoppers, written.sets)
        with tempfile.TemporaryDirectory() as scratch:
            self.tell("indexing titles")
            slates = Slates(Path(scratch), rows, self.encoder, ease)
            lists = {"U2Q": slates.of_words(mine, self.tell)}
            if self.settings.explicit:
                queries = requests(asked.begun, shoppers, [_inferred(one) for one in written.sets])
                lists["U2Q, inferred alone"] = slates.of_words(queries, self.tell)
            other = swapped_within(len(mine), self.simulated.seed)
            lists["U2Q swapped"] = slates.of_words(with_queries_of(mine, other), self.tell)
            own = said(mine, map(self._own_words, asked.begun))
            lists["words of the visit"] = slates.of_words(own, self.tell)
            lists["U2Q and behaviour, as served"] = slates.served(mine, self.tell)
        for name, weights in (("EASE^R", ease), ("item-kNN", cosines)):
            for how, acts in self._acts(asked).items():
                lists[f"{name}, {how}"] = by_behaviour(weights, acts, asked, popular)
        nothing = np.zeros((len(asked.begun), len(self.shelf.items)), dtype=np.float32)
        lists["popularity"] = by_behaviour(None, nothing, asked, popular)
        return lists, written

    def _own_words(self, one: Beginning) -> list[str]:
        """What a shopper searched and looked at in this visit, the newest first: queries without a model."""
        said: dict[str, None] = {}
        for act in reversed(one.session):
            row = self.shelf.row(act.item_id)
            text = act.query or (self.shelf.short_title(row) if row is not None else "")
            if text:
                said[text] = None
        return list(said)

    def _acts(self, asked: Asked) -> dict[str, npt.NDArray[np.float32]]:
        """(n, items) what each shopper took up, by three ways to weigh it; a baseline may choose the best."""
        size = (len(asked.begun), len(self.shelf.items))
        ways = {name: np.zeros(size, dtype=np.float32) for name in ("all acts", "weighed", "this visit")}
        for at, one in enumerate(asked.begun):
            alike = {act.item_id: 1.0 for act in one.trigger.recent if act.item_id}
            visit = {act.item_id: 1.0 for act in one.session if act.item_id}
            # Of who only searched in this visit, everything before is all that behaviour knows.
            told = (alike, taken_items(one.trigger), visit or alike)
            for way, weights in zip(ways.values(), told, strict=True):
                for item, weight in weights.items():
                    row = self.shelf.row(item)
                    if row is not None:
                        way[at, row] = weight
        return ways


def _inferred(whole: DemandSet) -> DemandSet:
    """The demands without those in the shopper's own words."""
    return replace(whole, demands=tuple(one for one in whole.demands if one.kind != EXPLICIT))


def _narrowed(
    history: Purchases, titles: Sequence[str], most: int
) -> tuple[Purchases, npt.NDArray[np.int64]]:
    """The history of the ``most`` best sold items that have a title, numbered anew, and their old numbers."""
    sold = np.bincount(history.item, minlength=len(history.items))
    named = np.array([bool(title) for title in titles])
    order = np.argsort(-np.where(named, sold, 0), kind="stable")[:most]
    kept = np.sort(order[(sold[order] > 0) & named[order]])
    number = np.full(len(history.items), -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    lines = history.keep(number[history.item] >= 0)
    items = tuple(history.items[at] for at in kept.tolist())
    return replace(lines, items=items, item=number[lines.item]), kept
