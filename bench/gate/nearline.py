"""The gate as a worker runs it.

    python -m bench.gate.nearline SECONDS [PREFIX [kill|recover]]

SECONDS between checkpoints (0: none); PREFIX of the keys in Redis. `kill` ends the process by SIGKILL when half of the
events are applied, and `recover` says how long a new one takes from its start until it applies events again.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import statistics
import sys
import time
import uuid
from typing import Any

from mode import Service
from pydantic import SecretStr
from redis import Redis

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
    began = time.perf_counter()
    broker, redis, count = environment()
    seconds = float(sys.argv[1])
    name = sys.argv[2] if len(sys.argv) > 2 else uuid.uuid4().hex[:8]
    part = sys.argv[3] if len(sys.argv) > 3 else ""
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

    class Watch(Service):  # type: ignore[misc]
        """Looks every few milliseconds how far the gate is."""

        @Service.task  # type: ignore[untyped-decorator]
        async def _look(self) -> None:
            while "gate" not in worker.statistics:
                await self.sleep(0.01)
            role: GateRole = worker.statistics["gate"].__self__
            store = Redis.from_url(redis)
            written = store.info("stats")["total_net_input_bytes"]
            before = None  # a recovered partition's counts begin where its checkpoint left them
            while True:
                counts = role.agent.accounting()
                if role.source.assigned.is_set() and before is None:
                    before = counts.received
                if part == "kill" and counts.received > count / 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                if part == "recover" and before is not None and counts.received > before:
                    figures = {"events": counts.received - before, "recovery_s": time.perf_counter() - began}
                    sys.stdout.write(json.dumps(figures) + "\n")
                    sys.stdout.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
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
            if seconds:
                keys = itertools.islice(store.scan_iter(f"{name}:state:*", count=1_000), 5_000)
                more["state_bytes"] = statistics.median(store.strlen(key) for key in keys)
                more["written_bytes"] = store.info("stats")["total_net_input_bytes"] - written
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
