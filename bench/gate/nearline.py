"""The gate as a worker runs it; the first argument is the seconds between checkpoints (0: none)."""

from __future__ import annotations

import os
import resource
import signal
import sys
import uuid
from typing import Any

from mode import Service
from pydantic import SecretStr

from agents.settings import AgentSettings
from bench.gate.topic import TOPIC, Meter, environment
from index.settings import IndexSettings
from stream.embedded.ports import free_ports
from stream.gate.role import GateRole, add_gate
from stream.settings import (
    EventTopic,
    GateSettings,
    KafkaSettings,
    RedisSettings,
    StreamSettings,
    WebSettings,
)
from stream.worker import Worker, quieten_collector


def main() -> None:
    """Run a gate until all events are applied."""
    broker, redis, count = environment()
    seconds = float(sys.argv[1])
    name = uuid.uuid4().hex[:8]
    stream = StreamSettings(
        kafka=KafkaSettings(brokers=broker, event_topics=[EventTopic(topic=TOPIC)]),
        redis=RedisSettings(url=SecretStr(redis), prefix=f"{name}:"),
        gate=GateSettings(checkpoint_s=seconds or 86_400.0, max_memory_mb=8_192, lost_state="earliest"),
        web=WebSettings(port=free_ports(1)[0]),
    )
    # The group is shared by all runs; its offsets on the broker mean nothing to the gate.
    worker = Worker(stream, AgentSettings(), IndexSettings())
    add_gate(worker)
    meter = Meter()
    if len(sys.argv) > 2:  # a recovery: told when the first event is applied
        meter.first()

    class Watch(Service):  # type: ignore[misc]
        """Looks every few milliseconds how far the gate is."""

        @Service.task  # type: ignore[untyped-decorator]
        async def _look(self) -> None:
            while "gate" not in worker.statistics:
                await self.sleep(0.01)
            role: GateRole = worker.statistics["gate"].__self__
            while True:
                counts = role.agent.accounting()
                if counts.received:
                    meter.first()
                if counts.received >= count:
                    if seconds:
                        await role.agent.checkpoint()
                    break
                await self.sleep(0.05)
            more: dict[str, Any] = {
                "triggers": counts.triggers,
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
            more["users"] = role.agent.users_in_memory
            meter.last(counts.received, **more)
            os.kill(os.getpid(), signal.SIGTERM)

    worker.app.service(Watch())
    quieten_collector()
    worker.app.finalize()
    worker.app.worker_init_post_autodiscover()
    worker.app.Worker(
        loglevel=None, override_logging=False, redirect_stdouts=False, daemon=True, quiet=True
    ).execute_from_commandline()


main()
