"""Dead events on the page: found, looked at, and sent again once an operator has said so, on a real broker."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from console.web.redrives import Redrives, State
from console.web.trail import Trail
from stream.dead import Origin, dead_record
from stream.dead.search import Filters
from stream.settings import KafkaSettings
from stream.topics import create_topics
from tests.console.web.shop import MARKUP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

    from tests.console.web.conftest import Page

pytestmark = pytest.mark.real


@pytest.fixture
async def kafka(tansu: str, topic_prefix: str) -> KafkaSettings:
    """A broker with four dead records: two of one reason, one of markup, one that was cut."""
    kafka = KafkaSettings(brokers=tansu, prefix=topic_prefix, partitions=2)
    await asyncio.to_thread(create_topics, kafka)
    views, searches = str(kafka.topic_of("view")), str(kafka.topic_of("search"))
    now = 1_700_000_000_000
    records = [
        dead_record(b'{"user_id": "u1"}', Origin(views, 0, 1), "missing_field", "type", now),
        dead_record(b'{"user_id": "u2"}', Origin(views, 0, 2), "missing_field", "type", now + 1),
        dead_record(
            json.dumps({"user_id": "u3", "query": MARKUP}).encode(), Origin(searches, 1, 4), "wrong_type",
            MARKUP, now + 2,
        ),
        dead_record(b"x" * 70_000, Origin(views, 0, 3), "too_large", "x", now + 3),
    ]  # fmt: skip
    producer = AIOKafkaProducer(bootstrap_servers=tansu)
    await producer.start()
    try:
        for record in records:
            await producer.send_and_wait(kafka.dead_topic, record, partition=0)
    finally:
        await producer.stop()
    return kafka


@pytest.fixture
async def page(make_page: Any, valkey: str, kafka: KafkaSettings) -> Page:
    found: Page = make_page(valkey, kafka=kafka.model_dump(exclude_defaults=True))
    await found.sign_in()
    return found


async def sent(kafka: KafkaSettings, topic: str) -> list[bytes | None]:
    """What is on a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.brokers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(kafka.partitions)])
        found: list[bytes | None] = []
        quiet = 0
        while quiet < 3:
            batch = await consumer.getmany(timeout_ms=200)
            quiet = 0 if batch else quiet + 1
            found += [one.value for records in batch.values() for one in records]
        return found
    finally:
        await consumer.stop()


async def settled(ask: Callable[[], Awaitable[str]]) -> str:
    """The part of a redrive once it is not at work any more."""
    async with asyncio.timeout(60):
        while "hx-trigger" in (text := await ask()):  # noqa: ASYNC110  # the page is asked, as a browser does
            await asyncio.sleep(0.05)
    return text


async def begun(page: Page, form: dict[str, Any], name: str = "ann") -> str:
    """The address of a redrive that has looked."""
    answer = await page.post("/dead/redrive", {"guard": page.guard(name), **form})
    assert answer.status_code == 303, answer.text
    where = answer.headers["location"]
    await settled(lambda: text_of(page, f"{where}/state"))
    return str(where)


async def text_of(page: Page, path: str) -> str:
    return (await page.get(path)).text


async def test_all_of_a_reason_are_sent_again_after_asking_and_it_is_on_record(
    page: Page, kafka: KafkaSettings
) -> None:
    views = str(kafka.topic_of("view"))
    shown = await text_of(page, "/dead/list?since=all")
    assert re.search(r'missing_field</code></th><td class="n">2</td>', shown)
    where = await begun(page, {"since": "all", "reason": "missing_field", "topic": views})
    asked = await text_of(page, where)
    assert "Send 2 events again?" in asked
    assert f"reason missing_field, from {views}, all the topic holds" in asked
    assert await sent(kafka, views) == [], "nothing is sent before somebody says so"
    done = await page.post(f"{where}/send", {"guard": page.guard()})
    assert done.status_code == 200
    assert "Sent 2 events again" in await settled(lambda: text_of(page, f"{where}/state"))
    assert sorted(value or b"" for value in await sent(kafka, views)) == [
        b'{"user_id": "u1"}', b'{"user_id": "u2"}',
    ]  # fmt: skip
    twice = await page.post(f"{where}/send", {"guard": page.guard()})
    assert "not waiting to be sent" in twice.text
    trail = await text_of(page, "/trail")
    assert "dead events: sending" in trail
    assert "2 of 2 events" in trail

    where = await begun(page, {"since": "all"})
    asked = await text_of(page, where)
    assert "Send 1 event again?" in asked
    assert "2 had been sent before and are left" in asked
    assert "1 refused: cut" in asked
    await page.post(f"{where}/stop", {"guard": page.guard()})
    assert "Nothing was sent." in await text_of(page, f"{where}/state")


async def test_chosen_ones_only_are_sent_and_a_choice_of_none_is_said(
    page: Page, kafka: KafkaSettings
) -> None:
    views, searches = str(kafka.topic_of("view")), str(kafka.topic_of("search"))
    where = await begun(page, {"chosen": "yes", "place": ["0:1", "0:2"]})
    assert "those at 0:1, 0:2" in await text_of(page, where)
    await page.post(f"{where}/send", {"guard": page.guard()})
    assert "Sent 2 events again" in await settled(lambda: text_of(page, f"{where}/state"))
    assert await sent(kafka, views) == [b'{"user_id": "u2"}']
    assert len(await sent(kafka, searches)) == 1
    none = await page.post("/dead/redrive", {"guard": page.guard(), "chosen": "yes"})
    assert "No event was chosen" in none.text
    wrong = await page.post("/dead/redrive", {"guard": page.guard(), "place": "<b>"})
    assert "&lt;b&gt;" in wrong.text
    assert "is no place of a dead event" in wrong.text
    gone = await begun(page, {"place": "0:999"})
    assert "There is nothing to send." in await text_of(page, gone)


async def test_filters_narrow_the_list_and_what_events_hold_is_text(page: Page, kafka: KafkaSettings) -> None:
    of_user = await text_of(page, "/dead/list?since=all&user=u2")
    assert "0:1" in of_user
    assert "0:0<" not in of_user
    assert "None of that kind" in await text_of(page, "/dead/list?since=all&user=nobody")
    assert "None in that time" in await text_of(page, "/dead/list?since=1h")
    whole = await text_of(page, "/dead?reason=%3Cb%3E&user=%22%3E%3Cscript%3E&since=ever")
    assert "<script>alert" not in whole
    assert 'value="&#34;&gt;&lt;script&gt;"' in whole
    one = await text_of(page, "/dead/one?place=0:2")
    assert "<img" not in one
    assert "&lt;img src=x" in one
    assert "refused: cut" in await text_of(page, "/dead/one?place=0:3")
    assert "no dead event at 0:999" in await text_of(page, "/dead/one?place=0:999")


async def test_viewers_other_operators_and_other_sites_send_nothing(page: Page, kafka: KafkaSettings) -> None:
    views = str(kafka.topic_of("view"))
    where = await begun(page, {"place": "0:0"})
    await page.sign_in("bob")
    refused = await page.post(f"{where}/send", {"guard": page.guard("bob")})
    assert "ann chose these events" in refused.text
    await page.sign_in("vic")
    shown = await text_of(page, "/dead/list?since=all")
    assert "Send all again" not in shown
    assert "You are a viewer" in shown
    for path in ("/dead/redrive", f"{where}/send", f"{where}/stop"):
        viewer = await page.post(path, {"guard": page.guard("vic"), "place": "0:0"})
        assert viewer.status_code == 403
        assert "vic is a viewer" in viewer.text
    await page.sign_in("ann")
    for path in ("/dead/redrive", f"{where}/send", f"{where}/stop"):
        unguarded = await page.post(path, {"place": "0:0"})
        assert unguarded.status_code == 403
        abroad = await page.post(
            path, {"guard": page.guard()}, headers={"origin": "https://elsewhere.example"}
        )
        assert abroad.status_code == 403
    page.client.cookies.clear()
    nobody = await page.post(f"{where}/send", {"guard": page.guard()})
    assert nobody.status_code == 401
    back = "http://127.0.0.1:8650/dead?since=all"
    form = await page.post(
        "/dead/redrive", {"guard": page.guard(), "place": "0:0"}, headers={"referer": back}
    )
    assert form.status_code == 401
    assert "Sign in first. Nothing was changed." in form.text
    assert 'name="next" value="/dead?since=all"' in form.text
    abroad = await page.post(
        "/dead/redrive", {"place": "0:0"}, headers={"referer": "https://elsewhere.example/x"}
    )
    assert 'name="next" value="/"' in abroad.text
    assert await sent(kafka, views) == []


async def test_a_redrive_that_is_no_longer_kept_is_said(page: Page) -> None:
    for path in ("/dead/redrive/none", "/dead/redrive/none/state"):
        assert "no longer kept here" in await text_of(page, path)


async def test_a_trail_that_cannot_be_written_lets_nothing_be_sent(
    page: Page, kafka: KafkaSettings, tmp_path: Any
) -> None:
    where = await begun(page, {"place": "0:0"})
    (tmp_path / "trail.jsonl").unlink()
    (tmp_path / "trail.jsonl").mkdir()
    refused = await page.post(f"{where}/send", {"guard": page.guard()})
    assert "changes are refused until then" in refused.text
    assert await sent(kafka, str(kafka.topic_of("view"))) == []
    (tmp_path / "trail.jsonl").rmdir()
    await page.post(f"{where}/send", {"guard": page.guard()})
    assert "Sent 1 event again" in await settled(lambda: text_of(page, f"{where}/state"))


async def test_a_broker_that_is_away_is_said_and_another_may_try_then(make_page: Any, valkey: str) -> None:
    page: Page = make_page(valkey)
    await page.sign_in()
    where = await begun(page, {"since": "all"})
    said = await text_of(page, where)
    assert "They could not be read; nothing was sent." in said
    assert "No Kafka broker answers" in said
    assert (await begun(page, {"since": "1h"})) != where


async def test_one_at_a_time_and_a_stopped_one_sends_nothing(kafka: KafkaSettings, valkey: str) -> None:
    from redis.asyncio import Redis

    redis: Redis = Redis.from_url(valkey)
    work = Redrives(kafka, redis, "nl:", Trail(redis, "nl:", None, 100))
    first = work.look("ann", Filters(), None, "every reason")
    with pytest.raises(Exception, match="ann is at it: every reason"):
        work.look("bob", Filters(), None, "x")
    await work.stop(first)
    assert first.state is State.STOPPED
    assert first.ended is not None
    second = work.look("bob", Filters(), None, "x")
    async with asyncio.timeout(30):
        while second.running:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.02)
    assert second.state is State.ASKING
    await work.close()
    await redis.aclose()
