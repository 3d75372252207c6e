"""Batches of triggers on a real Valkey: who is served, who is overtaken, who is buried."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from pydantic import SecretStr

from agents.demand import Demand, DemandSet, Rung
from index import Recall, build_catalog
from stream.dead import Origin
from stream.gate.state.recent import Recent
from stream.infer.pipeline import Pipeline
from stream.infer.source import Received
from stream.redis_client import connect_redis
from stream.settings import InferSettings, KafkaSettings, RedisSettings, SlateSettings
from stream.slates import SlateStore
from stream.triggers import Trigger
from tests.stream.infer.sent import Sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from agents.shopper import Shopper

pytestmark = pytest.mark.real


class Letters:
    """An encoder that counts letters: enough to tell milk from soap."""

    name, dimensions, fingerprint = "letters", 26, "sha256:letters"

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        counts = np.array(
            [[text.lower().count(chr(97 + n)) + 0.01 for n in range(26)] for text in texts], "f4"
        )
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class Says:
    """A ladder that answers with what the shopper saw last, and breaks on one shopper."""

    async def infer(self, shoppers: Sequence[Shopper], deadlines: Sequence[float]) -> list[DemandSet]:
        assert len(deadlines) == len(shoppers)
        if any(shopper.user_id == "unforeseen" for shopper in shoppers):
            raise ZeroDivisionError("nobody thought of this")
        return [
            DemandSet(
                s.user_id, (Demand(s.recent[-1].text, "llm", (), None),), (), Rung.LLM, "p-1", "m", "local"
            )
            for s in shoppers
        ]


def received(user: str, seq: int, item: str = "milk") -> Received:
    now = time.time_ns() // 1_000_000
    recent = [Recent(f"e{seq}", "view", now, item)]
    trigger = Trigger(
        f"{user.encode().hex()}{seq:02x}", "five-views", "r", user, seq, f"e{seq}", now, now, now, recent, []
    )
    return Received(Origin("nearline.triggers", 0, seq), msgspec.json.encode(trigger), trigger, "", now)


@pytest.fixture
async def served(valkey: str, tmp_path: Path) -> AsyncIterator[tuple[Pipeline, SlateStore, Sent]]:
    items = tmp_path / "items.jsonl"
    rows = [{"item_id": i, "title": f"{i} number one", "category": "Food"} for i in ("milk", "bread", "soap")]
    items.write_text("\n".join(map(json.dumps, rows)))
    build_catalog(items, tmp_path / "catalog", Letters())
    redis = await connect_redis(RedisSettings(url=SecretStr(valkey)))
    store, sent = SlateStore(redis, "nl:", SlateSettings()), Sent()
    recall = Recall.open(tmp_path / "catalog", Letters())
    ladder: Any = Says()
    outbox: Any = sent
    yield Pipeline(ladder, recall, store, outbox, KafkaSettings(), InferSettings()), store, sent
    await redis.aclose()


async def test_of_a_shoppers_triggers_the_newest_is_served_and_the_others_are_recorded(
    served: tuple[Pipeline, SlateStore, Sent],
) -> None:
    pipeline, store, sent = served
    await pipeline.serve(
        [received("ann", 1), received("ann", 3, "soap"), received("bob", 1), received("ann", 2)]
    )
    slate = await store.slate("ann")
    assert slate is not None
    assert (slate.version, slate.candidates[0].item, slate.rung) == (3, "soap", "llm")
    outcomes = sorted((r["user"], r["version"], r["outcome"]) for _, r in sent.records)
    assert outcomes == [
        ("ann", 1, "superseded"),
        ("ann", 2, "superseded"),
        ("ann", 3, "served"),
        ("bob", 1, "served"),
    ]


async def test_a_trigger_read_again_is_served_once_and_its_record_is_the_same(
    served: tuple[Pipeline, SlateStore, Sent],
) -> None:
    pipeline, store, sent = served
    again = received("ann", 1)
    await pipeline.serve([again])
    before = await store.slate("ann")
    await pipeline.serve([again])
    assert await store.slate("ann") == before
    (_, first), (_, second) = sent.records
    assert (first["trigger"], first["candidates"]) == (second["trigger"], second["candidates"])
    assert second["outcome"] == "served"
    assert pipeline.rungs == {"llm": 1}


async def test_the_parts_of_every_position_add_up_to_its_score_in_slate_trace_and_record(
    served: tuple[Pipeline, SlateStore, Sent],
) -> None:
    pipeline, store, sent = served
    await pipeline.serve([received("ann", 1)])
    slate, trace = await store.slate("ann"), await store.trace("ann")
    assert slate is not None
    assert trace is not None
    assert trace.candidates
    for shown, told in zip(slate.candidates, trace.candidates, strict=True):
        assert shown.score == told["score"] == round(sum(told["parts"].values()), 6)
        assert (shown.channel, shown.why) == (told["channel"], told["why"])
        assert len(told["features"]) == len(trace.features)
    assert sent.records[-1][1]["candidates"] == trace.candidates
    assert trace.demands[0]["weight"]["weight"] == 1.0
    assert trace.pool["all"] == 3
    assert sum(pipeline.positions.values()) == len(trace.candidates)


async def test_an_older_trigger_never_replaces_a_newer_slate(
    served: tuple[Pipeline, SlateStore, Sent],
) -> None:
    pipeline, store, sent = served
    await pipeline.serve([received("ann", 5)])
    await pipeline.serve([received("ann", 4, "soap")])
    slate = await store.slate("ann")
    assert slate is not None
    assert slate.version == 5
    assert sent.records[-1][1]["outcome"] == "superseded"


async def test_a_trigger_that_cannot_be_served_is_buried_and_the_others_of_its_batch_are_served(
    served: tuple[Pipeline, SlateStore, Sent],
) -> None:
    pipeline, store, sent = served
    broken = Received(Origin("nearline.triggers", 1, 7), b"{", None, "cut short", 0.0)
    await pipeline.serve([received("ann", 1), received("unforeseen", 1), broken, received("bob", 1)])
    assert await store.slate("ann") is not None
    assert await store.slate("bob") is not None
    assert await store.slate("unforeseen") is None
    dead = {r["reason"]: r for topic, r in sent.records if topic == "nearline.dead"}
    assert "nobody thought of this" in dead["infer_error"]["detail"]
    assert json.loads(dead["infer_error"]["value"])["user"] == "unforeseen"
    outcomes = {r["user"]: r["outcome"] for topic, r in sent.records if topic == "nearline.slates"}
    assert outcomes == {"ann": "served", "bob": "served", "unforeseen": "dead"}
    assert (dead["bad_trigger"]["partition"], dead["bad_trigger"]["offset"]) == (1, 7)
