"""What the slow agents know of a shopper, made where a trigger is thought about: history, preferences, portrait, trends.

All of it by code, from the trigger's ledger and recent acts and from the catalogue as it is. A portrait is made anew only when
the shopper's ledger has moved.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.background import Backgrounds, Told
from agents.distill.form import PROMPT as OF_STUDENTS
from agents.errors import HistoryError
from agents.factors import Described, mine
from agents.preference import Wanted
from agents.price_bands import PriceBands
from agents.settings import RuntimeKind
from agents.trends import Refused, Topics, offer, read_documents
from agents.trends import mine as mine_trends

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agents.portrait import Portrait
    from agents.settings import AgentSettings
    from agents.shopper import Shopper
    from agents.trends import Trend
    from index.built.catalog import Catalog
    from index.channels.behaviour import Neighbours
    from index.recall import Recall
    from stream.infer.wording import PortraitWords
    from stream.judging import HasNow

__all__ = ["LivingBackgrounds", "living_backgrounds", "partners_of", "wanted_by_the_like"]

log = logging.getLogger(__name__)

# More titles say little more of what items are chosen for.
_TITLES: Final = 50_000
_PORTRAITS: Final = 50_000
_WANTED: Final = 12
# An item is wanted by the like if so many of the shopper's own speak for it.
_SPEAKERS: Final = 2


@dataclass(frozen=True, slots=True)
class _Shop:
    """What is made once for each build of the catalogue."""

    build: str
    backgrounds: Backgrounds
    numbers: dict[str, int]


class LivingBackgrounds:
    """Gives shoppers their backgrounds, over a catalogue that changes; call it from one thread at a time.

    Args:
        settings: rooms and rules.
        recall: its ``now`` is the newest state of the catalogue.
        trends: as mined; each shopper is offered those that suit.
        remember: whether a portrait stays while the ledger does; without, it depends on the trigger alone.
    """

    def __init__(
        self,
        settings: AgentSettings,
        recall: HasNow,
        trends: Sequence[Trend] = (),
        *,
        remember: bool = True,
    ) -> None:
        self._settings = settings.background
        self._recall = recall
        self._trends = tuple(trends)
        self._remember = remember
        self._shop = self._of(recall.now)
        self._portraits: OrderedDict[str, Portrait] = OrderedDict()
        self._words: PortraitWords | None = None

    def follow(self, recall: HasNow) -> None:
        """Go by another catalogue from now on: the living one, once it is there."""
        self._recall = recall

    def word_by(self, words: PortraitWords) -> None:
        """Have a language model word the portraits from now on, beside serving."""
        self._words = words

    def __call__(self, shoppers: Sequence[Shopper]) -> list[Shopper]:
        """The shoppers, each with a background; some milliseconds each, and a second where the build is new."""
        now = self._recall.now
        if now.catalog.manifest.build_id != self._shop.build:
            self._shop = self._of(now)
        return [self._known(shopper, now) for shopper in shoppers]

    def _known(self, shopper: Shopper, now: Recall) -> Shopper:
        try:
            background = self._shop.backgrounds.of(
                shopper,
                wanted=wanted_by_the_like(now, self._shop.numbers, shopper),
                trends=self._offered(shopper),
                portrait=self._portraits.get(shopper.user_id),
            )
        except HistoryError as error:
            log.warning("%s goes without a background: %s", shopper.user_id, error)
            return shopper
        if self._words is not None and background.portrait is not None and background.portrait.lines:
            worded = self._words.of(shopper.user_id, background.portrait)
            background = replace(background, portrait=worded)
        if background.portrait is not None and self._remember:
            self._portraits[shopper.user_id] = background.portrait
            self._portraits.move_to_end(shopper.user_id)
            if len(self._portraits) > _PORTRAITS:
                self._portraits.popitem(last=False)
        return replace(shopper, background=background)

    def _offered(self, shopper: Shopper) -> list[str]:
        """Queries of the trends that meet the shopper's categories, the first of which weigh most."""
        preferences = {name: 1.0 / (1 + at) for at, name in enumerate(shopper.categories)}
        known = [act.text for act in shopper.recent]
        return [one.query for one in offer(self._trends, preferences, now=shopper.moment, known=known)]

    def _of(self, now: Recall) -> _Shop:
        catalog = now.catalog
        lexicon = mine(islice(_described(catalog), _TITLES))
        rows = range(min(len(catalog), _TITLES))
        bands = PriceBands((catalog.category(row), catalog.price(row) or 0.0) for row in rows)
        learnt = now.beside.neighbours
        numbers = {item: number for number, item in enumerate(learnt[1])} if learnt else {}
        return _Shop(catalog.manifest.build_id, Backgrounds(lexicon, bands, self._settings), numbers)


def living_backgrounds(
    settings: AgentSettings, recall: Recall, *, remember: bool = True
) -> LivingBackgrounds | None:
    """Backgrounds as the settings say; None where the model is not told. ``remember`` as `LivingBackgrounds` has it.

    Raises:
        AgentError: the trends' documents cannot be read.
    """
    told = settings.background.told
    if told is Told.NEVER or settings.runtime is RuntimeKind.STUDENT or settings.prompt == OF_STUDENTS:
        return None  # what students read has no place for it
    if told is Told.AUTO and settings.runtime is not RuntimeKind.SERVER and not settings.leads:
        return None
    began = time.perf_counter()
    made = LivingBackgrounds(settings, recall, _mined(settings, recall), remember=remember)
    log.info("the shop's factors and trends were mined in %.1f s", time.perf_counter() - began)
    return made


def wanted_by_the_like(now: Recall, number: Mapping[str, int], shopper: Shopper) -> list[Wanted]:
    """What shoppers with the same items went on to want, by the item-to-item weights; none where nothing was learnt.

    ``shoppers`` counts the shopper's own items that speak for it, each of which stands for those who bought both.
    """
    learnt, catalog = now.beside.neighbours, now.catalog
    if learnt is None:
        return []
    neighbours, items = learnt
    own = list(dict.fromkeys(number[act.item_id] for act in shopper.recent if act.item_id in number))
    wanted = []
    for partner, speakers, weight in partners_of(neighbours, own):
        row = catalog.row(items[partner])
        if row is not None:
            wanted.append(
                Wanted(
                    catalog.short_title(row),
                    catalog.category(row),
                    max(_SPEAKERS, speakers),
                    weight,
                    catalog.brand(row) or "",
                )
            )
    return wanted


def partners_of(
    neighbours: Neighbours, own: Sequence[int], most: int = _WANTED
) -> list[tuple[int, int, float]]:
    """The items that others took beside a shopper's own, as (number, how many of the own speak for it, weight; 1 for the most).

    At least two of the shopper's own must speak for an item, or the one that there is.

    Args:
        neighbours: The item-to-item weights.
        own: Numbers of the shopper's items, each once.
        most: How many at most.
    """
    if not own:
        return []
    partners, strengths = neighbours.partners[own], neighbours.strengths[own]
    speaking = strengths > 0
    found, place = np.unique(partners[speaking], return_inverse=True)
    weights = np.bincount(place, strengths[speaking], minlength=len(found))
    speakers = np.bincount(place, minlength=len(found))
    fit = ~np.isin(found, own) & (speakers >= min(_SPEAKERS, len(own)))
    order = [at for at in np.argsort(-weights, kind="stable").tolist() if fit[at]][:most]
    return [(int(found[at]), int(speakers[at]), float(weights[at] / weights[order[0]])) for at in order]


def _described(catalog: Catalog) -> Iterator[Described]:
    for row in range(len(catalog)):
        yield Described(catalog.title(row), catalog.category(row), catalog.brand(row) or "")


def _mined(settings: AgentSettings, recall: Recall) -> tuple[Trend, ...]:
    path = settings.background.trends
    if path is None:
        return ()
    catalog = recall.catalog
    documents, refused = [], 0
    for one in read_documents(path):
        if isinstance(one, Refused):
            refused += 1
        else:
            documents.append(one)
    if refused:
        log.warning("%d of the documents in %s are left out; `nearline trends mine` says why", refused, path)
    titles = {
        name: [catalog.title(int(row)) for row in catalog.rows_of_category(name)]
        for name in catalog.categories
    }
    topics = Topics.of(titles, recall.encoder)
    return mine_trends(documents, topics, recall.encoder, now=int(time.time() * 1000)).trends
