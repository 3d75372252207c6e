"""Labelled demands from purchases: shoppers as the judge sees them at a moment, and the shop it asks."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from console.errors import ConsoleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from agents.judge import Case
    from agents.judge.features import Measured
    from agents.judge.labelled import Labelled, Person
    from agents.settings import AgentSettings
    from console.verbs.evaluation.purchases import Bought
    from index.encoders.encoder import Encoder, Vectors
    from stream.judging import Shelf

__all__ = ["HORIZON_DAYS", "LabelledSet", "Shoppers", "generated_set", "labelled_set", "measured", "shelf_of"]

HORIZON_DAYS: Final = 31
"""Days after the moment whose purchases are a shopper's next needs."""

PARTNERS: Final = 200
_FEWEST_LINES: Final = 5
_BATCH: Final = 8
_PATIENCE_S: Final = 300.0

Shoppers = Literal["learnt", "unseen", "all"]
"""Which half of the shoppers, by a hash of their ids: the one that fitting uses, the other, or both."""


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Demands with labels, the shopper of each, and the shop to judge them against."""

    demands: list[Labelled]
    people: list[Person]
    shelf: Shelf
    shown: tuple[str, ...]
    rules: str

    def cases(self) -> list[Case]:
        """One case a demand."""
        from agents.judge import Case  # noqa: PLC0415

        return [
            Case(self.people[one.person].shopper, (one.query,), self.shown, self.rules)
            for one in self.demands
        ]


def measured(made: LabelledSet) -> Measured:
    """What the judge measures of the set's demands."""
    from agents.judge.features import measure  # noqa: PLC0415

    return measure(made.cases(), made.shelf)


def labelled_set(
    bought: Bought,
    vectors: Vectors,
    encoder: Encoder,
    moment: int,
    *,
    n: int,
    seed: int,
    shoppers: Shoppers,
    prompt: str,
    acts: int,
    plain: bool = False,
) -> LabelledSet:
    """Make a labelled set at a moment.

    Args:
        bought: The purchases and titles.
        vectors: (items, d) of the titles.
        encoder: That made them.
        moment: UTC milliseconds.
        n: Demands.
        seed: Decides everything left to chance.
        shoppers: Which half of them; each half has its own half of the prompt's phrases, too.
        prompt: Version of the prompt whose examples may leak.
        acts: How many of the latest purchases the judge sees.
        plain: As in `agents.judge.labelled.label`.

    Raises:
        ConsoleError: If nobody bought before and after the moment.
        CalibrationError: If too few demands of a kind can be made.
    """
    from agents import prompts  # noqa: PLC0415
    from agents.judge.labelled import label, withhold  # noqa: PLC0415

    people = _people(bought, moment, shoppers, acts)
    if not people:
        raise ConsoleError(
            "No shopper bought both before the cutoff and within a month after it.",
            way_out="Give a cutoff within the log.",
        )
    titles = {
        item: title for item, title in zip(bought.log.items, bought.titles, strict=True) if title.strip()
    }
    withheld = withhold(titles, seed=seed)
    template = prompts.load(prompt)
    shown = tuple(phrase for phrase in template.phrases() if _belongs(phrase, shoppers))
    demands = label(titles, withheld, people, shown, template.rules, n=n, seed=seed, plain=plain)
    shelf = shelf_of(bought, vectors, encoder, moment, withheld=frozenset(withheld))
    return LabelledSet(demands, people, shelf, shown, template.rules)


def generated_set(
    bought: Bought,
    vectors: Vectors,
    encoder: Encoder,
    moment: int,
    settings: AgentSettings,
    *,
    n: int,
    seed: int,
    shoppers: Shoppers,
    acts: int,
) -> LabelledSet:
    """Demands that the configured model writes for n shoppers, unjudged, with their faults by `faults_of`.

    Arguments as in `labelled_set`; ``settings`` name the model.

    Raises:
        ConsoleError: If nobody bought before and after the moment, or the model wrote nothing that can be used.
        AgentError: If the model cannot be loaded.
    """
    import asyncio  # noqa: PLC0415
    import random  # noqa: PLC0415
    import time  # noqa: PLC0415

    from agents import Ladder, Rung, open_runtime, prompts  # noqa: PLC0415
    from agents.judge.labelled import Labelled, faults_of  # noqa: PLC0415

    everyone = _people(bought, moment, shoppers, acts)
    people = random.Random(seed).sample(everyone, min(n, len(everyone)))
    titles = dict(zip(bought.log.items, bought.titles, strict=True))

    async def written() -> list[tuple[int, str]]:
        ladder = Ladder(open_runtime(settings, bought.on_offer()), settings)
        found: list[tuple[int, str]] = []
        try:
            for start in range(0, len(people), _BATCH):
                part = [one.shopper for one in people[start : start + _BATCH]]
                until = [time.monotonic() + _PATIENCE_S] * len(part)
                for at, result in enumerate(await ladder.infer(part, until), start):
                    if result.rung is Rung.LLM:
                        found += [(at, demand.query) for demand in result.demands]
        finally:
            await ladder.runtime.close()
        return found

    demands = asyncio.run(written())
    if not demands:
        raise ConsoleError(
            "The model wrote no demand that can be used.", way_out="Run `nearline doctor`; check agents.*."
        )
    prompt = prompts.load(settings.prompt)
    faults = faults_of(titles, people, demands, prompt.phrases())
    made = [Labelled(at, query, fault, "") for (at, query), fault in zip(demands, faults, strict=True)]
    shelf = shelf_of(bought, vectors, encoder, moment, withheld=frozenset())
    return LabelledSet(made, people, shelf, prompt.phrases(), prompt.rules)


def _belongs(name: str, shoppers: Shoppers) -> bool:
    half = zlib.crc32(name.encode()) % 2
    return shoppers == "all" or half == (0 if shoppers == "learnt" else 1)


def _people(bought: Bought, moment: int, shoppers: Shoppers, acts: int) -> list[Person]:
    import numpy as np  # noqa: PLC0415

    from agents.judge.labelled import Person  # noqa: PLC0415
    from agents.shopper import Act, Shopper  # noqa: PLC0415
    from index.channels.purchases import DAY_MS  # noqa: PLC0415

    log = bought.log
    order = np.argsort(log.user, kind="stable")  # lines are in order of time, and stay so for each user
    starts = np.searchsorted(log.user[order], np.arange(len(log.users) + 1))
    people = []
    for number, user in enumerate(log.users):
        if not _belongs(user, shoppers):
            continue
        lines = order[starts[number] : starts[number + 1]]
        past = lines[log.time[lines] < moment]
        next_ = lines[(log.time[lines] >= moment) & (log.time[lines] < moment + HORIZON_DAYS * DAY_MS)]
        before = frozenset(log.items[one] for one in log.item[past])
        after = tuple(
            dict.fromkeys(log.items[one] for one in log.item[next_] if log.items[one] not in before)
        )
        if len(past) < _FEWEST_LINES or not after:
            continue
        recent = tuple(
            Act(
                event_id=str(line),
                type="order",
                ts=int(log.time[line]),
                text=bought.titles[log.item[line]],
                category=_category(bought.category, int(log.item[line])),
                item_id=log.items[log.item[line]],
                quantity=int(log.quantity[line]),
            )
            for line in past[-acts:]
        )
        ever = frozenset(log.items[one] for one in log.item[lines])
        people.append(Person(Shopper(user, moment, recent), before, after, ever))
    return people


def _category(codes: npt.NDArray[np.int64] | None, item: int) -> str:
    return "" if codes is None or codes[item] < 0 else str(codes[item])


class _Rows:
    """The items that are left, as a catalogue."""

    def __init__(self, bought: Bought, kept: Sequence[int], popularity: npt.NDArray[np.int64]) -> None:
        self._bought, self._kept, self._popularity = bought, kept, popularity
        self._row = {bought.log.items[number]: row for row, number in enumerate(kept)}

    def __len__(self) -> int:
        return len(self._kept)

    def row(self, item_id: str) -> int | None:
        return self._row.get(item_id)

    def item_id(self, row: int) -> str:
        return self._bought.log.items[self._kept[row]]

    def title(self, row: int) -> str:
        return self._bought.titles[self._kept[row]]

    def category(self, row: int) -> str:
        return _category(self._bought.category, self._kept[row])

    def popularity(self, row: int) -> float:
        return float(self._popularity[self._kept[row]])


def shelf_of(
    bought: Bought, vectors: Vectors, encoder: Encoder, moment: int, *, withheld: frozenset[str]
) -> Shelf:
    """The shop at a moment as a judge asks it; items ``withheld`` are not in its catalogue."""
    import numpy as np  # noqa: PLC0415

    from index.channels.behaviour import Behaviour  # noqa: PLC0415
    from index.channels.dense import Dense  # noqa: PLC0415
    from index.channels.lexical import Lexical  # noqa: PLC0415
    from stream.judging import Shelf  # noqa: PLC0415

    log = bought.log
    kept = [at for at, item in enumerate(log.items) if item not in withheld and bought.titles[at].strip()]
    history = log.before(moment)
    rows = _Rows(bought, kept, np.bincount(history.item, minlength=len(log.items)))
    left = vectors[kept]
    return Shelf(
        rows,
        Dense(encoder, left),
        Lexical.build({"title": [bought.titles[at] for at in kept]}),
        encoder,
        vectors=lambda asked: left[asked],
        together=(Behaviour.ease(history).sparse(PARTNERS), log.items),
    )
