"""The gate role of a worker: source, Faust agent and checkpoints, wired together."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec
from mode import Service

from index.built.catalog import Catalog
from index.errors import CatalogMissingError
from stream.errors import FencedError
from stream.gate.agent import GateAgent
from stream.gate.gate import Bounds, Gate
from stream.gate.rules.book import RuleBook
from stream.gate.rules.live import POLL_S, LiveRules
from stream.gate.rules.ruleset import DEFAULT_RULES, parse_rules, read_rules
from stream.gate.source import EventSource
from stream.gate.state.checkpoint import CheckpointStore
from stream.metrics.gate import GateReadings
from stream.redis_client import TRANSIENT, patiently
from stream.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from index.settings import IndexSettings
    from stream.worker import Worker

__all__ = ["GateRole", "add_gate"]

log = logging.getLogger(__name__)


def add_gate(worker: Worker, kind: type[GateRole] | None = None) -> None:
    """Let ``worker`` turn events into triggers, as ``kind`` of role; the live one if not given.

    Raises:
        RulesError: the rules file is wrong.
        CatalogError: the catalogue is damaged.
    """
    source = worker.stream.gate.rules or DEFAULT_RULES
    text = read_rules(source)
    for warning in parse_rules(text, str(source)).warnings():
        log.warning("%s", warning)
    channel = worker.app.channel(maxsize=4)
    role = (kind or GateRole)(worker, text, str(source), _categories(worker.index), channel)
    worker.app.service(role)

    @worker.app.agent(channel, name="gate")  # type: ignore[untyped-decorator]
    async def gate(batches: Any) -> None:
        """Apply whole batches; one at a time, so a partition's events keep their order."""
        async for batch in batches:
            try:
                await role.agent.apply(batch.partition, batch.epoch, batch.arrivals)
                if batch.settled:
                    role.agent.settle(batch.partition, batch.epoch)
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


class GateRole(Role):
    """The source, the agent that applies its batches, and the rules it follows."""

    agent: GateAgent
    source: EventSource
    rules: LiveRules
    _future_from: int | None = None

    def __init__(
        self,
        worker: Worker,
        seed: str,
        seed_name: str,
        categories: Mapping[str, str] | None,
        channel: Any,
    ) -> None:
        super().__init__(worker, channel, "nearline-gate")
        self._seed = (seed, seed_name)
        self._categories = categories

    async def begin(self) -> None:
        """Read the rules, then the events."""
        worker, stream = self._worker, self._worker.stream
        self.rules = self._make_rules()
        await patiently("reading the book of rules", self.rules.start)
        gate = Gate(self.rules.seed, Bounds.of(stream.gate), self._categories)
        store = CheckpointStore(self.redis, stream.redis.prefix)
        self.agent = self._make_agent(gate, store)
        self.source = EventSource(
            self.agent,
            self._emit,
            worker.fail,
            stream.kafka,
            stream.gate,
            future_from=self._future_from,
            with_headers=worker.tracing is not None,
        )
        worker.readiness["gate"] = self.source.assigned.is_set
        worker.statistics["gate"] = self._statistics
        readings = GateReadings(self.agent, self.source, self.rules)
        worker.metrics.add("gate", readings)
        worker.minutes.add(readings.by_minute)
        worker.versions["rules"] = lambda: self.rules.newest.version
        await self.add_runtime_dependency(self.source)

    def _make_rules(self) -> LiveRules:
        return LiveRules(RuleBook(self.redis, self._worker.stream.redis.prefix), *self._seed)

    def _make_agent(self, gate: Gate, store: CheckpointStore) -> GateAgent:
        stream, tracing = self._worker.stream, self._worker.tracing
        return GateAgent(gate, store, self._outbox, self.rules, stream.kafka, stream.gate, tracing)

    @Service.task  # type: ignore[untyped-decorator]
    async def _follow_rules(self) -> None:
        """Ask for new rules every so often, and change to them."""
        away = False
        while not self.should_stop:
            await self.sleep(POLL_S)
            try:
                await self.rules.refresh()
                await self.agent.change_rules()
                away = False
            except TRANSIENT as error:
                if not away:
                    log.warning("Redis is away while asking for new rules (%s); asking on", error)
                away = True
            except FencedError as error:
                log.warning("%s", error)
                self.source.fence()
            except Exception as error:  # noqa: BLE001  # a worker that cannot follow the rules must not go on
                self._worker.fail(error)
                return

    def _statistics(self) -> dict[str, Any]:
        written = self.agent.checkpointed_at
        counts = self.agent.accounting()
        return {
            "partitions": self.agent.owned,
            "accounting": msgspec.structs.asdict(counts),
            "balanced": counts.balanced,
            "users_in_memory": self.agent.users_in_memory,
            "memory_mb": round(self.agent.memory_bytes / 2**20, 1),
            "unacknowledged": self.agent.unacknowledged,
            "waiting": self.source.waiting,
            "lag": self.source.lag,
            "rules": self.rules.newest.version,
            "rules_by_partition": self.agent.rules_in_force(),
            "rules_refused": self._refused(),
            "checkpoint_age_s": round(time.monotonic() - written, 3) if written else None,
        }

    def _refused(self) -> dict[str, Any] | None:
        """The version in the book that this worker cannot read, and why."""
        refused = self.rules.refused
        return None if refused is None else {"number": refused[0], "why": refused[1]}
