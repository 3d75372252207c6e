"""The agent keeps its shoppers within ``max_memory_mb``, also between two checkpoints; in a real Valkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from stream.events import EventDecoder
from stream.gate.agent import GateAgent
from stream.gate.gate import Arrival, Bounds, Gate
from stream.gate.rules.book import RuleBook
from stream.gate.rules.live import LiveRules
from stream.gate.rules.ruleset import DEFAULT_RULES, read_rules
from stream.gate.state.checkpoint import CheckpointStore
from stream.outbox import Outbox
from stream.settings import GateSettings, KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.real

NOW = 1_735_689_600_000


class NoBroker(Outbox):
    async def send_all(self, topic: str, partition: int, records: Sequence[object]) -> None:
        pass


def views(first: int, count: int) -> list[Arrival]:
    decode = EventDecoder().decode
    return [
        Arrival(
            (NOW, NOW),
            "views",
            n,
            decode(
                b'{"event_id":"e%d","user_id":"u%d","type":"view","ts":%d,"item_id":"1"}' % (n, n, NOW), NOW
            ),
            None,
            NOW,
        )
        for n in range(first, first + count)
    ]


async def test_a_worker_that_meets_more_shoppers_than_it_may_hold_writes_them_down_at_once(
    valkey: str,
) -> None:
    redis = Redis.from_url(valkey)
    settings, kafka = GateSettings(max_memory_mb=1), KafkaSettings()
    rules = LiveRules(RuleBook(redis, "nl:"), read_rules(DEFAULT_RULES), "default")
    await rules.start()
    gate = Gate(rules.seed, Bounds.of(settings))
    store = CheckpointStore(redis, "nl:")
    agent = GateAgent(gate, store, NoBroker(kafka, "test"), rules, kafka, settings)
    partition = await agent.take_over(0)
    for first in range(0, 2_000, 100):
        await agent.apply(0, partition.epoch, views(first, 100))
        assert agent.memory_bytes <= 1 << 20
    assert agent.users_in_memory < 500
    assert agent.accounting().applied == 2_000
    await agent.checkpoint()
    assert len([key async for key in redis.scan_iter("nl:state:*")]) == 2_000
    await agent.apply(0, partition.epoch, views(0, 2_000))  # read back, and known
    assert agent.accounting().duplicate == 2_000
    await redis.aclose()
