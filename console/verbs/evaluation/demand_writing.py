"""Demands of test shoppers, written by the very ladder that serves: profile, runtime, cleaning."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from agents import Act, Ladder, Shopper
from agents.runtime.student import StudentRuntime
from agents.structured import queries
from console.errors import ConsoleError
from index.items.titles import short_title

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents import AgentSettings, DemandSet, Runtime
    from agents.judge import Judge
    from index.channels.purchases import Histories, Purchases

__all__ = ["Writer", "Written", "shoppers_of"]

_BATCH: Final = 16
# Nobody waits for an evaluation; a late model is to be measured and not replaced.
_PATIENCE_S: Final = 3_600.0
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Written:
    """The demands of some shoppers, and what they cost.

    Attributes:
        queries: Of each shopper, the most wanted first.
        sets: The whole results.
        seconds: Wall seconds a shopper.
        cpu_seconds: CPU seconds a shopper.
    """

    queries: list[tuple[str, ...]]
    sets: list[DemandSet]
    seconds: float
    cpu_seconds: float


class Writer:
    """Writes demands with a runtime under settings."""

    def __init__(
        self, runtime: Runtime, settings: AgentSettings, *, judge: Callable[[], Judge] | None = None
    ) -> None:
        self._runtime = runtime
        self._ladder = Ladder(runtime, settings.model_copy(update={"deadline": _PATIENCE_S}), judge=judge)
        self.settings = settings

    @property
    def knows_the_catalogue(self) -> bool:
        """Whether what is on offer changes what is written."""
        return isinstance(self._runtime, StudentRuntime)

    def reading(self, characters: int) -> Writer:
        """The same writer with other room for the shopper's profile."""
        return Writer(self._runtime, self.settings.model_copy(update={"profile_chars": characters}))

    def offer(self, titles: Sequence[str]) -> None:
        """Tell a student what the catalogue has; other runtimes write what they like."""
        if isinstance(self._runtime, StudentRuntime):
            self._runtime.offer(titles)

    def unconstrained(self, profiles: Sequence[str]) -> float:
        """Share of valid answers that a student gives to profiles when nothing but itself decides what it writes.

        Raises:
            ConsoleError: If the writer is no student.
        """
        if not isinstance(self._runtime, StudentRuntime):
            raise ConsoleError(
                "Only a student is asked to write unconstrained.", way_out="Name one with --student."
            )
        return self._runtime.valid_share(profiles, queries(self.settings.queries, self.settings.query_chars))

    def write(self, shoppers: Sequence[Shopper], tell: Callable[[str], None] = lambda _: None) -> Written:
        """The demands of each shopper, in batches as a worker has them."""
        return asyncio.run(self._write(shoppers, tell))

    async def _write(self, shoppers: Sequence[Shopper], tell: Callable[[str], None]) -> Written:
        await self._ladder.prepare()
        sets: list[DemandSet] = []
        wall, cpu = time.perf_counter(), time.process_time()
        for start in range(0, len(shoppers), _BATCH):
            sets += await self._ladder.infer(shoppers[start : start + _BATCH])
            tell(f"demands: {len(sets):,} of {len(shoppers):,} shoppers")
        many = max(len(shoppers), 1)
        return Written(
            [tuple(demand.query for demand in one.demands) for one in sets],
            sets,
            (time.perf_counter() - wall) / many,
            (time.process_time() - cpu) / many,
        )


def shoppers_of(
    histories: Histories, users: Sequence[int], log: Purchases, titles: Sequence[str]
) -> list[Shopper]:
    """What the histories tell of the shoppers, as inference gets it.

    Args:
        histories: Of each shopper.
        users: Their numbers in the log.
        log: Which has their ids and the items'.
        titles: By the item's number.
    """
    starts = np.searchsorted(histories.shopper, np.arange(histories.count + 1))
    found = []
    for at in range(histories.count):
        entries = range(starts[at], starts[at + 1])
        acts = tuple(
            Act(
                f"{log.users[users[at]]}-{entry}",
                "order",
                int(histories.day[entry]) * _DAY_MS,
                short_title(titles[histories.item[entry]]) if titles[histories.item[entry]] else "",
                item_id=log.items[histories.item[entry]],
                quantity=int(histories.quantity[entry]),
            )
            for entry in entries
        )
        found.append(Shopper(log.users[users[at]], histories.now, acts))
    return found
