"""Where a partition changes its rules, as the checkpoint in a real Valkey keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from redis.cluster import key_slot

from stream.errors import FencedError
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.in_force import Boundary, begin, follow
from stream.gate.rules.ruleset import load_rules, parse_rules
from stream.gate.state.checkpoint import CheckpointStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.real

OLD = CompiledRules(load_rules())
NEW = CompiledRules(
    parse_rules("rules: [{id: a, when: {types: [view], count: 2, within: 1m}}]", "new"), number=4
)


@pytest.fixture
async def store(valkey: str) -> AsyncIterator[CheckpointStore]:
    client = Redis.from_url(valkey)
    yield CheckpointStore(client, "nl:")
    await client.aclose()


async def test_a_boundary_is_written_with_its_checkpoint_and_read_by_the_next_owner(
    store: CheckpointStore,
) -> None:
    partition = await store.take_over(2)
    assert partition.in_force is None
    first = begin(OLD)
    await store.write(partition, 5, change=first)
    partition.in_force = first
    partition.offsets = {"views": 7, "orders": 3}
    second = follow(first, NEW)
    await store.write(partition, 6, change=second)
    await store.write(partition, 6, change=second)  # as when the answer was lost
    assert (await store.take_over(2)).in_force == second
    assert await store.read_boundaries(2) == [
        Boundary(0, 0, OLD.digest, {}, 5),
        Boundary(1, 4, NEW.digest, {"views": 7, "orders": 3}, 6),
    ]
    assert await store.read_boundaries(3) == []
    assert key_slot(store.boundaries_key(2).encode()) == key_slot(store.offsets_key(2).encode())


async def test_a_checkpoint_between_changes_keeps_the_rules(store: CheckpointStore) -> None:
    partition = await store.take_over(0)
    partition.in_force = follow(begin(OLD), NEW)
    await store.write(partition, 5)
    assert (await store.take_over(0)).in_force == partition.in_force
    assert await store.read_boundaries(0) == []


async def test_a_boundary_of_an_earlier_owner_is_refused(store: CheckpointStore) -> None:
    old = await store.take_over(0)
    await store.take_over(0)
    with pytest.raises(FencedError):
        await store.write(old, 5, change=begin(NEW))
    assert await store.read_boundaries(0) == []
    with pytest.raises(FencedError, match="generation 2"):
        await store.confirm(old)


async def test_only_the_successor_of_an_owner_that_left_may_change_rules_at_once(
    store: CheckpointStore,
) -> None:
    partition = await store.take_over(0)
    await store.confirm(partition)
    await store.write(partition, 5)
    assert not (await store.take_over(0)).settled, "it may have gone on after its checkpoint"
    leaving = await store.take_over(0)
    await store.write(leaving, 6, clean=True)
    assert (await store.take_over(0)).settled
    assert not (await store.take_over(0)).settled, "one in between may have been killed before its checkpoint"
