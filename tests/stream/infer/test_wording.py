"""Portraits in a model's words, over a real Valkey and a real HTTP server in the shape of the OpenAI API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from agents import AgentSettings
from agents.errors import AgentError
from agents.portrait import CODE, Buyer, Portrait
from agents.price_bands import Band
from stream.infer.wording import PortraitWords, portrait_words
from stream.redis_client import connect_redis
from stream.settings import RedisSettings
from tests.agents.test_server_runtime import Model, _chat, _status, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from redis.asyncio import Redis

pytestmark = pytest.mark.real

_GOOD = '{"queries":["shop buyer after owl bags"]}'


def _portrait(mark: str = "m") -> Portrait:
    return Portrait(
        mark,
        Buyer.SHOP,
        (("Bags and purses", 0.4),),
        Band.LOW,
        20.0,
        9,
        40,
        ("jumbo bag", "owl"),
        "restocks jumbo bag, owl",
    )


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with serving() as made:
        made.reply = _chat(_GOOD)
        yield made


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    client = await connect_redis(RedisSettings(url=SecretStr(valkey)))
    yield client
    await client.aclose()


@pytest.fixture
async def words(model: Model, redis: Redis) -> AsyncIterator[Callable[..., PortraitWords]]:
    """Makes a worker's words."""
    made: list[PortraitWords] = []

    def make(**more: object) -> PortraitWords:
        told = {
            "enabled": True,
            "server": {"url": model.url, "model": "m", "retries": 0, "timeout": 60},
            **more,
        }
        one = portrait_words(
            AgentSettings.model_validate({"wording": told, "breaker": {"failures": 2, "pause": 3_600}}),
            redis,
            "nl:",
            60,
        )
        assert one is not None
        made.append(one)
        return one

    yield make
    for one in made:
        await one.close()


async def test_no_trigger_waits_and_the_next_one_has_the_words(
    model: Model, words: Callable[..., PortraitWords]
) -> None:
    mine = words()
    assert mine.of("ann", _portrait()) == _portrait()
    assert model.seen == []
    assert await mine.step()
    worded = mine.of("ann", _portrait())
    assert (worded.wording, worded.worded_by) == ("shop buyer after owl bags", "m")
    assert worded.told() == f"{_portrait().facts()}; shop buyer after owl bags"
    assert not await mine.step()
    assert len(model.seen) == 1


async def test_words_hold_while_the_ledger_does(model: Model, words: Callable[..., PortraitWords]) -> None:
    mine = words()
    mine.of("bea", _portrait())
    await mine.step()
    moved = _portrait("later")
    assert mine.of("bea", moved).worded_by == CODE
    await mine.step()
    assert mine.of("bea", moved).worded_by == "m"
    assert len(model.seen) == 2


async def test_another_worker_has_them_without_asking(
    model: Model, words: Callable[..., PortraitWords]
) -> None:
    first, second = words(), words()
    first.of("cid", _portrait())
    await first.step()
    second.of("cid", _portrait())
    assert await second.step()
    assert second.of("cid", _portrait()).worded_by == "m"
    assert len(model.seen) == 1
    assert second.counts["found in Redis"] == 1


async def test_words_that_say_more_than_the_facts_leave_the_codes_and_are_not_asked_for_again(
    model: Model, words: Callable[..., PortraitWords]
) -> None:
    mine = words()
    model.reply = _chat('{"queries":["shop buyer after wedding dresses"]}')
    mine.of("dan", _portrait())
    await mine.step()
    assert mine.of("dan", _portrait()) == _portrait()
    assert not await mine.step()
    assert len(model.seen) == 1


async def test_a_model_that_is_away_is_left_alone_and_the_portrait_asks_again_at_the_next_trigger(
    model: Model, words: Callable[..., PortraitWords]
) -> None:
    mine = words()
    model.reply = _status(500)
    for _ in range(2):
        mine.of("eve", _portrait())
        assert await mine.step()
    mine.of("eve", _portrait())
    assert not await mine.step(), "the breaker is open"
    assert len(model.seen) == 2
    assert mine.counts["unanswered"] == 2


async def test_the_queue_is_bounded_and_forgets_who_has_waited_longest(
    model: Model, words: Callable[..., PortraitWords]
) -> None:
    mine = words(waiting=3)
    for user in ("f1", "f2", "f3", "f4", "f5"):
        mine.of(user, _portrait())
    assert await mine.step()
    assert not await mine.step()
    assert [user for user in ("f1", "f2", "f3", "f4", "f5") if mine.of(user, _portrait()).worded_by == "m"] == [
        "f3", "f4", "f5",
    ]  # fmt: skip
    assert mine.counts["forgotten"] == 2


async def test_off_by_default_and_on_it_needs_a_model(redis: Redis) -> None:
    assert portrait_words(AgentSettings(), redis, "nl:", 60) is None
    with pytest.raises(AgentError, match="model is empty"):
        portrait_words(AgentSettings.model_validate({"wording": {"enabled": True}}), redis, "nl:", 60)
