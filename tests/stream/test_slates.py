"""Slates in a real Valkey: the newer wins, in one round trip, whoever the shopper is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from stream.settings import SlateSettings
from stream.slates import Served, Slate, SlateCandidate, SlateStore, Trace, Written

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.real

HOSTILE = [
    "plain",
    '","version":99,"x":"',
    '{"schema":1,"version":99,"trigger":"ff"',
    "{user}",
    "{p0}:other",
    "new\nline\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "quote'\"\\",
    "nul\x00byte",
    "a user with spaces %s %d $1 *?[x]",
    "\u7528\u6237-\U0001f6d2-\u202e",
    "x" * 500,
]


@pytest.fixture
def store(redis: Redis) -> SlateStore:
    return SlateStore(redis, "nl:", SlateSettings(ttl_s=1000, cached_demands_ttl_s=2000))


def written(user: str, version: int, demands: bytes | None = b"[]", trigger: str = "") -> Written:
    trigger = trigger or f"{version:020x}"
    candidates = [SlateCandidate(f"item-{version}", 0.5, "tea", "because", "words")]
    slate = Slate(1, version, trigger, user, 7, "model", candidates)
    trace = Trace(
        1, version, trigger, user, 7, "served", "model", {"rule": "r"}, [], {"version": "1"}, "[]", [], [], [], {"u2q": 1.5}
    )  # fmt: skip
    return Written(slate, trace, demands)


@pytest.mark.parametrize("user", HOSTILE)
async def test_a_slate_reads_back_and_is_replaced_only_by_a_newer_one(
    store: SlateStore, redis: Redis, user: str
) -> None:
    assert await store.write([written(user, 10)]) == [True]
    assert await store.write([written(user, 9)]) == [False]
    assert await store.write([written(user, 10, trigger="ee")]) == [False]
    slate, trace = await store.slate(user), await store.trace(user)
    assert slate == written(user, 10).slate
    assert trace == written(user, 10).trace
    assert await store.write([written(user, 11)]) == [True]
    slate, trace = await store.slate(user), await store.trace(user)
    assert slate is not None
    assert trace is not None
    assert (slate.version, trace.version, slate.candidates[0].item) == (11, 11, "item-11")
    assert await redis.dbsize() == 3


@pytest.mark.parametrize("user", HOSTILE)
async def test_what_was_served_is_the_version_and_trigger_of_the_slate(store: SlateStore, user: str) -> None:
    assert await store.served([user]) == [(Served(0, ""), None)]
    await store.write([written(user, 12, b'["tea"]')])
    assert await store.served([user, "nobody"]) == [
        (Served(12, f"{12:020x}"), b'["tea"]'),
        (Served(0, ""), None),
    ]


async def test_versions_are_compared_as_numbers(store: SlateStore) -> None:
    assert await store.write([written("u", 9)]) == [True]
    assert await store.write([written("u", 10)]) == [True]
    assert await store.write([written("u", 2**53 - 1)]) == [True]
    assert await store.write([written("u", 100)]) == [False]


async def test_a_batch_says_of_each_whether_it_was_written(store: SlateStore) -> None:
    await store.write([written("old", 5), written("same", 5)])
    batch = [
        written("new", 1),
        written("old", 4, None),
        written("same", 5),
        written("other", 2, None),
        written("old", 6),
    ]
    assert await store.write(batch) == [True, False, False, True, True]
    assert await store.write([]) == []


async def test_what_stands_there_and_is_no_slate_is_replaced(store: SlateStore, redis: Redis) -> None:
    for junk in (b"", b"junk", b'{"version":99}', b'{"schema":1,"version":,"trigger":""'):
        await redis.set(store.slate_key("u"), junk)
        assert await store.write([written("u", 1)]) == [True]


async def test_a_batch_of_slates_is_one_round_trip(store: SlateStore, redis: Redis) -> None:
    await store.write([written("warm", 1)])
    reads = 0
    connection = await redis.connection_pool.get_connection()
    await redis.connection_pool.release(connection)
    send = connection.send_packed_command

    async def counted(command: Any, check_health: bool = True) -> None:
        nonlocal reads
        reads += 1
        await send(command, check_health)

    connection.send_packed_command = counted  # type: ignore[method-assign]  # counts what goes out
    before = (await redis.info("commandstats"))["cmdstat_eval"]["calls"]
    reads = 0
    await store.write([written(f"user-{n}", 1) for n in range(20)])
    assert reads == 1, "one write to the socket for the whole batch"
    after = await redis.info("commandstats")
    assert after["cmdstat_eval"]["calls"] - before == 40
    assert "cmdstat_script|exists" not in after
    assert "cmdstat_script|load" not in after


async def test_slates_traces_and_demands_live_as_long_as_configured(store: SlateStore, redis: Redis) -> None:
    await store.write([written("u", 1)])
    assert 990 < await redis.ttl("nl:slate:u") <= 1000
    assert 990 < await redis.ttl("nl:trace:u") <= 1000
    assert 1990 < await redis.ttl("nl:demands:u") <= 2000


async def test_a_storefront_reads_the_contract_with_one_get(store: SlateStore, redis: Redis) -> None:
    await store.write([written("u", 3)])
    slate = msgspec.json.decode(await redis.get("nl:slate:u"))
    assert list(slate) == ["schema", "version", "trigger", "user", "made_at", "rung", "candidates"]
    assert slate["candidates"] == [
        {"item": "item-3", "score": 0.5, "query": "tea", "why": "because", "channel": "words"}
    ]


async def test_popular_items_are_there_by_category(store: SlateStore, redis: Redis) -> None:
    candidate = SlateCandidate("i", 1.0, "", "popular", "popular")
    await store.publish_popular({"": [candidate], "tea & {cups}": []}, 7)
    assert msgspec.json.decode(await redis.get("nl:popular:"))["candidates"][0]["item"] == "i"
    assert msgspec.json.decode(await redis.get("nl:popular:tea & {cups}"))["candidates"] == []
