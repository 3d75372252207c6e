"""The checkpoint in a real Valkey: all or nothing, and only by the owner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import RedisError

from stream.errors import CheckpointError, FencedError
from stream.gate.state.accounting import Accounting
from stream.gate.state.activity import Activity
from stream.gate.state.checkpoint import CheckpointStore

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from stream.gate.gate import Partition

pytestmark = pytest.mark.real


@pytest.fixture
def store(redis: Redis) -> CheckpointStore:
    return CheckpointStore(redis, "nl:")


def change(partition: Partition, user: str, seq: int) -> None:
    activity = partition.users.setdefault(user, Activity())
    activity.seq = seq
    partition.dirty.add(user)
    partition.offsets["views"] = seq
    partition.counts = Accounting(received=seq, applied=seq)


async def test_what_was_written_is_what_the_next_owner_finds(store: CheckpointStore) -> None:
    partition = await store.take_over(3)
    assert (partition.epoch, partition.offsets, partition.counts) == (1, {}, Accounting())
    users = ["plain", "{p9}", "new\nline", "\u7528\u6237", 'quote"']
    for n, user in enumerate(users, 1):
        change(partition, user, n)
    assert await store.write(partition, 7) == len(users)
    assert partition.dirty == set()
    following = await store.take_over(3)
    assert following.epoch == 2
    assert following.offsets == {"views": 5}
    assert following.counts == Accounting(received=5, applied=5)
    await store.load(following, [*users, "nobody"])
    assert {user: activity.seq for user, activity in following.users.items()} == dict(
        zip(users, range(1, 6), strict=True)
    )


async def test_shoppers_in_memory_are_not_loaded_over(store: CheckpointStore) -> None:
    partition = await store.take_over(0)
    change(partition, "u", 1)
    await store.write(partition, 7)
    change(partition, "u", 2)
    await store.load(partition, ["u"])
    assert partition.users["u"].seq == 2


async def test_an_earlier_owner_is_refused_and_changes_nothing(store: CheckpointStore, redis: Redis) -> None:
    old = await store.take_over(0)
    change(old, "u", 1)
    await store.write(old, 7)
    new = await store.take_over(0)
    change(old, "u", 99)
    change(old, "v", 99)
    with pytest.raises(FencedError, match="generation 2"):
        await store.write(old, 8)
    assert old.dirty == {"u", "v"}
    assert not await redis.exists(store.state_key(0, "v"))
    await store.load(new, ["u"])
    assert new.users["u"].seq == 1
    change(new, "u", 2)
    assert await store.write(new, 9) == 1


async def test_an_owner_who_is_fenced_between_looking_and_writing_is_refused(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(redis, "nl:")
    old = await store.take_over(0)
    change(old, "u", 1)
    make = redis.pipeline

    def pipeline(*args: Any, **named: Any) -> Any:
        pipe = make(*args, **named)
        execute = pipe.execute

        async def late(*a: Any, **k: Any) -> Any:
            await CheckpointStore(redis, "nl:").take_over(0)
            return await execute(*a, **k)

        pipe.execute = late
        return pipe

    monkeypatch.setattr(redis, "pipeline", pipeline)
    with pytest.raises(FencedError):
        await store.write(old, 7)
    assert await store.read_offsets(0) is None
    assert not await redis.exists(store.state_key(0, "u"))


async def test_a_checkpoint_that_cannot_be_written_whole_is_not_written(
    store: CheckpointStore, redis: Redis
) -> None:
    partition = await store.take_over(0)
    change(partition, "u", 1)
    await store.write(partition, 7)
    for n in range(50):
        change(partition, f"u{n}", 2)
    memory = (await redis.config_get("maxmemory"))["maxmemory"]
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(RedisError):
            await store.write(partition, 8)
    finally:
        await redis.config_set("maxmemory", memory)
    assert len(partition.dirty) == 50
    assert not await redis.exists(*(store.state_key(0, f"u{n}") for n in range(50)))
    offsets = await store.read_offsets(0)
    assert offsets is not None
    assert offsets.offsets == {"views": 1}
    assert await store.write(partition, 9) == 50


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b'{"version": 1}', b'{"version": "1", "offsets": 7}']
)
async def test_damaged_offsets_are_an_error_that_names_the_key(
    store: CheckpointStore, redis: Redis, data: bytes
) -> None:
    await redis.set("nl:offsets:{p4}", data)
    with pytest.raises(CheckpointError, match=r"nl:offsets:\{p4\}") as caught:
        await store.take_over(4)
    assert caught.value.way_out


async def test_offsets_of_another_version_are_refused_by_their_version(
    store: CheckpointStore, redis: Redis
) -> None:
    partition = await store.take_over(0)
    change(partition, "u", 1)
    await store.write(partition, 7)
    value = json.loads(await redis.get("nl:offsets:{p0}"))
    await redis.set("nl:offsets:{p0}", json.dumps({**value, "version": 99}))
    with pytest.raises(CheckpointError, match="version 99"):
        await store.take_over(0)
    await redis.set("nl:offsets:{p0}", json.dumps({"version": 99, "shape": "nobody knows yet"}))
    with pytest.raises(CheckpointError, match="version 99"):
        await store.take_over(0)


async def test_a_damaged_state_is_an_error_and_is_left_as_it_is(store: CheckpointStore, redis: Redis) -> None:
    partition = await store.take_over(0)
    await redis.set(store.state_key(0, "u"), b"damaged")
    with pytest.raises(CheckpointError, match="'u'"):
        await store.load(partition, ["u"])
    assert await redis.get(store.state_key(0, "u")) == b"damaged"


def test_all_keys_of_a_partition_share_a_slot_whatever_the_shopper_is_called(store: CheckpointStore) -> None:
    from redis.cluster import key_slot

    keys = [
        store.offsets_key(7),
        store.epoch_key(7),
        *(store.state_key(7, u) for u in ("u", "{p8}", "}{", "")),
    ]
    assert len({key_slot(key.encode()) for key in keys}) == 1


async def test_who_was_idle_longest_is_forgotten_and_comes_back_as_they_were(store: CheckpointStore) -> None:
    partition = await store.take_over(5)
    for user in ("a", "b", "c"):
        change(partition, user, 1)
    await store.write(partition, 7)
    change(partition, "a", 2)
    await store.write(partition, 8)
    whole = partition.memory_bytes
    change(partition, "b", 3)
    assert partition.memory_bytes > whole  # what has changed takes more until it is written down
    partition.forget_idle(1)
    assert list(partition.users) == ["b", "a"]  # c was idle longest; b has changed since
    partition.forget_idle(whole)
    assert list(partition.users) == ["b"]
    await store.load(partition, ["a", "c"])
    assert (partition.users["a"].seq, partition.users["c"].seq) == (2, 1)
    await store.write(partition, 9)
    assert partition.memory_bytes == whole
