"""The infer role of a worker: source, Faust agent, models and index, wired together."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from mode import Service

from agents.ladder import Ladder
from agents.runtime import open_runtime, settled
from agents.runtime.protocol import WritesTitles
from index.built.catalog import Catalog
from index.errors import EncoderUnavailableError
from index.recall import Query, RecallRequest
from index.settings import open_recall
from stream.catalog.follower import Graveyard
from stream.catalog.service import LivingCatalog
from stream.infer.background import LivingBackgrounds, living_backgrounds
from stream.infer.pipeline import Pipeline
from stream.infer.source import TriggerSource
from stream.infer.spelling import LivingSpelling, living_spelling
from stream.infer.titles import TitlesKept
from stream.infer.wording import PortraitWords, portrait_words
from stream.judging import LivingJudge
from stream.metrics.infer import InferReadings
from stream.redis_client import patiently
from stream.role import Role
from stream.slates import SlateCandidate, SlateStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.recall import Recall
    from stream.worker import Worker

__all__ = ["InferRole", "add_infer"]

log = logging.getLogger(__name__)

_POPULAR_ITEMS = 50
_POPULAR_S = 5.0
_TITLES_S = 1.0
_FIRST_S = 3.0
_WORDS_S = 0.5
_WARMED = 512
_WARMED_AT_ONCE = 16


def add_infer(worker: Worker) -> None:
    """Let ``worker`` turn triggers into slates.

    Raises:
        CatalogError: there is no catalogue, it is damaged, or another encoder built its index.
        AgentError: the model cannot be loaded.
    """
    began = time.perf_counter()
    catalog = Catalog.open(worker.index.catalog)
    # The language model before the encoder: it tells OpenMP how to wait, which is heard only once.
    agents = settled(worker.agents, catalog.phrases())
    runtime = open_runtime(agents, catalog.phrases(), catalog.categories)
    recall = open_recall(worker.index)
    judge = LivingJudge(agents.judge, recall) if agents.judge.enabled else None
    background = living_backgrounds(agents, recall)
    spelling = living_spelling(agents, recall)
    ladder = Ladder(
        runtime, agents, judge=judge, background=background, mend=spelling.mend if spelling else None
    )
    log.info(
        "catalogue of %d items and models loaded in %.1f s", len(recall.catalog), time.perf_counter() - began
    )
    channel = worker.app.channel(maxsize=1)
    followers = [one for one in (judge, background, spelling) if one is not None]
    role = InferRole(worker, recall, ladder, followers, channel)
    worker.app.service(role)

    @worker.app.agent(channel, name="infer")  # type: ignore[untyped-decorator]
    async def infer(batches: Any) -> None:
        """Serve whole batches; the next is read while this one is thought about."""
        async for batch in batches:
            try:
                await role.pipeline.serve(batch.received)
                batch.done.set_result(None)
            except asyncio.CancelledError:
                batch.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001  # uncommitted: the next worker reads it again
                worker.fail(error)
                batch.done.set_exception(error)


class InferRole(Role):
    """The source, the pipeline that serves its batches, and the catalogue that changes meanwhile."""

    pipeline: Pipeline
    source: TriggerSource
    _words: PortraitWords | None = None

    def __init__(
        self,
        worker: Worker,
        recall: Recall,
        ladder: Ladder,
        followers: Sequence[LivingJudge | LivingBackgrounds | LivingSpelling],
        channel: Any,
    ) -> None:
        super().__init__(worker, channel, "nearline-infer")
        self._recall = recall
        self._ladder = ladder
        self._followers = followers

    async def begin(self) -> None:
        """Warm the models, then read triggers."""
        worker, stream = self._worker, self._worker.stream
        await self._ladder.prepare()
        # The first search pages the index in and warms the encoder; no trigger should wait for that.
        await asyncio.to_thread(self._recall.recall, [RecallRequest((Query("anything"),))])
        self._store = SlateStore(self.redis, stream.redis.prefix, stream.slates)
        self.living = LivingCatalog(
            self._recall,
            worker.index.catalog,
            stream.kafka,
            stream.catalog,
            Graveyard(self.redis, stream.redis.prefix, self._outbox, stream.kafka.dead_topic),
            reopen=lambda: open_recall(worker.index, self._recall.encoder, verify=True),
            changed=self._publish_popular,
            fail=worker.fail,
            kept=worker.index.versions_kept,
        )
        for follower in self._followers:
            follower.follow(self.living)
        await self.add_runtime_dependency(self.living)
        self._words = self._worded()
        await self._publish_popular()
        self.pipeline = Pipeline(
            self._ladder,
            self.living,
            self._store,
            self._outbox,
            stream.kafka,
            stream.infer,
            worker.index.recall.new_days,
            worker.tracing,
        )
        self.source = TriggerSource(self._emit, worker.fail, stream.kafka, stream.infer)
        worker.readiness["infer"] = self.source.assigned.is_set
        worker.statistics["infer"] = self._statistics
        readings = InferReadings(self.pipeline, self.source, self.living, self._ladder)
        worker.metrics.add("infer", readings)
        worker.minutes.add(readings.by_minute)
        worker.versions["index"] = self._index_version
        worker.versions["model"] = lambda: self._ladder.runtime.model
        worker.versions["prompt"] = lambda: self._ladder.prompt.version
        await self.add_runtime_dependency(self.source)

    async def on_shutdown(self) -> None:
        """Disconnect, after the source has let its batch finish."""
        await self._ladder.runtime.close()
        if self._words is not None:
            await self._words.close()
        await super().on_shutdown()

    def _worded(self) -> PortraitWords | None:
        """The words of portraits, where they are on and the model is told portraits at all."""
        agents, stream = self._worker.agents, self._worker.stream
        told = next((one for one in self._followers if isinstance(one, LivingBackgrounds)), None)
        if agents.wording.enabled and told is None:
            log.warning("agents.wording is on, but the model is told no portraits: none are worded.")
        if told is None:
            return None
        words = portrait_words(agents, self.redis, stream.redis.prefix, stream.slates.cached_demands_ttl_s)
        if words is not None:
            told.word_by(words)
        return words

    def _statistics(self) -> dict[str, Any]:
        return {
            "outcomes": dict(self.pipeline.outcomes),
            "rungs": dict(self.pipeline.rungs),
            "channels": list(self.living.now.channels),
            "positions": dict(self.pipeline.positions),
            "lag": self.source.lag,
            "items": len(self.living.now.catalog),
            "catalog": self.living.statistics(),
            **({"portraits": dict(self._words.counts)} if self._words is not None else {}),
        }

    def _index_version(self) -> str:
        number = self.living.statistics()["version"]
        return "built" if number is None else str(number)

    async def _publish_popular(self) -> None:
        await _publish_popular(self._store, self.living.now)

    @Service.task  # type: ignore[untyped-decorator]
    async def _keep_popular(self) -> None:
        """Write popular items anew when the catalogue has changed, so that they too lose what is gone."""
        written = self.living.now
        while not self.should_stop:
            await self.sleep(_POPULAR_S)
            if self.living.now is not written:
                written = self.living.now
                await patiently("writing popular items", self._publish_popular)

    @Service.task  # type: ignore[untyped-decorator]
    async def _word_portraits(self) -> None:
        """Word portraits while there are any that wait."""
        while self._words is not None and not self.should_stop:
            if not await patiently("keeping the words of portraits", self._words.step):
                await self.sleep(_WORDS_S)

    @Service.task  # type: ignore[untyped-decorator]
    async def _keep_titles(self) -> None:
        """Tell the model which titles the catalogue has gained and lost, and the spelling which words."""
        runtime = self._ladder.runtime
        await self.sleep(_FIRST_S)  # the first slate has the machine to itself
        if isinstance(runtime, WritesTitles):
            await self._embed_beforehand(runtime.usual(_WARMED))
        kept = TitlesKept(runtime, self.living)
        while not self.should_stop:
            await kept.keep()
            for follower in self._followers:
                if isinstance(follower, LivingSpelling) and follower.stale:
                    await asyncio.to_thread(follower.refresh)
            await self.sleep(_TITLES_S)

    async def _embed_beforehand(self, usual: list[str]) -> None:
        """Embed what is asked most while there is time, a few at once, so that no trigger waits for it."""
        try:
            for start in range(0, len(usual), _WARMED_AT_ONCE):
                if self.should_stop:
                    return
                part = usual[start : start + _WARMED_AT_ONCE]
                await asyncio.to_thread(self._recall.encoder.encode, part)
        except EncoderUnavailableError as error:
            log.warning("%s Demands are embedded as they come.", error)


async def _publish_popular(store: SlateStore, recall: Recall) -> None:
    """Write the popular items of every category, and of all under the empty name."""
    by_category = {
        category: [
            SlateCandidate(c.item, round(c.score, 6), c.query or "", c.why, c.channel)
            for c in recall.popular((category,) if category else (), _POPULAR_ITEMS)
        ]
        for category in ("", *recall.catalog.categories)
    }
    await store.publish_popular(by_category, int(time.time() * 1000))
