"""How soon a change of the catalogue counts: from sending it to the first recall that shows it.

An embedded broker and Valkey, the worker's own follower, and the packaged MiniLM over a build of real titles; shoppers'
requests of five queries go on meanwhile. Upserts are real titles that the build lacks, each looked for by its own words; then
as many are removed. Every item removed must be in no list asked for after its removal was seen.

    python -m bench.catalog_freshness [--items 1000] [--changes 200] [--every 0.5]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import SecretStr

from index import Query, Recall, RecallRequest, SentenceTransformerEncoder, build_catalog
from stream.catalog.follower import Graveyard
from stream.catalog.service import LivingCatalog
from stream.catalog.settings import CatalogSettings
from stream.datasets import open_dataset
from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.tansu import tansu_spec
from stream.embedded.valkey import valkey_spec, valkey_url
from stream.outbox import Outbox
from stream.redis_client import connect_redis
from stream.settings import KafkaSettings, RedisSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE_S = 60.0


async def measure(
    kafka: KafkaSettings, redis_url: str, home: Path, new: list[dict[str, Any]], every: float
) -> None:
    """Send upserts, then removals, at a steady rate and print how long each took to count."""
    encoder = SentenceTransformerEncoder(threads=1)
    redis = await connect_redis(RedisSettings(url=SecretStr(redis_url)))
    outbox = Outbox(kafka, "bench")
    await outbox.start()

    async def changed() -> None:
        """No version is published here."""

    living = LivingCatalog(
        Recall.open(home, encoder),
        home,
        kafka,
        CatalogSettings(fold_at=0),
        Graveyard(redis, "nl:", outbox, kafka.dead_topic),
        reopen=lambda: Recall.open(home, encoder),
        changed=changed,
        fail=lambda error: print(repr(error)),
        kept=1,
    )
    await living.start()
    served: list[float] = []
    load = asyncio.create_task(_shoppers(living, new, served))
    upserts = await _timed(kafka, outbox, living, [{"op": "upsert", **item} for item in new], every, _there)
    gone = await _timed(
        kafka, outbox, living, [{"op": "remove", "item_id": item["item_id"]} for item in new], every, _gone
    )
    names = {item["item_id"] for item in new}
    seen = sum(len(names & set(_found(living.now, item["title"]))) for item in new)
    load.cancel()
    await living.stop()
    await outbox.stop()
    await redis.aclose()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {len(living.now.catalog):,} items at the end"
    )
    print(f"{'seconds until it counts':28}{'n':>6}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}")
    for what, times in (
        ("an upsert is recalled", upserts),
        ("a removal is gone", gone),
        ("a request meanwhile", served),
    ):
        p50, p95, p99 = np.percentile(times, [50, 95, 99])
        print(f"{what:28}{len(times):6}{p50:8.3f}{p95:8.3f}{p99:8.3f}{max(times):8.3f}")
    print(f"removed items found afterwards, over {len(new)} lists asked for by their own titles: {seen}")


async def _timed(
    kafka: KafkaSettings,
    outbox: Outbox,
    living: LivingCatalog,
    changes: list[dict[str, Any]],
    every: float,
    counts: Callable[[Recall, dict[str, Any]], bool],
) -> list[float]:
    async def one(change: dict[str, Any]) -> float:
        began = time.perf_counter()
        await outbox.send(kafka.catalog_topic, json.dumps(change).encode(), key=change["item_id"])
        await outbox.flush()
        while not counts(living.now, change):
            await asyncio.sleep(0.01)
            if time.perf_counter() - began > _PATIENCE_S:
                raise SystemExit(f"Not within {_PATIENCE_S:g} s: {change}")
        if change["op"] == "upsert":
            found = await asyncio.to_thread(_found, living.now, change["title"])
            if change["item_id"] not in found:
                raise SystemExit(f"Not recalled by its own title: {change}")
        return time.perf_counter() - began

    tasks = []
    for change in changes:
        tasks.append(asyncio.create_task(one(change)))
        await asyncio.sleep(every)
    return list(await asyncio.gather(*tasks))


def _there(recall: Recall, change: dict[str, Any]) -> bool:
    return change["item_id"] in recall.catalog


def _gone(recall: Recall, change: dict[str, Any]) -> bool:
    return change["item_id"] not in recall.catalog


def _found(recall: Recall, title: str) -> list[str]:
    return [c.item for c in recall.recall([RecallRequest((Query(title),), limit=50)]).candidates[0]]


async def _shoppers(living: LivingCatalog, new: list[dict[str, Any]], served: list[float]) -> None:
    dice = random.Random(2)
    while True:
        request = RecallRequest(tuple(Query(item["title"].lower()[:30]) for item in dice.sample(new, 5)))
        began = time.perf_counter()
        result = await asyncio.to_thread(living.now.recall, [request])
        served.append(time.perf_counter() - began)
        if len(result.candidates[0]) != 50:
            raise SystemExit("A request was answered with a short list.")
        await asyncio.sleep(0.5)


def main() -> None:
    """Start the servers, build, measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two changes")
    options = parser.parse_args()
    rows = list(open_dataset("completejourney").catalog())
    random.Random(4).shuffle(rows)
    titles = {row["title"]: row for row in rows}  # one item a title, so that its title must find it
    rows = list(titles.values())[: options.items + options.changes]
    with tempfile.TemporaryDirectory() as scratch, Supervisor(Path(scratch) / "logs") as supervisor:
        source = Path(scratch) / "items.jsonl"
        source.write_text("\n".join(json.dumps(row) for row in rows[options.changes :]))
        build_catalog(source, Path(scratch) / "catalog", SentenceTransformerEncoder(threads=1))
        kafka_port, redis_port = free_ports(2)
        supervisor.start(tansu_spec(kafka_port))
        supervisor.start(valkey_spec(redis_port, Path(scratch) / "valkey"))
        kafka = KafkaSettings(brokers=f"{LOOPBACK}:{kafka_port}", partitions=4)
        create_topics(kafka)
        home = Path(scratch) / "catalog"
        asyncio.run(measure(kafka, valkey_url(redis_port), home, rows[: options.changes], options.every))


if __name__ == "__main__":
    main()
