"""What inference counts beside its outcomes, and its numbers as metrics."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from agents.breaker import State
from agents.demand import Kind, Reason, Rung
from index.ranking.live import LIVE_FEATURES
from stream.metrics.latency import Latency
from stream.metrics.minutes import Count
from stream.metrics.readings import bounded
from stream.slates import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agents.ladder import Ladder
    from stream.catalog.service import LivingCatalog
    from stream.infer.pipeline import Pipeline
    from stream.infer.source import TriggerSource
    from stream.metrics.readings import Readings
    from stream.slates import Trace

__all__ = ["STAGES", "InferReadings", "InferTally"]

# Name of the stage to what the chain of a slate calls it.
STAGES = {
    "queue": "queue",
    "prepare": "prepare",
    "profile": "profile",
    "model": "model",
    "judge": "judge",
    "encode": "encode",
    "search": "search",
    "rank": "fuse",
    "recall": "recall",
    "write": "write",
    "total": "total",
}
_REASONS = frozenset(str(reason) for reason in Reason)
_CATEGORY, _AGE = LIVE_FEATURES.index("category"), LIVE_FEATURES.index("age_days")


class InferTally:
    """Counts what slates were made of.

    Attributes:
        stages: times by stage; those of a batch's common calls count for each of its triggers.
        to_slate: from the event to its slate.
        rejected: the model's queries that were rejected, by reason, and ``kept`` those that were not.
        tokens: of prompts (``in``) and answers (``out``).
        discovered: places with what is ``new`` to the shop, or of an ``unseen_category``.
        with_new: slates with an item that is new to the shop.
        categories: places by category.
        breadth: slates by how many categories they have.
    """

    def __init__(self, new_days: float) -> None:
        """Items are new for ``new_days`` days."""
        self.stages = {stage: Latency() for stage in STAGES}
        self.to_slate = Latency()
        self.rejected: dict[str, int] = {}
        self.kept = 0
        self.tokens = {"in": 0, "out": 0}
        self.discovered = {"new": 0, "unseen_category": 0}
        self.with_new = 0
        self.categories: Counter[str] = Counter()
        self.breadth: Counter[int] = Counter()
        self._new_days = new_days

    def served(self, trace: Trace, thinking_ms: Mapping[str, float], categories: Sequence[str] = ()) -> None:
        """Count a slate that was written; ``thinking_ms`` are the ladder's times, ``categories`` its places'."""
        times = {**trace.timings_ms, **thinking_ms}
        for stage, name in STAGES.items():
            if name in times:
                self.stages[stage].note(times[name] / 1000)
        self.to_slate.note((times.get("gate", 0.0) + times.get("total", 0.0)) / 1000)
        if trace.rung == Rung.LLM:
            self.kept += sum(demand["kind"] != Kind.EXPLICIT for demand in trace.demands)
        for rejected in trace.rejected:
            bounded(self.rejected, _reason(rejected["reason"]))
        self.tokens["in"] += trace.prompt["prompt_tokens"] or 0
        self.tokens["out"] += trace.prompt["output_tokens"] or 0
        self.categories.update(categories)
        self.breadth[len(set(categories))] += 1
        self._count_discovery([candidate["features"] for candidate in trace.candidates])

    def _count_discovery(self, features: Sequence[Sequence[float | None]]) -> None:
        ranked = [one for one in features if len(one) == len(LIVE_FEATURES)]
        ages = [age for one in ranked if (age := one[_AGE]) is not None]
        new = sum(age <= self._new_days for age in ages)
        self.discovered["new"] += new
        self.with_new += new > 0
        weights = [one[_CATEGORY] for one in ranked]
        if any(weights):  # of a shopper without categories, none is unseen
            self.discovered["unseen_category"] += sum(weight == 0 for weight in weights)


def _reason(said: str) -> str:
    """The reason without what follows it: the judge adds what spoke against a query."""
    reason = said.partition(":")[0]
    return reason if reason in _REASONS else "other"


class InferReadings:
    """Reads inference's numbers when they are asked for."""

    def __init__(
        self, pipeline: Pipeline, source: TriggerSource, living: LivingCatalog, ladder: Ladder
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._living = living
        self._ladder = ladder

    def __call__(self, readings: Readings) -> None:
        """Put the numbers of now into ``readings``."""
        pipeline, say, tally = self._pipeline, readings.say, self._pipeline.tally
        say("nearline_trigger_lag", self._source.lag)
        for outcome in Outcome:
            say("nearline_triggers_served_total", pipeline.outcomes[outcome], outcome=str(outcome))
        # All of them from the start: a share of a series that is not there yet would be none, and not 0.
        readings.say_all(
            "nearline_slates_total", {**dict.fromkeys(map(str, Rung), 0), **pipeline.rungs}, "rung"
        )
        for stage, latency in tally.stages.items():
            readings.times("nearline_stage_seconds", latency, stage=stage)
        readings.times("nearline_event_to_slate_seconds", tally.to_slate)
        readings.say_all("nearline_model_tokens_total", tally.tokens, "direction")
        state = self._ladder.breaker.state(time.monotonic())
        for one in State:
            say("nearline_breaker_state", float(one is state), state=str(one))
        say("nearline_demands_total", tally.kept, verdict="kept")
        say("nearline_demands_total", sum(tally.rejected.values()), verdict="rejected")
        readings.say_all("nearline_demands_rejected_total", tally.rejected, "reason")
        readings.say_all("nearline_slate_places_total", pipeline.positions, "channel")
        readings.say_all("nearline_slate_discovery_places_total", tally.discovered, "kind")
        say("nearline_items", len(self._living.now.catalog))
        self._catalogue(readings, self._living.statistics())
        runtime = self._ladder.runtime
        prompt = self._ladder.prompt.version
        say("nearline_model_info", 1, model=runtime.model, runtime=runtime.name, prompt=prompt)

    def by_minute(self) -> Iterator[Count]:
        """The counts that are kept by the minute."""
        pipeline, tally = self._pipeline, self._pipeline.tally
        parts: dict[str, Mapping[Any, int]] = {
            "slates": pipeline.rungs,
            "channels": pipeline.positions,
            "discovery": {**tally.discovered, "with_new": tally.with_new},
            "categories": tally.categories,
            "breadth": tally.breadth,
        }
        for part, counts in parts.items():
            for name, value in counts.items():
                yield Count(part, str(name), value)

    @staticmethod
    def _catalogue(readings: Readings, told: Mapping[str, Any]) -> None:
        say = readings.say
        say("nearline_index_version", told["version"] or 0)
        say("nearline_index_switches_total", told["switched"])
        say("nearline_index_refused", float(bool(told["refused"])))
        for outcome in ("applied", "rejected"):
            say("nearline_catalog_changes_total", told[outcome], outcome=outcome)
        for kind, name in (("changed", "changes"), ("new", "new_rows"), ("not_offered", "not_offered")):
            say("nearline_catalog_delta_items", told[name], kind=kind)
