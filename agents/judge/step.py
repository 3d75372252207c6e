"""Judging as a step of the ladder: what the judge, and where wanted a language model, leave of a batch's demands."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agents.demand import DemandSet, Reason, Rejected
from agents.errors import GenerationError
from agents.judge.features import Case
from agents.judge.opinion import opinions
from nearline import NearlineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents.judge.judge import Judge, Verdict
    from agents.prompts import Prompt
    from agents.runtime.protocol import Runtime
    from agents.shopper import Shopper

__all__ = ["Judging"]

_UNCONVINCED = "the language model does not stand by it"


@dataclass(frozen=True, slots=True)
class Judging:
    """Applies verdicts.

    Attributes:
        judge: Gives the judge to use; asked once a batch, because the catalogue behind it changes.
        prompt: The prompt that the demands come from.
        runtime: The model that is asked for its opinion; None for none.
        opinion: The prompt of that question.
    """

    judge: Callable[[], Judge]
    prompt: Prompt
    runtime: Runtime | None = None
    opinion: Prompt | None = None

    async def apply(
        self, shoppers: Sequence[Shopper], results: Sequence[DemandSet], deadline: float | None = None
    ) -> list[DemandSet]:
        """The results with the demands that are kept, scored; the others are rejected with reason and score.

        Where the shop cannot be asked the demands stand as they are, and the note says so.

        Args:
            shoppers: Whom the results are for.
            results: What the model wrote, cleaned.
            deadline: ``time.monotonic`` seconds, for the model's opinion.
        """
        shown = self.prompt.phrases()
        cases = [
            Case(shopper, tuple(demand.query for demand in result.demands), shown, self.prompt.rules)
            for shopper, result in zip(shoppers, results, strict=True)
        ]
        began = time.perf_counter()
        try:
            verdicts = await asyncio.to_thread(lambda: self.judge().judge(cases))
        except NearlineError as error:
            return [_noted(result, f"judge: {error.message}") for result in results]
        left = [_left(result, found) for result, found in zip(results, verdicts, strict=True)]
        if self.runtime is not None and self.opinion is not None:
            kept = [
                replace(case, queries=tuple(demand.query for demand in result.demands))
                for case, result in zip(cases, left, strict=True)
            ]
            said = await opinions(kept, self.runtime, self.opinion, deadline=deadline)
            left = [_heard(result, one) for result, one in zip(left, said, strict=True)]
        took = (time.perf_counter() - began) * 1e3
        return [replace(result, timings_ms={**result.timings_ms, "judge": took}) for result in left]


def _left(result: DemandSet, verdicts: Sequence[Verdict]) -> DemandSet:
    pairs = list(zip(result.demands, verdicts, strict=True))
    kept = tuple(replace(demand, judged=round(one.score, 4)) for demand, one in pairs if one.kept)
    rejected = tuple(
        Rejected(demand.query, f"{Reason.JUDGED.value}: {', '.join(one.reasons)}", round(one.score, 4))
        for demand, one in pairs
        if not one.kept
    )
    return replace(result, demands=kept, rejected=(*result.rejected, *rejected))


def _heard(result: DemandSet, said: tuple[bool, ...] | GenerationError) -> DemandSet:
    if isinstance(said, GenerationError):
        return _noted(result, f"judge's model: {said.message}")
    rejected = tuple(
        Rejected(demand.query, f"{Reason.JUDGED.value}: {_UNCONVINCED}", demand.judged)
        for demand, stands in zip(result.demands, said, strict=True)
        if not stands
    )
    kept = tuple(demand for demand, stands in zip(result.demands, said, strict=True) if stands)
    return replace(result, demands=kept, rejected=(*result.rejected, *rejected))


def _noted(result: DemandSet, note: str) -> DemandSet:
    return replace(result, note="; ".join(part for part in (result.note, note) if part))
