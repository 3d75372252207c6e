"""All metrics of a worker: read when somebody asks, on the page ``/metrics`` and for the heartbeat."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from nearline import __version__
from stream.metrics.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stream.metrics.described import Part
    from stream.metrics.readings import Family

__all__ = ["CONTENT_TYPE", "Source", "WorkerMetrics"]

CONTENT_TYPE = "text/plain; version=0.0.4"


class Source(Protocol):
    """A role's counts. Called on the event loop, between two batches' steps; must not wait."""

    def __call__(self, readings: Readings) -> None:
        """Put the counts of now into ``readings``."""


class WorkerMetrics(Collector):
    """The worker's own registry, and those whose counts it asks for.

    Args:
        worker: the worker's name.
        roles: what it does.
        readiness: by part of the worker whether it is ready.
    """

    def __init__(
        self, worker: str, roles: Iterable[str], readiness: Mapping[str, Callable[[], bool]]
    ) -> None:
        self._worker = worker
        self._roles = sorted(roles)
        self._readiness = readiness
        self._started = time.time()
        self._process = psutil.Process()
        self._parts: list[Part] = ["worker"]
        self._sources: list[Source] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def add(self, part: Part, source: Source) -> None:
        """Ask ``source`` for the metrics of ``part``, from now on."""
        self._parts.append(part)
        self._sources.append(source)

    def read(self) -> Readings:
        """All samples of now."""
        readings = Readings(self._parts)
        readings.say(
            "nearline_worker_info",
            1,
            worker=self._worker,
            version=__version__,
            roles=",".join(self._roles),
        )
        readings.say("nearline_worker_started_timestamp_seconds", self._started)
        for check, is_ready in self._readiness.items():
            readings.say("nearline_worker_ready", float(bool(is_ready())), check=check)
        with self._process.oneshot():
            cpu = self._process.cpu_times()
            readings.say("nearline_process_cpu_seconds_total", cpu.user + cpu.system)
            readings.say("nearline_process_resident_memory_bytes", self._process.memory_info().rss)
        for source in self._sources:
            source(readings)
        return readings

    def collect(self) -> Iterable[Family]:
        """For the registry."""
        return self.read().families

    def describe(self) -> Iterable[Family]:
        """Nothing: without it the registry would ask for all samples when this is registered."""
        return ()

    def exposition(self) -> str:
        """The text that Prometheus reads; of the type :data:`CONTENT_TYPE`."""
        return generate_latest(self.registry).decode()
