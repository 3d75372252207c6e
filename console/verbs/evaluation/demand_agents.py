"""The slow agents' part in demands: what a prompted model is told beside the recent acts, and the judge of what it writes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.background import BackgroundSettings
from agents.compression import Compressor
from agents.factors import Described, mine
from agents.history import Purchase, weeks_of
from agents.portrait import portrait_of_cells
from agents.preference import Wanted, preferences
from agents.shopper import Background
from console.verbs.evaluation.demand_forms import Agent
from index.channels.behaviour import Behaviour
from stream.infer.background import partners_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents import Shopper
    from agents.judge import Judge
    from console.verbs.evaluation.purchases import Bought
    from index.channels.purchases import Purchases
    from index.encoders.encoder import Encoder, Vectors
    from index.evaluate.slate import Task

__all__ = ["Known", "judge_of"]

_PARTNERS: Final = 64
"""Partners kept of each item."""


class Known:
    """What the slow agents know of test shoppers.

    Args:
        bought: The log with its items.
        history: The order lines before the cutoff.
        agents: Who takes part; nothing is told of the others. Preferences include the potential ones, by item-to-item weights
            learnt from the history.
    """

    def __init__(self, bought: Bought, history: Purchases, agents: frozenset[Agent]) -> None:
        self._bought = bought
        self._agents = agents
        sold = np.unique(history.item)
        self._lexicon = mine(
            Described(bought.titles[item], self._bought.category_of(item))
            for item in sold.tolist()
            if bought.titles[item]
        )
        settings = BackgroundSettings()
        self._settings = settings
        self._compressor = Compressor(self._lexicon, settings.compression)
        self._together = Behaviour.item_knn(history).sparse(_PARTNERS) if Agent.PREFERENCE in agents else None

    def of(self, shoppers: Sequence[Shopper], task: Task) -> list[Shopper]:
        """The shoppers of a task with their backgrounds."""
        histories = task.shoppers
        starts = np.searchsorted(histories.shopper, np.arange(histories.count + 1))
        found = []
        for at, shopper in enumerate(shoppers):
            entries = range(int(starts[at]), int(starts[at + 1]))
            lines = [
                Purchase(
                    int(histories.day[entry]) * 86_400_000,
                    self._bought.titles[histories.item[entry]],
                    self._bought.category_of(int(histories.item[entry])),
                    max(int(histories.quantity[entry]), 0),
                    float(np.nan_to_num(histories.amount[entry])),
                )
                for entry in entries
            ]
            cells = weeks_of(lines, self._lexicon, moment=shopper.moment)
            known = Background(
                portrait=portrait_of_cells(
                    cells, self._lexicon, shopper.moment, settings=self._settings.portrait
                )
                if Agent.PORTRAIT in self._agents
                else None,
                history=self._compressor.cells(cells, shopper.moment)
                if Agent.COMPRESSION in self._agents
                else None,
                preferences=preferences(
                    cells,
                    shopper.recent,
                    shopper.moment,
                    self._lexicon,
                    wanted=self._wanted(histories.item[entries.start : entries.stop].tolist()),
                    settings=self._settings.preference,
                )
                if Agent.PREFERENCE in self._agents
                else (),
            )
            found.append(replace(shopper, background=known))
        return found

    def _wanted(self, items: list[int]) -> list[Wanted]:
        """What others took beside these items, as a worker finds it."""
        if self._together is None:
            return []
        return [
            Wanted(self._bought.titles[item], self._bought.category_of(item), speakers, weight)
            for item, speakers, weight in partners_of(self._together, list(dict.fromkeys(items)))
        ]


def judge_of(bought: Bought, vectors: Vectors, encoder: Encoder, moment: int) -> Callable[[], Judge]:
    """A judge by the packaged calibration over the shop as it was at a moment."""
    from agents.judge import Calibration, Judge  # noqa: PLC0415
    from console.verbs.evaluation.labelling import shelf_of  # noqa: PLC0415

    judge = Judge(shelf_of(bought, vectors, encoder, moment, withheld=frozenset()), Calibration.load())
    return lambda: judge
