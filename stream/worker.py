"""A worker: the roles it plays, their wiring, and its life from preflight to clean shutdown."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

from nearline import NearlineError, __version__
from stream.embedded.ports import require_free
from stream.faust_app import NearlineApp, make_app
from stream.kafka_clients import check_broker
from stream.logs import use_format
from stream.metrics.heartbeat import HEARTBEAT_SCHEMA, Beat, Heartbeat
from stream.metrics.minutes import MinuteKeeper
from stream.metrics.worker import CONTENT_TYPE, WorkerMetrics
from stream.redis_client import connect_redis
from stream.topics import create_topics
from stream.tracing import open_tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from agents.settings import AgentSettings
    from index.settings import IndexSettings
    from stream.replay.wire.plan import Plan
    from stream.settings import StreamSettings

__all__ = ["Role", "Worker", "run_worker"]

log = logging.getLogger(__name__)


_UNKNOWN: dict[str, str | None] = dict.fromkeys(("rules", "index", "model", "prompt"))


class Role(StrEnum):
    """What a worker does."""

    GATE = "gate"  # events to triggers
    INFER = "infer"  # triggers to slates


class Worker:
    """Holds what the roles of one process share: the app, health, and the first fatal error."""

    def __init__(
        self,
        stream: StreamSettings,
        agents: AgentSettings,
        index: IndexSettings,
        roles: Collection[Role] = (),
        plan: Plan | None = None,
    ) -> None:
        self.stream = stream
        self.plan = plan
        self.agents = agents
        self.index = index
        self.failure: BaseException | None = None
        self.started_at = time.time()
        self.app: NearlineApp = make_app(stream, "nearline")
        self.readiness: dict[str, Any] = {}
        self.statistics: dict[str, Any] = {}
        self.name = name_of(stream)
        self.roles = sorted(roles)
        self.metrics = WorkerMetrics(self.name, self.roles, self.readiness)
        self.minutes = MinuteKeeper(
            stream.redis, f"{self.name}:{int(self.started_at * 1000)}", stream.minutes.kept_s
        )
        self.versions: dict[str, Callable[[], str | None]] = {}
        self.tracing = open_tracing(stream.tracing, self.name)

    @property
    def url(self) -> str:
        """Where health, numbers and metrics are; by the machine's name where the worker listens on all addresses."""
        host, port = self.stream.web.host, self.stream.web.port
        if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
            host = socket.gethostname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def beat(self) -> Beat:
        """The heartbeat of now."""
        named = {name: read() for name, read in self.versions.items()}
        return Beat(
            schema=HEARTBEAT_SCHEMA,
            worker=self.name,
            at=int(time.time() * 1000),
            started_at=int(self.started_at * 1000),
            roles=list(self.roles),
            url=self.url,
            versions={**_UNKNOWN, "nearline": __version__, **named},
            metrics=self.metrics.read().values,
        )

    def fail(self, error: BaseException) -> None:
        """End the worker cleanly because of ``error``, which :func:`run_worker` then raises."""
        if self.failure is None:
            self.failure = error
            log.error("%s: %s", type(error).__name__, error)
            os.kill(os.getpid(), signal.SIGTERM)


def name_of(stream: StreamSettings) -> str:
    """A worker's name: machine and port, so that a worker started again is the same one."""
    return f"{socket.gethostname()}-{stream.web.port}"


def run_worker(
    stream: StreamSettings,
    agents: AgentSettings,
    index: IndexSettings,
    roles: Collection[Role],
    plan: Plan | None = None,
) -> None:
    """Run a worker until SIGTERM or SIGINT; return after a clean shutdown. With a ``plan`` it works on a replay.

    Raises:
        NearlineError: a broker, Redis, model or index is missing, the port of health is taken, or an
            operator must choose.
    """
    use_format(stream.logs, name_of(stream))
    require_free(stream.web.port, purpose="Health over HTTP (stream.web.port)")
    asyncio.run(_preflight(stream))
    created = create_topics(stream.kafka)
    if created:
        log.info("created topics %s", ", ".join(created))
    worker = Worker(stream, agents, index, roles, plan)
    worker.app.service(Heartbeat(stream.redis, worker.name, worker.beat))
    if plan is not None:
        from stream.replay.wire.roles import add_replayed  # noqa: PLC0415  # a worker loads only what its roles need

        add_replayed(worker, plan, roles)
    else:
        worker.app.service(worker.minutes)
        _add_roles(worker, roles)
    _add_pages(worker)
    quieten_collector()
    try:
        worker.app.finalize()
        worker.app.worker_init_post_autodiscover()
        faust_worker = worker.app.Worker(
            loglevel=None, override_logging=False, redirect_stdouts=False, daemon=True, quiet=True
        )
        faust_worker.spinner = None  # it would write control characters between the lines of the log
        faust_worker.execute_from_commandline()
    except SystemExit as ended:
        if ended.code and worker.failure is None:
            _reraise(ended)
    finally:
        if worker.tracing is not None:
            worker.tracing.close()
    if worker.failure is not None:
        raise worker.failure


def _add_roles(worker: Worker, roles: Collection[Role]) -> None:
    """The live roles; a worker loads only what they need."""
    if Role.GATE in roles:
        from stream.gate.role import add_gate  # noqa: PLC0415

        add_gate(worker)
    if Role.INFER in roles:
        from stream.infer.role import add_infer  # noqa: PLC0415

        add_infer(worker)


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

    @worker.app.page("/metrics")  # type: ignore[untyped-decorator]
    async def metrics(web: Any, _request: Any) -> Any:
        return web.text(worker.metrics.exposition(), content_type=CONTENT_TYPE)
