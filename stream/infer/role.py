"""The infer role of a worker: source, Faust agent, models and index, wired together."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from mode import Service

from agents.ladder import Ladder
from agents.runtime import open_runtime
from index.built.catalog import Catalog
from index.recall import Query, RecallRequest
from index.settings import open_recall
from stream.catalog.follower import Graveyard
from stream.catalog.service import LivingCatalog
from stream.infer.pipeline import Pipeline
from stream.infer.source import TriggerSource
from stream.judging import LivingJudge
from stream.redis_client import patiently
from stream.role import Role
from stream.slates import SlateCandidate, SlateStore

if TYPE_CHECKING:
    from index.recall import Recall
    from stream.worker import Worker

__all__ = ["InferRole", "add_infer"]

log = logging.getLogger(__name__)

_POPULAR_ITEMS = 50
_POPULAR_S = 5.0


def add_infer(worker: Worker) -> None:
    """Let ``worker`` turn triggers into slates.

    Raises:
        CatalogError: there is no catalogue, it is damaged, or another encoder built its index.
        AgentError: the model cannot be loaded.
    """
    began = time.perf_counter()
    catalog = Catalog.open(worker.index.catalog)
    # The language model before the encoder: it tells OpenMP how to wait, which is heard only once.
    runtime = open_runtime(worker.agents, catalog.phrases(), catalog.categories)
    recall = open_recall(worker.index)
    judge = LivingJudge(worker.agents.judge, recall) if worker.agents.judge.enabled else None
    ladder = Ladder(runtime, worker.agents, judge=judge)
    log.info(
        "catalogue of %d items and models loaded in %.1f s", len(recall.catalog), time.perf_counter() - began
    )
    channel = worker.app.channel(maxsize=1)
    role = InferRole(worker, recall, ladder, judge, channel)
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

    def __init__(
        self, worker: Worker, recall: Recall, ladder: Ladder, judge: LivingJudge | None, channel: Any
    ) -> None:
        super().__init__(worker, channel, "nearline-infer")
        self._recall = recall
        self._ladder = ladder
        self._judge = judge

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
        if self._judge is not None:
            self._judge.follow(self.living)
        await self.add_runtime_dependency(self.living)
        await self._publish_popular()
        self.pipeline = Pipeline(
            self._ladder, self.living, self._store, self._outbox, stream.kafka, stream.infer
        )
        self.source = TriggerSource(self._emit, worker.fail, stream.kafka, stream.infer)
        worker.readiness["infer"] = self.source.assigned.is_set
        worker.statistics["infer"] = self._statistics
        await self.add_runtime_dependency(self.source)

    async def on_shutdown(self) -> None:
        """Disconnect, after the source has let its batch finish."""
        await self._ladder.runtime.close()
        await super().on_shutdown()

    def _statistics(self) -> dict[str, Any]:
        return {
            "outcomes": dict(self.pipeline.outcomes),
            "rungs": dict(self.pipeline.rungs),
            "channels": list(self.living.now.channels),
            "positions": dict(self.pipeline.positions),
            "lag": self.source.lag,
            "items": len(self.living.now.catalog),
            "catalog": self.living.statistics(),
        }

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
