"""Never empty, never late: from shoppers to demands, by the best rung that answers in time.

The model first, its demands judged where there is a judge; then the demands that it wrote for the shopper before; then demands written by code
from the shopper's categories and recent titles; then none, and the shop's popular items stand in.
Every step down is noted with its reason. Nothing here raises for one shopper's sake.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agents import prompts
from agents.breaker import Breaker
from agents.demand import MOST_DEMANDS, Demand, DemandSet, Kind, Rung
from agents.distill.form import PROMPT as OF_STUDENTS
from agents.errors import BadAnswer, GenerationError, TooLate
from agents.explicit import EXPLICIT, explicit
from agents.judge.step import Judging
from agents.leads import Side, instructions, sides
from agents.profile import sanitise
from agents.runtime.protocol import Generation, Request, seed_of
from agents.structured import queries
from agents.words import normal
from agents.written import Bounds, Written, read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents.judge import Judge
    from agents.runtime.protocol import Runtime
    from agents.settings import AgentSettings
    from agents.shopper import Shopper

__all__ = ["Ladder"]

# A local step notices its deadline within a pass; past this many seconds the call itself is given up.
_GRACE = 0.5
_INFERRED = frozenset({Rung.LLM, Rung.CACHED})
# Of the queries that code writes, at most these are titles; categories get the rest.
_TITLES = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """One shopper with what was rendered for them, of each side that the model is asked from."""

    shopper: Shopper
    sides: tuple[Side, ...]
    profile_ms: float

    @property
    def text(self) -> str:
        return "\n\n".join(side.profile.text for side in self.sides)


class Ladder:
    """Infers demands. Safe for concurrent calls on one event loop."""

    def __init__(
        self,
        runtime: Runtime,
        settings: AgentSettings,
        *,
        judge: Callable[[], Judge] | None = None,
        background: Callable[[Sequence[Shopper]], list[Shopper]] | None = None,
        mend: Callable[[str], str | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use ``runtime`` under ``settings``; ``clock`` gives seconds and only goes forward.

        ``judge`` is asked once a batch, as the catalogue behind it changes; without one the model's
        demands are served as cleaned. ``background`` gives shoppers what the slow agents know of them; it is
        called in a thread, once a batch. ``mend`` as `agents.explicit.explicit` has it.

        Raises:
            PromptError: the settings name a prompt that does not exist, or one without a lead that they name.
        """
        self.runtime = runtime
        self.breaker = Breaker(settings.breaker.failures, settings.breaker.pause)
        self.prompt = prompts.load(settings.prompt)
        self._settings = settings
        opinion = prompts.load(settings.judge.opinion) if judge and settings.judge.opinion else None
        self._judging = Judging(judge, self.prompt, runtime if opinion else None, opinion) if judge else None
        self._background = background
        self._clock = clock
        self._mend = mend
        self._leads = instructions(self.prompt, settings.leads)
        examples = tuple(query for example in self.prompt.examples for query in example.queries)
        self._bounds = Bounds(
            structure=queries(settings.queries, settings.query_chars),
            examples=examples,
            longest=settings.query_chars,
            most=max(MOST_DEMANDS, settings.queries * max(1, len(self._leads))),
            titles=settings.prompt == OF_STUDENTS,
        )
        self._shown = frozenset(normal(query) for query in examples)

    async def prepare(self) -> None:
        """Let the runtime compute beforehand what all requests share; else the first one waits for it."""
        await self.runtime.prepare(self.prompt, self._bounds.structure)

    async def infer(
        self, shoppers: Sequence[Shopper], deadlines: Sequence[float] | None = None
    ) -> list[DemandSet]:
        """Demands for each shopper, in order.

        ``deadlines`` are moments of the clock (``time.monotonic`` seconds), one a shopper; without
        them each has the settings' ``deadline`` seconds from now.
        """
        now = self._clock()
        until = list(deadlines) if deadlines is not None else [now + self._settings.deadline] * len(shoppers)
        if len(until) != len(shoppers):
            raise ValueError(f"expected {len(shoppers)} deadlines, one a shopper, and got {len(until)}")
        if self._background is not None:
            shoppers = await asyncio.to_thread(self._background, shoppers)
        asked = [self._ask(shopper) for shopper in shoppers]
        notes: dict[int, str] = {}
        open_ = [i for i, one in enumerate(asked) if self._may_ask(one, until[i], now, notes, i)]
        if open_ and not self.breaker.admit(now):
            notes.update(dict.fromkeys(open_, "llm: the circuit breaker is open"))
            open_ = []
        began = self._clock()
        answers = await self._generate([(asked[i], until[i]) for i in open_]) if open_ else []
        model_ms = (self._clock() - began) * 1e3
        results: dict[int, DemandSet] = {}
        for i, answer in zip(open_, answers, strict=True):
            results[i] = self._clean(asked[i], answer, model_ms)
        await self._judged(asked, results, max(until, default=now))
        for i, one in enumerate(asked):
            if i not in results:
                results[i] = self._descend(one, self._blank(one, note=notes[i]))
        return [self._said_first(one, results[i]) for i, one in enumerate(asked)]

    def _said_first(self, one: _Asked, result: DemandSet) -> DemandSet:
        """The result with what the shopper said themselves before what was inferred."""
        if result.rung not in _INFERRED:
            return result  # code has written the same titles, or there is nothing at all
        said = explicit(one.shopper, self._settings.explicit, self._settings.query_chars, self._mend)
        return replace(result, demands=(*said, *result.demands)) if said else result

    def _ask(self, shopper: Shopper) -> _Asked:
        began = time.perf_counter()
        told = sides(shopper, self._settings.profile_chars, self._leads)
        return _Asked(shopper, told, (time.perf_counter() - began) * 1e3)

    def _may_ask(self, one: _Asked, until: float, now: float, notes: dict[int, str], index: int) -> bool:
        if not one.text:
            notes[index] = "llm: nothing readable is known of the shopper"
        elif until <= now:
            notes[index] = "llm: the deadline had passed before the call"
        return index not in notes

    async def _generate(
        self, batch: Sequence[tuple[_Asked, float]]
    ) -> list[list[Generation | GenerationError]]:
        """Answers to each side of each shopper."""
        last = max(until for _, until in batch)
        # The first side of everybody before the second of anybody: where time runs out, all have one.
        most = max(len(one.sides) for one, _ in batch)
        order = [
            (at, turn) for turn in range(most) for at, (one, _) in enumerate(batch) if turn < len(one.sides)
        ]
        banned = [self._banned(one) for one, _ in batch]
        requests = [self._request(*batch[at], turn, banned[at]) for at, turn in order]
        try:
            # The runtime keeps deadlines itself; this holds even if it does not.
            async with asyncio.timeout(max(0.0, last - self._clock()) + _GRACE):
                answers = await self.runtime.generate(requests, last)
        except TimeoutError:
            late = TooLate("the runtime gave no answer by the deadline.", way_out="Raise agents.deadline.")
            answers = [late] * len(requests)
        given: list[list[Generation | GenerationError]] = [[] for _ in batch]
        for (at, _), answer in zip(order, answers, strict=True):
            given[at].append(answer)
        for own in given:
            # Prose or a cut answer is that request's fault; the server is there. One side of a shopper tells that too.
            if any(isinstance(answer, Generation | BadAnswer) for answer in own):
                self.breaker.succeeded()
            else:
                self.breaker.failed(self._clock())
        return given

    def _banned(self, one: _Asked) -> frozenset[str]:
        """What the shopper knows, as far as it was told and beyond, and what the prompt's examples show."""
        labels = (label for side in one.sides for label in side.profile.evidence)
        acts = (sanitise(act.text) for act in one.shopper.recent)
        return frozenset(normal(label) for label in (*labels, *acts)) - {""} | self._shown

    def _request(self, one: _Asked, until: float, turn: int, banned: frozenset[str]) -> Request:
        side = one.sides[turn]
        token = f"{self._settings.seed}:{one.shopper.user_id}:{one.shopper.moment}"
        if side.lead is not None:
            token = f"{token}:{side.lead}"
        return Request(
            prompt=self.prompt,
            text=side.profile.text,
            structure=self._bounds.structure,
            max_tokens=self._settings.max_tokens,
            temperature=self._settings.temperature,
            seed=seed_of(token),
            banned=banned,
            deadline=until,
        )

    def _clean(
        self, one: _Asked, answers: Sequence[Generation | GenerationError], model_ms: float
    ) -> DemandSet:
        began = time.perf_counter()
        inputs = [label for side in one.sides for label in side.profile.evidence]
        inputs += [act.text for act in one.shopper.recent]
        written = read(one.sides, answers, inputs, self._bounds)
        timings = {"model": model_ms, "clean": (time.perf_counter() - began) * 1e3}
        note = "; ".join(f"llm: {fault}" for fault in written.faults)
        result = self._blank(one, written=written, note=note, timings=timings)
        if written.demands:
            return result
        if len(written.faults) == len(answers):
            return self._descend(one, result)
        reasons = ", ".join(sorted({each.reason for each in written.rejected}))
        return self._descend(one, result, f"llm: no query was left after cleaning ({reasons})")

    async def _judged(self, asked: Sequence[_Asked], results: dict[int, DemandSet], deadline: float) -> None:
        """Put in place of each result of the model what the judge leaves of it; one call for all."""
        written = [i for i, result in results.items() if result.rung is Rung.LLM]
        if self._judging is None or not written:
            return
        shoppers = [asked[i].shopper for i in written]
        judged = await self._judging.apply(shoppers, [results[i] for i in written], deadline)
        for i, left in zip(written, judged, strict=True):
            none = "llm: no demand was left after judging"
            results[i] = left if left.demands else self._descend(asked[i], left, none)

    def _descend(self, one: _Asked, result: DemandSet, why: str = "") -> DemandSet:
        """The best rung below the model's, keeping what is recorded of the model's attempt."""
        notes = [note for note in (result.note, why) if note]
        shopper = one.shopper
        demands = tuple(
            own
            for own in [own for own in shopper.cached if own.kind != EXPLICIT][: self._bounds.most]
            if own.query.strip()
        )
        rung = Rung.CACHED
        if not demands:
            notes.append("cached: none")
            demands, rung = _from_preferences(one), Rung.PREFERENCE
        if not demands:
            notes.append("preference: neither categories nor titles")
            rung = Rung.POPULAR
        return replace(result, demands=demands, rung=rung, note="; ".join(notes))

    def _blank(
        self,
        one: _Asked,
        *,
        note: str = "",
        written: Written | None = None,
        timings: dict[str, float] | None = None,
    ) -> DemandSet:
        return DemandSet(
            user_id=one.shopper.user_id,
            demands=written.demands if written else (),
            rejected=written.rejected if written else (),
            rung=Rung.LLM,
            prompt_version=self.prompt.version,
            model=self.runtime.model,
            runtime=self.runtime.name,
            prompt_tokens=written.prompt_tokens if written else 0,
            output_tokens=written.output_tokens if written else 0,
            timings_ms={"profile": one.profile_ms, **(timings or {})},
            prompt=one.text,
            raw_output=written.raw if written else "",
            note=note,
            categories=one.shopper.categories,
        )


def _from_preferences(one: _Asked) -> tuple[Demand, ...]:
    """Queries by code: what the shopper last looked at, then the categories that weigh most."""
    written: dict[str, tuple[str, ...]] = {}
    for act in reversed(one.shopper.recent):
        label = sanitise(act.text)
        if normal(label):
            written.setdefault(label, (act.event_id,))
        if len(written) == _TITLES:
            break
    for category in one.shopper.categories:
        label = sanitise(category)
        if normal(label):
            written.setdefault(label, ())
    return tuple(
        Demand(query, Kind.PREFERENCE, events, None) for query, events in list(written.items())[:MOST_DEMANDS]
    )
