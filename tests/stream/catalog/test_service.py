"""A worker's living catalogue on a real broker and Valkey."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from kafka import KafkaConsumer, TopicPartition
from pydantic import SecretStr

from index import Query, Recall, RecallRequest
from index.built.build import build_catalog
from index.living import Versions
from stream.catalog.follower import Graveyard
from stream.catalog.places import places
from stream.catalog.sender import send_changes
from stream.catalog.service import LivingCatalog
from stream.catalog.settings import CatalogSettings
from stream.outbox import Outbox
from stream.redis_client import connect_redis
from stream.settings import KafkaSettings, RedisSettings
from stream.topics import create_topics
from tests.index.conftest import WordEncoder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.real


def lamps(path: Path, count: int, first: int = 0) -> Path:
    rows = [{"item_id": f"l{n}", "title": f"lamp number{n}"} for n in range(first, first + count)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def found(recall: Recall, text: str, limit: int = 50) -> list[str]:
    return [c.item for c in recall.recall([RecallRequest((Query(text),), limit=limit)]).candidates[0]]


class Shop:
    """A living catalogue of lamps, its topic, and what it tells."""

    def __init__(self, kafka: KafkaSettings, home: Path) -> None:
        self.kafka, self.home = kafka, home
        self.versions = Versions(home)
        self.failures: list[BaseException] = []
        self.changes = 0
        self.living: LivingCatalog

    async def send(self, *changes: dict[str, Any] | bytes) -> None:
        lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in changes]
        await send_changes(self.kafka, lines)

    async def until(self, condition: Any, what: str, seconds: float = 15) -> float:
        began = time.monotonic()
        while not condition():
            assert not self.failures
            assert time.monotonic() - began < seconds, what
            await asyncio.sleep(0.005)
        return time.monotonic() - began

    def dead(self) -> list[dict[str, Any]]:
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.brokers, enable_auto_commit=False)
        parts = [TopicPartition(self.kafka.dead_topic, p) for p in range(self.kafka.partitions)]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        values, empty = [], 0
        while empty < 4:
            polled = consumer.poll(timeout_ms=200)
            empty = 0 if polled else empty + 1
            values += [json.loads(record.value) for records in polled.values() for record in records]
        consumer.close()
        return values


@pytest.fixture
async def shop(tansu: str, valkey: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Any]:
    kafka = KafkaSettings(brokers=tansu, prefix=topic_prefix, partitions=2)
    create_topics(kafka)
    home = tmp_path / "catalog"
    build_catalog(lamps(tmp_path / "lamps.jsonl", 60), home, WordEncoder())
    redis = await connect_redis(RedisSettings(url=SecretStr(valkey)))
    outbox = Outbox(kafka, "test")
    await outbox.start()
    made = Shop(kafka, home)
    running: list[LivingCatalog] = []

    async def changed() -> None:
        made.changes += 1

    async def start(**more: Any) -> LivingCatalog:
        made.living = LivingCatalog(
            Recall.open(home, WordEncoder()),
            home,
            kafka,
            CatalogSettings(watch_s=0.05, **more),
            Graveyard(redis, "nl:", outbox, kafka.dead_topic),
            reopen=lambda: Recall.open(home, WordEncoder(), verify=True),
            changed=changed,
            fail=made.failures.append,
            kept=3,
        )
        await made.living.start()
        running.append(made.living)
        return made.living

    made.start = start  # type: ignore[attr-defined]
    yield made
    for one in running:
        await one.stop()
    await outbox.stop()
    await redis.aclose()
    assert not made.failures


async def test_changes_that_were_sent_before_a_worker_starts_count_when_it_has_started(shop: Any) -> None:
    await shop.send(
        {"op": "remove", "item_id": "l1"}, {"op": "upsert", "item_id": "n1", "title": "brass clock"}
    )
    living = await shop.start()
    assert "l1" not in found(living.now, "lamp number1")
    assert found(living.now, "brass clock", 1) == ["n1"]


async def test_an_upsert_is_recallable_and_a_removal_is_gone_within_two_seconds(shop: Any) -> None:
    living = await shop.start()
    waits = []
    for n in range(40):
        await shop.send({"op": "upsert", "item_id": f"n{n}", "title": f"clock brass{n}"})
        waits.append(
            await shop.until(lambda n=n: found(living.now, f"clock brass{n}", 1) == [f"n{n}"], "an upsert")
        )
        await shop.send({"op": "remove", "item_id": f"n{n}"})
        waits.append(
            await shop.until(lambda n=n: f"n{n}" not in found(living.now, f"clock brass{n}"), "a removal")
        )
    assert np.percentile(waits, 99) < 2


async def test_bad_records_are_buried_once_and_the_rest_counts(shop: Any) -> None:
    await shop.send(
        b"{", {"op": "price", "item_id": "nobody", "price": 1}, {"op": "price", "item_id": "l2", "price": 9}
    )
    living = await shop.start()
    row = living.now.catalog.row("l2")
    assert living.now.catalog.price(row) == 9
    second = await shop.start()  # as another worker, which reads the same records
    assert second.now.catalog.price(row) == 9
    reasons = sorted((one["reason"], one["topic"]) for one in shop.dead())
    assert reasons == [("malformed", shop.kafka.catalog_topic), ("unknown_item", shop.kafka.catalog_topic)]


async def test_publishing_and_rolling_back_under_load_loses_no_request_and_no_change(
    shop: Any, tmp_path: Path
) -> None:
    living = await shop.start()
    await shop.send({"op": "remove", "item_id": "l1"})
    await shop.until(lambda: "l1" not in living.now.catalog, "a removal")
    stop, sizes, bad = asyncio.Event(), [], []

    async def hammer() -> None:
        while not stop.is_set():
            recall = living.now
            names = await asyncio.to_thread(found, recall, "lamp number1")
            sizes.append(len(names))
            bad.extend(name for name in names if name == "l1")

    load = [asyncio.create_task(hammer()) for _ in range(4)]
    offsets = {f"{shop.kafka.catalog_topic}:{p}": 0 for p in range(2)}
    for turn in range(4):
        source = lamps(tmp_path / f"v{turn}.jsonl", 60 + turn)
        await asyncio.to_thread(shop.versions.publish, source, WordEncoder(), offsets=offsets)
        await shop.until(lambda turn=turn: living.switched == turn * 2 + 1, "a published version taken up")
        assert len(living.now.catalog) == 60 + turn
        await asyncio.to_thread(shop.versions.rollback, max(1, turn + 1), WordEncoder())
        await shop.until(lambda turn=turn: living.switched == turn * 2 + 2, "a version gone back to")
    stop.set()
    await asyncio.gather(*load)
    assert len(sizes) > 50
    assert set(sizes) == {50}
    assert bad == []


async def test_a_damaged_version_is_refused_and_the_last_good_one_goes_on_serving(
    shop: Any, tmp_path: Path
) -> None:
    living = await shop.start()
    build_catalog(lamps(tmp_path / "more.jsonl", 90), tmp_path / "more", WordEncoder())
    os.truncate(tmp_path / "more" / "vectors.faiss", 5_000)
    for path in (tmp_path / "more").iterdir():
        path.replace(shop.home / path.name)
    await shop.until(lambda: living.statistics()["refused"], "a refusal")
    assert len(found(living.now, "lamp number1")) == 50
    assert len(living.now.catalog) == 60
    await shop.send({"op": "remove", "item_id": "l1"})
    await shop.until(lambda: "l1" not in found(living.now, "lamp number1"), "a removal")


async def test_a_delta_that_has_grown_becomes_a_version_and_is_served_from_it(shop: Any) -> None:
    living = await shop.start(fold_at=30)
    await shop.send(*({"op": "upsert", "item_id": f"n{n}", "title": f"clock brass{n}"} for n in range(40)))
    await shop.until(lambda: living.switched == 1, "a folded version taken up", 60)
    assert shop.versions.in_force() == 2
    assert living.statistics()["changes"] < 30
    assert found(living.now, "clock brass3", 1) == ["n3"]
    assert len(living.now.catalog) == 100


async def test_the_end_of_the_topic_is_found_from_wherever_one_begins(shop: Any) -> None:
    await shop.send(*({"op": "remove", "item_id": f"l{n}"} for n in range(30)))
    ends = await places(shop.kafka)
    assert sum(ends.values()) == 30
    assert await places(shop.kafka, known=ends) == ends
    assert set((await places(shop.kafka, since=0)).values()) == {0}
