"""The Faust app of a worker: life cycle, agents, supervision and the web endpoint.

Faust's own consumer, producer and tables stay off: the sources (:mod:`stream.gate.source`,
:mod:`stream.infer.source`) own their consumers, because Faust acknowledges an event whose agent
raised or was cancelled. Agents take whole batches from in-memory channels, which costs nothing.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import faust
from faust.app.base import BootStrategy

if TYPE_CHECKING:
    from stream.settings import StreamSettings

__all__ = ["NearlineApp", "make_app"]


class _OwnSources(BootStrategy):  # type: ignore[misc]  # faust has no types that mypy may follow
    """Starts agents and the web server, and none of Faust's Kafka services."""

    enable_kafka = False


class NearlineApp(faust.App):  # type: ignore[misc]
    """A Faust app without Kafka services of its own."""

    BootStrategy = _OwnSources

    async def _wait_for_table_recovery_completed(self) -> bool:
        return False  # there are no tables; Faust would wait for their manager, which is not started

    def _create_directories(self) -> None:
        """Tables would live there."""


def make_app(settings: StreamSettings, name: str) -> NearlineApp:
    """The app of one worker. Faust insists on a broker address; it never connects to it."""
    options: dict[str, Any] = {
        "broker": "kafka://" + settings.kafka.brokers.split(",")[0],
        "web_host": settings.web.host,
        "web_bind": settings.web.host,
        "web_port": settings.web.port,
        "web_in_thread": False,
        "topic_disable_leader": True,
        "autodiscover": False,
        "datadir": tempfile.gettempdir(),
    }
    return NearlineApp(name, **options)
