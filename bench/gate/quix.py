"""Quix Streams with state: a count per user. Runs in an environment of its own (it pins another client)."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from quixstreams import Application

sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.gate.topic import TOPIC, Meter, environment

broker, _, wanted = environment()
app = Application(
    broker_address=broker,
    consumer_group=uuid.uuid4().hex,
    auto_offset_reset="earliest",
    state_dir=tempfile.mkdtemp(),
    commit_interval=1.0,
    loglevel="ERROR",
)
meter = Meter()
done = 0


def count(event: dict[str, Any], state: Any) -> dict[str, Any]:
    """Count every event of a user."""
    global done  # noqa: PLW0603
    meter.first()
    state.set("count", state.get("count", 0) + 1)
    done += 1
    if done == wanted:
        meter.last(done)
        sys.stdout.flush()
        os._exit(0)
    return event


frame = app.dataframe(app.topic(TOPIC, value_deserializer="json"))
frame = frame.apply(count, stateful=True)
app.run()
