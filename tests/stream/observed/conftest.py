"""One running pipeline that all tests of this folder look at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from index.built.build import build_catalog
from index.settings import open_encoder
from stream.topics import create_topics
from tests.stream.observed.collector import Collector
from tests.stream.observed.pipeline import SENT, SHOPPERS, Running, checkpointed, send

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.server.shutdown()


@pytest.fixture(scope="package")
def running(
    tansu: str, valkey_server: str, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("observed")
    items = folder / "items.jsonl"
    items.write_text(
        "\n".join(
            json.dumps({"item_id": f"i{n}", "title": f"Oat drink number {n}", "category": f"Milk {n % 3}"})
            for n in range(40)
        )
    )
    build_catalog(items, folder / "catalog", open_encoder(collector.encoder))
    found = Running(tansu, valkey_server, folder, collector)
    create_topics(found.kafka)
    found.start()
    try:
        found.until(
            "the worker is ready", lambda: json.loads(found.page("/health/ready"))["status"] == "ready"
        )
        send(found)
        found.until("all events are received", lambda: found.total("nearline_events_received_total") >= SENT)
        found.until("a checkpoint has them", lambda: checkpointed(found) >= SENT)
        fired = found.total("nearline_triggers_total")
        assert fired >= len(SHOPPERS) + 2
        found.until(
            "every trigger has its outcome", lambda: found.total("nearline_triggers_served_total") >= fired
        )
        yield found
    finally:
        if found.process is not None and found.process.poll() is None:
            found.process.terminate()
            found.process.wait(30)
