"""Never empty, never late: from shoppers to demands, by the best rung that answers in time.

The model first, its demands judged where there is a judge; then the demands that it wrote for the shopper before; then demands written by code
from the shopper's categories and recent titles; then none, and the shop's popular items stand in.
Every step down is noted with its reason. Nothing here raises for one shopper's sake.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agents import prompts
from agents.breaker import Breaker
from agents.demand import MOST_DEMANDS, Demand, DemandSet, Rejected, Rung, clean
from agents.errors import BadAnswer, GenerationError, TooLate
from agents.explicit import EXPLICIT, explicit
from agents.judge.step import Judging
from agents.profile import Profile, render, sanitise
from agents.runtime.protocol import Generation, Request
from agents.structured import queries
from agents.words import normal, words

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
    """One shopper with what was rendered for them."""

    shopper: Shopper
    profile: Profile
    profile_ms: float


class Ladder:
    """Infers demands. Safe for concurrent calls on one event loop."""

    def __init__(
        self,
        runtime: Runtime,
        settings: AgentSettings,
        *,
        judge: Callable[[], Judge] | None = None,
        background: Callable[[Sequence[Shopper]], list[Shopper]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use ``runtime`` under ``settings``; ``clock`` gives seconds and only goes forward.

        ``judge`` is asked once a batch, as the catalogue behind it changes; without one the model's
        demands are served as cleaned. ``background`` gives shoppers what the slow agents know of them; it is
        called in a thread, once a batch.

        Raises:
            PromptError: the settings name a prompt that does not exist.
        """
        self.runtime = runtime
        self.breaker = Breaker(settings.breaker.failures, settings.breaker.pause)
        self.prompt = prompts.load(settings.prompt)
        self._settings = settings
        opinion = prompts.load(settings.judge.opinion) if judge and settings.judge.opinion else None
        self._judging = Judging(judge, self.prompt, runtime if opinion else None, opinion) if judge else None
        self._background = background
        self._clock = clock
        self._most = max(MOST_DEMANDS, settings.queries)
        self._structure = queries(settings.queries, settings.query_chars)
        self._examples = tuple(query for example in self.prompt.examples for query in example.queries)
        self._shown = frozenset(normal(query) for query in self._examples)

    async def prepare(self) -> None:
        """Let the runtime compute beforehand what all requests share; else the first one waits for it."""
        await self.runtime.prepare(self.prompt, self._structure)

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
        said = explicit(one.shopper, self._settings.explicit, self._settings.query_chars)
        return replace(result, demands=(*said, *result.demands)) if said else result

    def _ask(self, shopper: Shopper) -> _Asked:
        began = time.perf_counter()
        profile = render(shopper, self._settings.profile_chars)
        return _Asked(shopper, profile, (time.perf_counter() - began) * 1e3)

    def _may_ask(self, one: _Asked, until: float, now: float, notes: dict[int, str], index: int) -> bool:
        if not one.profile.text:
            notes[index] = "llm: nothing readable is known of the shopper"
        elif until <= now:
            notes[index] = "llm: the deadline had passed before the call"
        return index not in notes

    async def _generate(self, batch: Sequence[tuple[_Asked, float]]) -> list[Generation | GenerationError]:
        requests = [self._request(one, until) for one, until in batch]
        last = max(until for _, until in batch)
        try:
            # The runtime keeps deadlines itself; this holds even if it does not.
            async with asyncio.timeout(max(0.0, last - self._clock()) + _GRACE):
                answers = await self.runtime.generate(requests, last)
        except TimeoutError:
            late = TooLate("the runtime gave no answer by the deadline.", way_out="Raise agents.deadline.")
            answers = [late] * len(requests)
        for answer in answers:
            # Prose or a cut answer is that request's fault; the server is there.
            if isinstance(answer, Generation | BadAnswer):
                self.breaker.succeeded()
            else:
                self.breaker.failed(self._clock())
        return answers

    def _request(self, one: _Asked, until: float) -> Request:
        # The same trigger gives the same seed, whichever worker and whenever.
        token = f"{self._settings.seed}:{one.shopper.user_id}:{one.shopper.moment}"
        seed = int.from_bytes(hashlib.sha256(token.encode()).digest()[:4], "big") >> 1
        # What the profile has no room for is known all the same.
        acts = (sanitise(act.text) for act in one.shopper.recent)
        own = frozenset(normal(label) for label in (*one.profile.evidence, *acts)) - {""}
        return Request(
            prompt=self.prompt,
            text=one.profile.text,
            structure=self._structure,
            max_tokens=self._settings.max_tokens,
            temperature=self._settings.temperature,
            seed=seed,
            banned=own | self._shown,
            deadline=until,
        )

    def _clean(self, one: _Asked, answer: Generation | GenerationError, model_ms: float) -> DemandSet:
        if isinstance(answer, GenerationError):
            blank = self._blank(one, note=f"llm: {answer.message}", timings={"model": model_ms})
            return self._descend(one, blank)
        began = time.perf_counter()
        try:
            raw = self._structure.parse(answer.text)
        except BadAnswer as error:
            blank = self._blank(one, answer=answer, note=f"llm: {error.message}", timings={"model": model_ms})
            return self._descend(one, blank)
        kept, rejected = clean(
            raw,
            inputs=(*one.profile.evidence, *(act.text for act in one.shopper.recent)),
            examples=self._examples,
            longest=self._settings.query_chars,
            most=self._most,
        )
        known = answer.confidences or ()
        said = [(frozenset(words(label)), ids) for label, ids in one.profile.evidence.items()]
        demands = tuple(
            Demand(query, Rung.LLM, _evidence(query, said), known[i] if i < len(known) else None)
            for i, query in kept
        )
        timings = {"model": model_ms, "clean": (time.perf_counter() - began) * 1e3}
        result = self._blank(one, answer=answer, demands=demands, rejected=tuple(rejected), timings=timings)
        if demands:
            return result
        reasons = ", ".join(sorted({each.reason for each in rejected}))
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
            Demand(each.query, Rung.CACHED, each.evidence, each.confidence, each.judged)
            for each in [own for own in shopper.cached if own.kind != EXPLICIT][: self._most]
            if each.query.strip()
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
        answer: Generation | None = None,
        demands: tuple[Demand, ...] = (),
        rejected: tuple[Rejected, ...] = (),
        timings: dict[str, float] | None = None,
    ) -> DemandSet:
        return DemandSet(
            user_id=one.shopper.user_id,
            demands=demands,
            rejected=rejected,
            rung=Rung.LLM,
            prompt_version=self.prompt.version,
            model=self.runtime.model,
            runtime=self.runtime.name,
            prompt_tokens=answer.prompt_tokens if answer else 0,
            output_tokens=answer.output_tokens if answer else 0,
            timings_ms={"profile": one.profile_ms, **(timings or {})},
            prompt=one.profile.text,
            raw_output=answer.text if answer else "",
            note=note,
            categories=one.shopper.categories,
        )


def _evidence(query: str, said: Sequence[tuple[frozenset[str], tuple[str, ...]]]) -> tuple[str, ...]:
    """The events that share a word with the query; all that the model saw where none does."""
    asked = frozenset(words(query))
    near = [ids for label, ids in said if not asked.isdisjoint(label)] or [ids for _, ids in said]
    return tuple(dict.fromkeys(event for ids in near for event in ids))


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
        Demand(query, Rung.PREFERENCE, events, None) for query, events in list(written.items())[:MOST_DEMANDS]
    )
