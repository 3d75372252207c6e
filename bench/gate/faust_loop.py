"""Faust's own per-event loop; the first argument is ``count`` (a counter) or ``table`` (a Table update)."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import uuid
from typing import Any

import faust

from bench.gate.topic import TOPIC, Meter, environment

broker, _, wanted = environment()
kind = sys.argv[1]
app = faust.App(
    f"bench-{uuid.uuid4().hex[:8]}",
    broker=f"kafka://{broker}",
    value_serializer="json",
    topic_disable_leader=True,
    web_enabled=False,
    datadir=tempfile.mkdtemp(),
    topic_partitions=4,
    consumer_auto_offset_reset="earliest",
)
topic = app.topic(TOPIC)
counts = app.Table("counts", default=int) if kind == "table" else None
meter = Meter()
done = 0


@app.agent(topic)  # type: ignore[untyped-decorator]
async def loop(stream: Any) -> None:
    """Count every event."""
    global done  # noqa: PLW0603
    async for event in stream:
        meter.first()
        done += 1
        if counts is not None:
            counts[event["user_id"]] += 1
        if done == wanted:
            meter.last(done)
            os.kill(os.getpid(), signal.SIGKILL)  # Faust takes seconds to stop; the figures are out


app.finalize()
app.worker_init()
app.Worker(loglevel="ERROR", redirect_stdouts=False, quiet=True).execute_from_commandline()
