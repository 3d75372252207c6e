"""The gate role of a worker: source, Faust agent and checkpoints, wired together."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec
from mode import Service

from index.catalog import Catalog
from index.errors import CatalogMissingError
from stream.gate.agent import GateAgent
from stream.gate.checkpoint import CheckpointStore
from stream.gate.conditions import CompiledRules
from stream.gate.gate import Bounds, Gate
from stream.gate.rules import load_rules
from stream.gate.source import EventBatch, EventSource
from stream.outbox import Outbox
from stream.redis_client import connect_redis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis

    from index.settings import IndexSettings
    from stream.worker import Worker

__all__ = ["GateRole", "add_gate"]

log = logging.getLogger(__name__)


def add_gate(worker: Worker) -> None:
    """Let ``worker`` turn events into triggers.

    Raises:
        RulesError: the rules file is wrong.
        CatalogError: the catalogue is damaged.
    """
    ruleset = load_rules(worker.stream.gate.rules)
    for warning in ruleset.warnings():
        log.warning("%s", warning)
    channel = worker.app.channel(maxsize=4)
    role = GateRole(worker, CompiledRules(ruleset), _categories(worker.index), channel)
    worker.app.service(role)

    @worker.app.agent(channel, name="gate")  # type: ignore[untyped-decorator]
    async def gate(batches: Any) -> None:
        """Apply whole batches; one at a time, so a partition's events keep their order."""
        async for batch in batches:
            try:
                await role.agent.apply(batch.partition, batch.epoch, batch.arrivals)
            except Exception as error:  # noqa: BLE001  # state and offsets stay at the checkpoint
                worker.fail(error)


def _categories(index: IndexSettings) -> Mapping[str, str] | None:
    """Item id to category of the catalogue, where there is one."""
    try:
        catalog = Catalog.open(index.catalog)
    except CatalogMissingError:
        log.warning("no catalogue at %s: items are taken as they come, without category", index.catalog)
        return None
    return catalog.category_of_item()


class GateRole(Service):  # type: ignore[misc]  # mode has no types that mypy may follow
    """Opens connections first and closes them last; the source lives in between."""

    redis: Redis
    agent: GateAgent
    source: EventSource

    def __init__(
        self, worker: Worker, rules: CompiledRules, categories: Mapping[str, str] | None, channel: Any
    ) -> None:
        super().__init__()
        self._worker = worker
        self._rules = rules
        self._channel = channel
        settings = worker.stream.gate
        bounds = Bounds(
            lateness_ms=int(settings.lateness_s * 1000),
            recent_events=settings.recent_events,
            ledger_weeks=settings.ledger_weeks,
        )
        self._gate = Gate(rules, bounds, categories)
        self._outbox = Outbox(worker.stream.kafka, "nearline-gate")

    async def on_start(self) -> None:
        """Connect, then read."""
        worker, stream = self._worker, self._worker.stream
        worker.app.flow_control.resume()  # Faust's consumer would do it after its rebalance
        self.redis = await connect_redis(stream.redis)
        await self._outbox.start()
        store = CheckpointStore(self.redis, stream.redis.prefix)
        self.agent = GateAgent(self._gate, store, self._outbox, stream.kafka, stream.gate)
        self.source = EventSource(self.agent, self._emit, worker.fail, stream.kafka, stream.gate)
        worker.readiness["gate"] = self.source.assigned.is_set
        worker.statistics["gate"] = self._statistics
        await self.add_runtime_dependency(self.source)

    async def on_shutdown(self) -> None:
        """Disconnect, after the source has written its last checkpoint."""
        await self._outbox.stop()
        await self.redis.aclose()

    async def _emit(self, batch: EventBatch) -> None:
        await self._channel.put(batch)

    def _statistics(self) -> dict[str, Any]:
        written = self.agent.checkpointed_at
        counts = self.agent.accounting()
        return {
            "partitions": self.agent.owned,
            "accounting": msgspec.structs.asdict(counts),
            "balanced": counts.balanced,
            "users_in_memory": self.agent.users_in_memory,
            "lag": self.source.lag,
            "rules": self._rules.version,
            "checkpoint_age_s": round(time.monotonic() - written, 3) if written else None,
        }
