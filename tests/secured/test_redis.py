"""What Nearline keeps in Redis, kept behind TLS with a user of few rights, on a cluster, and through a failover."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from stream.errors import CertificateError, FencedError, RedisUnavailableError, RulesConflictError
from stream.gate.rules.book import RuleBook
from stream.gate.rules.ruleset import DEFAULT_RULES
from stream.gate.state.activity import Activity
from stream.gate.state.checkpoint import CheckpointStore
from stream.metrics.minutes import MINUTE_MS, Minute, minute_key, read_minutes, write_minute
from stream.redis_client import connect_redis, patiently
from stream.settings import RedisSettings, SlateSettings
from stream.slates import Slate, SlateCandidate, SlateStore, Trace, Written

from .conftest import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from stream.gate.gate import Partition

    from .certificates import Certificates
    from .conftest import Sentinels

pytestmark = pytest.mark.real


@pytest.fixture(params=["tls_redis", "redis_cluster"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    redis = await connect_redis(request.getfixturevalue(request.param))
    yield redis
    await redis.aclose()


@pytest.fixture
def prefix() -> str:
    return f"nl:{uuid.uuid4().hex[:8]}:"


def written(user: str, version: int) -> Written:
    trigger = f"{version:020x}"
    slate = Slate(1, version, trigger, user, 7, "llm", [SlateCandidate("i", 0.5, "tea", "because", "words")])
    chain = Trace(
        1, version, trigger, user, 7, "served", "llm", {"rule": "r"}, [], {"version": "1"}, "[]", [], [], [], {"u2q": 1.5}
    )  # fmt: skip
    return Written(slate, chain, b"[]")


async def test_minutes_are_counted_by_workers_and_summed(client: Redis, prefix: str) -> None:
    starts = [number * MINUTE_MS for number in range(60)]
    for at in starts:
        for worker in ("a:1", "b:1"):
            await write_minute(client, prefix, at, worker, Minute({"received": 2}), 7200)
    found = await read_minutes(client, prefix, [*starts, 61 * MINUTE_MS])
    assert [one.events["received"] if one else None for one in found] == [4] * 60 + [None]
    assert 0 < await client.ttl(minute_key(prefix, 0)) <= 7200


async def test_slates_of_many_shoppers_are_written_at_once_and_only_newer_ones_replace_them(
    client: Redis, prefix: str
) -> None:
    store = SlateStore(client, prefix, SlateSettings())
    users = [f"user-{number}" for number in range(60)]
    assert all(await store.write([written(user, 2) for user in users]))
    older = await store.write([written(user, 1 if number % 2 else 3) for number, user in enumerate(users)])
    assert older == [number % 2 == 0 for number in range(60)]
    assert [found.version for found, _ in await store.served(users)] == [3, 2] * 30
    trace = await store.trace("user-7")
    assert trace is not None
    assert trace.version == 2
    await store.publish_popular({"": [], "tea": [SlateCandidate("i", 1.0, "", "", "popular")]}, 7)
    assert await client.get(store.popular_key("tea")) is not None


async def test_a_checkpoint_is_one_transaction_that_a_former_owner_cannot_make(
    client: Redis, prefix: str
) -> None:
    store = CheckpointStore(client, prefix)
    former = await store.take_over(3)
    for number in range(40):
        change(former, f"user-{number}", 1)
    assert await store.write(former, 7) == 40
    owner = await store.take_over(3)
    assert owner.offsets == {"views": 1}
    await store.load(owner, [f"user-{number}" for number in range(40)])
    assert len(owner.users) == 40
    change(former, "user-1", 2)
    with pytest.raises(FencedError):
        await store.write(former, 8)
    change(owner, "user-1", 3)
    assert await store.write(owner, 9) == 1


def change(partition: Partition, user: str, seq: int) -> None:
    partition.users.setdefault(user, Activity()).seq = seq
    partition.dirty.add(user)
    partition.offsets["views"] = seq


async def test_the_book_of_rules_refuses_the_second_of_two_operators(client: Redis, prefix: str) -> None:
    book = RuleBook(client, prefix)
    text = DEFAULT_RULES.read_text()
    await book.set(text, base=0, author="ann", note="begin", now=7)
    with pytest.raises(RulesConflictError, match="ann"):
        await book.set(text, base=0, author="bob", note="mine", now=8)
    assert [version.author for version in await book.history()] == ["ann"]


async def test_a_wrong_password_or_authority_is_told_without_the_password(
    tls_redis: RedisSettings, certificates: Certificates
) -> None:
    with pytest.raises(RedisUnavailableError) as wrong:
        await connect_redis(tls_redis.model_copy(update={"password": SecretStr("hunter2")}))
    assert "refuses the user or the password" in str(wrong.value)
    assert "hunter2" not in str(wrong.value)
    with pytest.raises(RedisUnavailableError, match="certificate"):
        await connect_redis(tls_redis.model_copy(update={"tls_cafile": certificates.stranger}))
    with pytest.raises(CertificateError, match="no-such-file"):
        await connect_redis(tls_redis.model_copy(update={"tls_cafile": "no-such-file.pem"}))
    assert PASSWORD not in repr(tls_redis)


async def test_a_node_that_is_away_at_the_start_leaves_the_others_to_ask(
    redis_cluster: RedisSettings,
) -> None:
    url = SecretStr("redis://127.0.0.1:1")
    nodes = [redis_cluster.url.get_secret_value().removeprefix("redis://"), *redis_cluster.nodes]
    client = await connect_redis(redis_cluster.model_copy(update={"url": url, "nodes": nodes}))
    assert await client.set("nl:away", "no")
    await client.aclose()


async def test_writing_goes_on_at_the_server_that_sentinels_chose_after_the_first_was_killed(
    sentinels: Sentinels,
) -> None:
    client = await connect_redis(sentinels.settings)
    await client.set("nl:before", "1")
    assert await client.wait(1, 1500) == 1, "the follower has it"
    sentinels.supervisor.kill("leader")
    assert await patiently("writing", lambda: client.set("nl:after", "2"))
    assert await client.mget(["nl:before", "nl:after"]) == [b"1", b"2"]
    await client.aclose()
