"""What a writer of demands is told of a shopper's past: the newest titles, the whole year, or the year compressed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from agents import Act, Shopper
from agents.leading import BETWEEN, keep_leading
from agents.profile import sanitise
from agents.short_names import ShortNames
from console.verbs.evaluation.demand_forms import HistoryForm
from index.items.titles import short_title

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from agents.leading import Floats
    from console.verbs.evaluation.purchases import Bought
    from index.channels.behaviour import Behaviour
    from index.channels.purchases import Histories
    from index.evaluate.slate import Task

__all__ = ["HISTORY_TOKENS", "Teller", "Told"]

HISTORY_TOKENS: Final = 186
"""Room of a compressed year: a twentieth of what the median active shopper's order lines take, and a little less."""

_NEWEST: Final = 0.7
_WANTS: Final = 200
_DAY_MS: Final = 86_400_000
_ACTIVE_DAYS: Final = 5
# Acts of no type that is shown: what the shopper has is known, whether it is told or not, and never written.
_UNTOLD: Final = "had"


@dataclass(frozen=True, slots=True)
class Told:
    """Shoppers as a writer gets them.

    Attributes:
        shoppers: In the order of the task.
        tokens: (n,) of what is told.
        raw_tokens: (n,) of the order lines as rows (date, title, quantity, amount).
        active: (n,) whether the shopper bought on five days or more.
    """

    shoppers: list[Shopper]
    tokens: npt.NDArray[np.int64]
    raw_tokens: npt.NDArray[np.int64]
    active: npt.NDArray[np.bool_]

    def figures(self) -> dict[str, float]:
        """Medians over the active shoppers; over all where nobody is."""
        counted = self.active if self.active.any() else np.ones_like(self.active)
        tokens, raw = self.tokens[counted], self.raw_tokens[counted]
        return {
            "shoppers_counted": float(counted.sum()),
            "tokens_raw": float(np.median(raw)),
            "tokens": float(np.median(tokens)),
            "times_fewer": float(np.median(raw / np.maximum(tokens, 1))),
        }


@dataclass(slots=True)
class _Had:
    """A title that a shopper has: its items with what each purchase still says, and the latest day."""

    weights: dict[int, float]
    day: int = 0


class Teller:
    """Tells the pasts of a task's shoppers.

    Args:
        bought: The log with its items.
        behaviour: What goes with what.
        count: The length of a text in tokens.
    """

    def __init__(self, bought: Bought, behaviour: Behaviour, count: Callable[[str], int]) -> None:
        self._bought = bought
        self._behaviour = behaviour
        self._count = count
        self._phrase = [sanitise(short_title(title)) if title else "" for title in bought.titles]
        sold = behaviour.sold
        known = (phrase for phrase, on in zip(self._phrase, sold, strict=True) if phrase and on)
        self._names = ShortNames(dict.fromkeys(known), count=count)

    def tell(self, task: Task, form: HistoryForm, newest: int) -> Told:
        """The shoppers of a task.

        Args:
            task: Whose pasts.
            form: How they are told.
            newest: Characters that the newest titles may take.
        """
        histories = task.shoppers
        wanted = self._behaviour.score(histories)
        wanted[histories.bought(len(task.offered)) | ~task.offered] = -np.inf
        starts = np.searchsorted(histories.shopper, np.arange(histories.count + 1))
        found, tokens, raw, active = [], [], [], []
        for at in range(histories.count):
            entries = slice(int(starts[at]), int(starts[at + 1]))
            past = self._past(histories, entries)
            titles = list(past)
            if form is HistoryForm.COMPRESSED:
                best = np.argpartition(-wanted[at], min(_WANTS, len(wanted[at]) - 1))[:_WANTS]
                kept = keep_leading(
                    titles,
                    self._says(past, best),
                    self._names,
                    tokens=HISTORY_TOKENS,
                    count=self._count,
                    newest=_NEWEST,
                )
                shown, length = set(kept.titles), kept.tokens
            else:
                shown = set(titles if form is HistoryForm.RAW else _newest(titles, newest))
                length = self._count(BETWEEN.join(title for title in titles if title in shown))
            user = self._bought.log.users[int(task.users[at])]
            found.append(Shopper(user, histories.now, self._acts(user, past, shown)))
            tokens.append(length)
            raw.append(self._count(self._rows(histories, entries)))
            active.append(len(np.unique(histories.day[entries])) >= _ACTIVE_DAYS)
        return Told(found, np.array(tokens), np.array(raw), np.array(active))

    def _past(self, histories: Histories, entries: slice) -> dict[str, _Had]:
        """The titles of a shopper, by their latest purchase from the oldest to the newest."""
        past: dict[str, _Had] = {}
        for item, day, ago in zip(
            histories.item[entries].tolist(),
            histories.day[entries].tolist(),
            histories.ago[entries].tolist(),
            strict=True,
        ):
            phrase = self._phrase[item]
            if phrase:
                had = past.pop(phrase, _Had({}))
                half_life = self._behaviour.half_life
                had.weights[item] = 1.0 if half_life is None else 0.5 ** (ago / half_life)
                had.day = day
                past[phrase] = had
        return past

    def _says(self, past: dict[str, _Had], wants: npt.NDArray[np.int64]) -> Floats:
        """(titles, wants) what each title speaks for, by what behaviour knows of its items and how long ago it was bought."""
        says = np.zeros((len(past), len(wants)), dtype=np.float32)
        for at, had in enumerate(past.values()):
            for item, weight in had.weights.items():
                says[at] += weight * self._behaviour.weights[item, wants]
        return says

    def _acts(self, user: str, past: dict[str, _Had], shown: set[str]) -> tuple[Act, ...]:
        return tuple(
            Act(
                f"{user}-{number}",
                "order" if title in shown else _UNTOLD,
                had.day * _DAY_MS,
                title,
                item_id=self._bought.log.items[next(iter(had.weights))],
            )
            for number, (title, had) in enumerate(past.items())
        )

    def _rows(self, histories: Histories, entries: slice) -> str:
        """The order lines as they are: date, title, quantity, amount."""
        return "\n".join(
            f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d},{self._bought.titles[item]},{quantity:.0f},{amount:.2f}"
            for item, day, quantity, amount in zip(
                histories.item[entries].tolist(),
                histories.day[entries].tolist(),
                histories.quantity[entries].tolist(),
                histories.amount[entries].tolist(),
                strict=True,
            )
        )


def _newest(titles: list[str], room: int) -> list[str]:
    kept = []
    for title in reversed(titles):
        room -= len(title) + 2
        if room < 0:
            break
        kept.append(title)
    return kept
