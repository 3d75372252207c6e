"""How a worker ends. The last file of the folder: the pipeline that its tests share has ended then."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import redis

from stream.metrics.heartbeat import heartbeat_key

if TYPE_CHECKING:
    from tests.stream.observed.collector import Collector
    from tests.stream.observed.pipeline import Running

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_worker_that_ends_takes_its_heartbeat_away_and_sends_its_last_spans(
    running: Running, collector: Collector
) -> None:
    wanted = 0
    for record in running.records(running.kafka.slates_topic):
        wanted += "traceparent" in dict(record.headers)
    assert running.process is not None
    running.process.terminate()
    assert running.process.wait(60) == 0
    with redis.Redis.from_url(running.redis_url) as store:
        assert not store.exists(heartbeat_key(running.prefix, f"{socket.gethostname()}-{running.port}"))
    assert [span["name"] for span in collector.spans.values()].count("trigger to slate") == wanted > 0
