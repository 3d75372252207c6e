"""Redis away: told clearly at the start, waited for later."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from stream.embedded.ports import free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.valkey import valkey_spec, valkey_url
from stream.errors import RedisUnavailableError
from stream.redis_client import address_of, connect_redis, make_redis, patiently
from stream.settings import RedisSettings


def at(url: str) -> RedisSettings:
    return RedisSettings(url=SecretStr(url), timeout_s=1)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("rediss://user:p@ss@h:1/0", "rediss://h:1/0"),
        ("redis://:secret@h", "redis://h"),
    ],
)
def test_an_address_in_a_message_has_no_password(url: str, address: str) -> None:
    assert address_of(at(url)) == address


async def test_an_unreachable_redis_is_told_without_the_password() -> None:
    with pytest.raises(RedisUnavailableError) as caught:
        await connect_redis(at("redis://somebody:hunter2@127.0.0.1:1/0"))
    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "nearline up" in caught.value.way_out


async def test_an_error_of_our_own_is_not_repeated() -> None:
    calls = 0

    async def wrong() -> None:
        nonlocal calls
        calls += 1
        raise ResponseError("WRONGTYPE")

    with pytest.raises(ResponseError):
        await patiently("testing", wrong)
    assert calls == 1


async def test_waiting_ends_when_the_task_is_cancelled() -> None:
    async def away() -> None:
        raise RedisConnectionError("away")

    task = asyncio.create_task(patiently("testing", away))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.real
async def test_a_call_goes_on_when_valkey_is_back_after_it_was_stopped(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("away")
    port = free_ports(1)[0]
    with Supervisor(folder / "logs") as supervisor:
        supervisor.start(valkey_spec(port, folder / "data", append_only=True))
        client = make_redis(at(valkey_url(port)))
        assert await patiently("setting", lambda: client.set("key", "before"))
        supervisor.stop("valkey")
        task = asyncio.create_task(patiently("reading", lambda: client.get("key")))
        await asyncio.sleep(0.5)
        assert not task.done()
        await asyncio.to_thread(supervisor.start, valkey_spec(port, folder / "data", append_only=True))
        assert await asyncio.wait_for(task, 15) == b"before"
        await client.aclose()
