"""The infer role of a worker: source, Faust agent, models and index, wired together."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from agents.build import build_ladder
from mode import Service

from index.settings import open_recall
from stream.infer.pipeline import Pipeline
from stream.infer.source import TriggerBatch, TriggerSource
from stream.outbox import Outbox
from stream.redis_client import connect_redis
from stream.slates import SlateCandidate, SlateStore

if TYPE_CHECKING:
    from agents.ladder import Ladder
    from index.catalog import Catalog
    from index.recall import Recall
    from redis.asyncio import Redis

    from stream.worker import Worker

__all__ = ["add_infer"]

log = logging.getLogger(__name__)


def add_infer(worker: Worker) -> None:
    """Let ``worker`` turn triggers into slates.

    Raises:
        CatalogError: there is no catalogue, it is damaged, or another encoder built its index.
        AgentError: the model cannot be loaded.
    """
    began = time.perf_counter()
    recall = open_recall(worker.index)
    catalog = recall.catalog
    ladder = build_ladder(worker.agents, catalog.words())
    log.info("catalogue of %d items and models loaded in %.1f s", len(catalog), time.perf_counter() - began)
    channel = worker.app.channel(maxsize=1)
    worker.app.service(_infer_service(worker, catalog, recall, ladder, channel))


def _infer_service(worker: Worker, catalog: Catalog, recall: Recall, ladder: Ladder, channel: Any) -> Service:
    settings, kafka = worker.stream.infer, worker.stream.kafka
    outbox = Outbox(kafka, "nearline-infer")

    class InferService(Service):  # type: ignore[misc]  # mode has no types that mypy may follow
        """Opens connections first and closes them last; the source lives in between."""

        redis: Redis
        pipeline: Pipeline
        source: TriggerSource

        async def on_start(self) -> None:
            worker.app.flow_control.resume()  # Faust's consumer would do it after its rebalance
            self.redis = await connect_redis(worker.stream.redis)
            await outbox.start()
            store = SlateStore(self.redis, worker.stream.redis.prefix, worker.stream.slates)
            await _publish_popular(store, recall, catalog)
            self.pipeline = Pipeline(ladder, recall, catalog, store, outbox, kafka, settings)

            async def emit(batch: TriggerBatch) -> None:
                await channel.put(batch)

            self.source = TriggerSource(emit, worker.fail, kafka, settings)
            worker.readiness["infer"] = self.source.assigned.is_set
            worker.statistics["infer"] = self._statistics
            await self.add_runtime_dependency(self.source)

        async def on_shutdown(self) -> None:
            await ladder.close()
            await outbox.stop()
            await self.redis.aclose()

        def _statistics(self) -> dict[str, Any]:
            return {
                "outcomes": dict(self.pipeline.outcomes),
                "rungs": dict(self.pipeline.rungs),
                "lag": self.source.lag,
                "items": len(catalog),
            }

    service = InferService()

    @worker.app.agent(channel, name="infer")  # type: ignore[untyped-decorator]
    async def infer(batches: Any) -> None:
        """Serve whole batches; the next is read while this one is thought about."""
        async for batch in batches:
            try:
                await service.pipeline.serve(batch.received)
                batch.done.set_result(None)
            except asyncio.CancelledError:
                batch.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001  # uncommitted: the next worker reads it again
                worker.fail(error)
                batch.done.set_exception(error)

    return service


async def _publish_popular(store: SlateStore, recall: Recall, catalog: Catalog) -> None:
    """Write the popular items of every category, and of all under the empty name."""
    by_category = {
        category: [
            SlateCandidate(c.item, round(float(c.score), 6), c.query or "", c.why, c.channel)
            for c in recall.popular((category,) if category else (), 50, frozenset())
        ]
        for category in ("", *catalog.categories)
    }
    await store.publish_popular(by_category, int(time.time() * 1000))
