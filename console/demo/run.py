"""Runs the demo: the embedded stack, the catalogue (built once), a real worker, real events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents import prepare_model, settled
from agents.runtime.choice import with_runtime
from console.demo.live import LiveView
from console.demo.summary import summarise
from console.demo.watch import Watch
from console.errors import ConsoleError
from console.output import console
from console.verbs.catalog import build_with_progress
from console.verbs.evaluation.purchases import moment_of
from stream.embedded import ChildSpec, EmbeddedStack
from stream.embedded.ports import free_ports
from stream.gate.state.accounting import Accounting
from stream.gate.state.checkpoint import CheckpointStore
from stream.player import Player, Sent
from stream.redis_client import connect_redis
from stream.slates import SlateStore, Trace
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.settings import RuntimeKind
    from console.settings import Settings
    from stream.datasets import Dataset

__all__ = ["PLAYED_SINCE", "Demo", "DemoResult"]

PLAYED_SINCE: Final = {"completejourney": "2017-10-01"}
"""By dataset the day (UTC) that the demo begins on: the packaged student learnt from what was bought before, and from nothing
later."""

# The player holds back while more triggers than this wait for their slate, so that the demo shows
# the pace that this machine's model keeps up with, and not the ladder under overload.
_MOST_OUTSTANDING = 4
_WORKER_READY_S = 300.0
_DRAIN_S = 120.0


@dataclass
class DemoResult:
    """What the demo ends with."""

    summary: dict[str, Any]
    trace: Trace | None


class Demo:
    """One run of the demo.

    Args:
        settings: the settings in force; addresses are replaced by the embedded stack's.
        dataset: what is played and sold.
        events: how many events are played.
        rate: events per second at the most.
        seed: of the synthesised browsing.
        runtime: of the language model; None for the one that the settings name.
    """

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        events: int,
        rate: float,
        seed: int,
        runtime: RuntimeKind | None = None,
    ) -> None:
        self._settings = settings
        self._agents = settings.agents if runtime is None else with_runtime(settings.agents, runtime)
        since = PLAYED_SINCE.get(dataset.name)
        self._since = moment_of(since) if since else None
        self._dataset = dataset
        self._events = events
        self._rate = rate
        self._seed = seed
        self._home = settings.run.parent
        self._restarts = 0

    def prepare(self) -> tuple[Path, float]:
        """The catalogue's folder; and the seconds it took to make it and the model, if they were not there."""
        from index.built.build import is_current  # noqa: PLC0415
        from index.built.catalog import Catalog  # noqa: PLC0415
        from index.settings import encoder_fingerprint, open_encoder  # noqa: PLC0415
        from stream.datasets import write_json_lines  # noqa: PLC0415

        began = time.monotonic()
        file = self._home / "demo" / f"{Path(self._dataset.name).name}.jsonl"
        if not file.is_file():
            write_json_lines(file, self._dataset.catalog())
        out = self._home / "demo" / "catalog"
        if not is_current(out, file, encoder_fingerprint(self._settings.index.encoder)):
            encoder = open_encoder(self._settings.index.encoder)
            console.print("Building the catalogue (once; it is kept for the next run).")
            report = build_with_progress(file, out, encoder)
            console.print(
                f"{report.manifest.items:,} items, {report.manifest.texts:,} different titles embedded."
            )
        with console.status("Looking for the language model (the large one is converted once, a minute)"):
            prepare_model(settled(self._agents, Catalog.open(out).phrases()))
        return out, time.monotonic() - began

    @contextlib.contextmanager
    def running(self, catalog: Path) -> Iterator[EmbeddedStack]:
        """The stack with a worker on it, both ended on leaving."""
        with EmbeddedStack(self._settings.run) as stack:
            kafka = self._settings.stream.kafka
            kafka.brokers = stack.bootstrap
            self._settings.stream.redis.url = type(self._settings.stream.redis.url)(stack.redis_url)
            create_topics(kafka)
            port = free_ports(1)[0]
            environment = {
                **os.environ,
                "NEARLINE_RUN": str(self._settings.run.resolve()),
                "NEARLINE_STREAM__KAFKA__BROKERS": stack.bootstrap,
                "NEARLINE_STREAM__REDIS__URL": stack.redis_url,
                "NEARLINE_STREAM__WEB__PORT": str(port),
                "NEARLINE_INDEX__CATALOG": str(catalog.resolve()),
                "NEARLINE_AGENTS__RUNTIME": self._agents.runtime.value,
                # Shown is what the model infers, at the pace this machine allows; a storefront would
                # rather have a plainer slate sooner.
                "NEARLINE_STREAM__INFER__DEADLINE_S": os.environ.get(
                    "NEARLINE_STREAM__INFER__DEADLINE_S", "30"
                ),
            }
            self._worker = ChildSpec(
                "worker",
                [sys.executable, "-m", "console", "worker", "--roles", "gate,infer"],
                env=environment,
                ready=lambda: _is_ready(port),
                ready_timeout_s=_WORKER_READY_S,
                stop_grace_s=30,
            )
            with console.status("Starting the worker: models, index, consumer group"):
                stack.supervisor.start(self._worker)
            try:
                yield stack
            finally:
                # Before the broker and Valkey, so that its last checkpoint has somewhere to go.
                if "worker" in stack.supervisor.children:
                    stack.supervisor.stop("worker")

    async def play(self, stack: EmbeddedStack, started: float, prepare_s: float) -> DemoResult:
        """Play the events and wait until every trigger has its outcome."""
        watch = Watch(self._settings.stream.kafka)
        watching = asyncio.create_task(watch.run())
        try:
            with LiveView(watch, self._events) as view:
                began = time.monotonic()
                sent = await self._send(stack, watch, view)
                counts = await self._drain(stack, watch, view, sent.events, began)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        first = watch.first_slate_at
        summary = summarise(
            sent=sent.events,
            partitions=counts,
            fired=watch.fired,
            outcomes=Counter(watch.outcomes.values()),
            rungs=watch.rungs,
            empty=watch.empty,
            timings=watch.timings,
            seconds={
                "prepare_s": prepare_s,
                "first_slate_s": first - started - prepare_s if first is not None else None,
                "play_s": time.monotonic() - began,
            },
            restarts=self._restarts,
        )
        return DemoResult(summary, await self._trace(watch.best))

    async def _send(self, stack: EmbeddedStack, watch: Watch, view: LiveView) -> Sent:
        progress = Sent()

        def told(sent: Sent) -> None:
            nonlocal progress
            progress = sent
            view.show(sent.events, sent.seconds)

        async def pace() -> None:
            while watch.outstanding > _MOST_OUTSTANDING:
                self._revive(stack)
                view.show(progress.events, progress.seconds, "(the model is busy)")
                await asyncio.sleep(0.02)

        async with Player(self._settings.stream.kafka) as player:
            events = islice(self._dataset.events(seed=self._seed, since=self._since), self._events)
            return await player.play(events, rate=self._rate, pace=pace, told=told)

    async def _drain(
        self, stack: EmbeddedStack, watch: Watch, view: LiveView, sent: int, began: float
    ) -> list[Accounting]:
        """Wait until all events are accounted for and every trigger has its outcome."""
        redis = await connect_redis(self._settings.stream.redis)
        store = CheckpointStore(redis, self._settings.stream.redis.prefix)
        deadline = time.monotonic() + _DRAIN_S
        try:
            while True:
                self._revive(stack)
                offsets = [await store.read_offsets(n) for n in range(self._settings.stream.kafka.partitions)]
                counts = [found.counts for found in offsets if found is not None]
                total = sum(counts, Accounting())
                done = total.received >= sent and watch.fired >= total.triggers and not watch.outstanding
                if done:
                    return counts
                if time.monotonic() > deadline:
                    raise ConsoleError(
                        f"The worker did not finish in {_DRAIN_S:.0f} s: {total.received} of {sent} events received, "
                        f"{watch.outstanding} of {watch.fired} triggers without outcome.",
                        way_out=f"Its log is {self._settings.run / 'logs' / 'worker.log'}.",
                    )
                view.show(sent, time.monotonic() - began, "(finishing)")
                await asyncio.sleep(0.1)
        finally:
            await redis.aclose()

    def _revive(self, stack: EmbeddedStack) -> None:
        """Start the worker again if somebody killed it."""
        child = stack.supervisor.children.get("worker")
        if child is not None and not child.alive:
            self._restarts += 1
            stack.supervisor.stop("worker")
            stack.supervisor.start(self._worker)

    async def _trace(self, user: str | None) -> Trace | None:
        if user is None:
            return None
        redis = await connect_redis(self._settings.stream.redis)
        try:
            store = SlateStore(redis, self._settings.stream.redis.prefix, self._settings.stream.slates)
            return await store.trace(user)
        finally:
            await redis.aclose()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
