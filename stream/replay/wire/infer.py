"""The infer role of a replay's worker: the live source and writing, with models behind the cassette that all workers share."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nearline import NearlineError
from stream.infer.source import TriggerSource
from stream.replay.calls import Mode
from stream.replay.cassette import Cassette
from stream.replay.thinking import open_models
from stream.replay.wire.as_it_was import read_changes
from stream.replay.wire.serving import Counts, Serving
from stream.role import Role
from stream.slates import SlateStore

if TYPE_CHECKING:
    from stream.replay.thinking import Models
    from stream.replay.wire.plan import Plan
    from stream.worker import Worker

__all__ = ["FAILED", "Failed", "ReplayedInferRole", "add_replayed_infer"]

FAILED = "replay:failed"
"""Key, behind the replay's prefix, of what ended a worker: :class:`Failed`."""


class Failed(msgspec.Struct, frozen=True):
    """Why a worker of a replay gave up: name of the error's class, what it said, and the way out."""

    error: str
    message: str
    way_out: str


def add_replayed_infer(worker: Worker, plan: Plan) -> None:
    """Let ``worker`` turn the triggers of a replay into slates.

    Raises:
        CatalogError: there is no catalogue, it is damaged, or another encoder built its index.
        AgentError: the model cannot be loaded.
        CassetteError: the cassette is of other models, or holds none.
    """
    stream = worker.stream
    cassette = (
        Cassette(Path(plan.cassette), plan.mode, since=plan.since)
        if plan.cassette is not None and plan.mode is not Mode.OFF
        else None
    )
    models = open_models(
        worker.agents, worker.index, stream.infer, stream.slates, cassette=cassette, model=plan.model
    )
    channel = worker.app.channel(maxsize=1)
    role = ReplayedInferRole(worker, plan, models, cassette, channel)
    worker.app.service(role)

    @worker.app.agent(channel, name="infer")  # type: ignore[untyped-decorator]
    async def infer(batches: Any) -> None:
        """Serve whole batches; one that fails ends the replay."""
        async for batch in batches:
            try:
                await role.serving.serve(batch.received)
                batch.done.set_result(None)
            except Exception as error:  # noqa: BLE001  # uncommitted, and told to whoever runs the replay
                await role.tell(error)
                worker.fail(error)
                batch.done.set_exception(error)


class ReplayedInferRole(Role):
    """The source, and what serves its batches."""

    serving: Serving
    source: TriggerSource

    def __init__(
        self, worker: Worker, plan: Plan, models: Models, cassette: Cassette | None, channel: Any
    ) -> None:
        super().__init__(worker, channel, "nearline-infer")
        self._plan = plan
        self._models = models
        self._cassette = cassette

    async def begin(self) -> None:
        """Read the changes of the catalogue, then triggers."""
        worker, stream = self._worker, self._worker.stream
        changes = await read_changes(stream.kafka, self._plan.changes)
        self.serving = Serving(
            self._models.thinking,
            changes,
            SlateStore(self.redis, stream.redis.prefix, stream.slates),
            (self.redis, stream.redis.prefix),
            self._outbox,
            stream.kafka,
            stream.slates,
            self._counts,
        )
        self.source = TriggerSource(self._emit, worker.fail, stream.kafka, stream.infer)
        worker.readiness["infer"] = self.source.assigned.is_set
        worker.statistics["infer"] = lambda: {"served": self.serving.served, "lag": self.source.lag}
        await self.add_runtime_dependency(self.source)

    async def on_shutdown(self) -> None:
        """Disconnect, after the source has let its batch finish."""
        await self._models.runtime.close()
        if self._cassette is not None:
            self._cassette.close()
        await super().on_shutdown()

    async def tell(self, error: Exception) -> None:
        """Leave word of what ended this worker, for whoever runs the replay."""
        way_out = error.way_out if isinstance(error, NearlineError) else ""
        message = error.message if isinstance(error, NearlineError) else f"{type(error).__name__}: {error}"
        failed = Failed(type(error).__name__, message, way_out)
        with contextlib.suppress(OSError):  # the log has it all the same
            await self.redis.set(f"{self._worker.stream.redis.prefix}{FAILED}", msgspec.json.encode(failed))

    def _counts(self) -> Counts:
        llm, texts = self._models.called()
        cassette = self._cassette
        return Counts(llm, texts, cassette.hits if cassette else 0, cassette.misses if cassette else 0)
