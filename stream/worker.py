"""A worker: the roles it plays, their wiring, and its life from preflight to clean shutdown."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

from nearline import NearlineError
from stream.embedded.ports import require_free
from stream.faust_app import NearlineApp, make_app
from stream.kafka_clients import check_broker
from stream.redis_client import connect_redis
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Collection

    from agents.settings import AgentSettings
    from index.settings import IndexSettings
    from stream.settings import StreamSettings

__all__ = ["Role", "Worker", "run_worker"]

log = logging.getLogger(__name__)


class Role(StrEnum):
    """What a worker does."""

    GATE = "gate"  # events to triggers
    INFER = "infer"  # triggers to slates


class Worker:
    """Holds what the roles of one process share: the app, health, and the first fatal error."""

    def __init__(self, stream: StreamSettings, agents: AgentSettings, index: IndexSettings) -> None:
        self.stream = stream
        self.agents = agents
        self.index = index
        self.failure: BaseException | None = None
        self.started_at = time.time()
        self.app: NearlineApp = make_app(stream, "nearline")
        self.readiness: dict[str, Any] = {}
        self.statistics: dict[str, Any] = {}

    def fail(self, error: BaseException) -> None:
        """End the worker cleanly because of ``error``, which :func:`run_worker` then raises."""
        if self.failure is None:
            self.failure = error
            log.error("%s: %s", type(error).__name__, error)
            os.kill(os.getpid(), signal.SIGTERM)


def run_worker(
    stream: StreamSettings, agents: AgentSettings, index: IndexSettings, roles: Collection[Role]
) -> None:
    """Run a worker until SIGTERM or SIGINT; return after a clean shutdown.

    Raises:
        NearlineError: a broker, Redis, model or index is missing, the port of health is taken, or an
            operator must choose.
    """
    require_free(stream.web.port, purpose="Health over HTTP (stream.web.port)")
    asyncio.run(_preflight(stream))
    created = create_topics(stream.kafka)
    if created:
        log.info("created topics %s", ", ".join(created))
    worker = Worker(stream, agents, index)
    if Role.GATE in roles:
        from stream.gate.role import add_gate  # noqa: PLC0415  # a worker loads only what its roles need

        add_gate(worker)
    if Role.INFER in roles:
        from stream.infer.role import add_infer  # noqa: PLC0415

        add_infer(worker)
    _add_pages(worker)
    quieten_collector()
    try:
        worker.app.finalize()
        worker.app.worker_init_post_autodiscover()
        worker.app.Worker(
            loglevel=None, override_logging=False, redirect_stdouts=False, daemon=True, quiet=True
        ).execute_from_commandline()
    except SystemExit as ended:
        if ended.code and worker.failure is None:
            _reraise(ended)
    if worker.failure is not None:
        raise worker.failure


def _reraise(ended: SystemExit) -> NoReturn:
    """Say why a service of the worker could not start or crashed; Faust would only print it and exit."""
    error: BaseException | None = ended
    while error is not None:
        if isinstance(error, NearlineError):
            raise error
        error = error.__context__
    raise ended


def quieten_collector() -> None:
    """Look for cyclic garbage rarely: shoppers' states and batches are many objects and hold no cycles.

    With the interpreter's defaults a fifth of the gate's time goes into walking over them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


async def _preflight(stream: StreamSettings) -> None:
    """Broker and Redis must answer before anything is loaded."""
    redis = await connect_redis(stream.redis)
    await redis.aclose()
    await check_broker(stream.kafka)


def _add_pages(worker: Worker) -> None:
    """Health, readiness and counts over HTTP."""

    @worker.app.page("/health/live")  # type: ignore[untyped-decorator]
    async def live(web: Any, _request: Any) -> Any:
        return web.json({"status": "live", "up_s": round(time.time() - worker.started_at, 1)})

    @worker.app.page("/health/ready")  # type: ignore[untyped-decorator]
    async def ready(web: Any, _request: Any) -> Any:
        checks = {name: bool(check()) for name, check in worker.readiness.items()}
        good = all(checks.values())
        return web.json(
            {"status": "ready" if good else "waiting", "checks": checks}, status=200 if good else 503
        )

    @worker.app.page("/stats")  # type: ignore[untyped-decorator]
    async def stats(web: Any, _request: Any) -> Any:
        return web.json({name: read() for name, read in worker.statistics.items()})
