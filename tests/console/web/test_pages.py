"""The pages over a real Valkey: rules applied and taken back, two operators at once, shoppers and slates."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from redis.asyncio import Redis

from stream.events import EventDecoder
from stream.gate.rules.book import RuleBook
from stream.gate.state.activity import Activity
from stream.gate.state.checkpoint import CheckpointStore
from stream.gate.state.recent import fingerprint
from stream.slates import Slate, SlateCandidate, Trace
from tests.console.web.shop import HOSTILE_USER, MARKUP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.console.web.conftest import Page

pytestmark = pytest.mark.real


def text(count: int, rest: str = "") -> str:
    return f"rules:\n  - id: a\n    when: {{types: [view], count: {count}, within: 5m}}\n{rest}"


@pytest.fixture
async def page(make_page: Any, valkey: str) -> Page:
    found: Page = make_page(valkey)
    await found.sign_in()
    return found


@pytest.fixture
async def store(valkey: str) -> AsyncIterator[Redis]:
    redis = Redis.from_url(valkey)
    yield redis
    await redis.aclose()


async def apply(page: Page, content: str, base: int, note: str = "because", **more: str) -> Any:
    form = {"guard": page.guard(), "text": content, "base": str(base), "note": note, **more}
    return await page.post("/rules/apply", form)


async def test_rules_are_applied_shown_and_taken_back_and_it_is_on_record(
    page: Page, store: Redis, tmp_path: Path
) -> None:
    assert "The book of rules is empty" in (await page.get("/rules")).text
    done = await apply(page, text(3).replace("\n", "\r\n"), 0)
    assert (done.status_code, done.headers["location"]) == (303, "/rules?applied=1")
    assert "Version 1 is in force." in (await page.get("/rules?applied=1")).text
    version = await RuleBook(store, "nl:").current()
    assert version is not None
    assert (version.number, version.author, version.note, version.text) == (1, "ann", "because", text(3))
    await apply(page, text(2, "    share: 0.05\n"), 1, "a canary")
    shown = (await page.get("/rules")).text
    assert "canary: on for 5.00% of shoppers" in shown
    assert "2 or more view within 5m" in shown
    one = (await page.get("/rules/versions/2")).text
    assert "-    when: {types: [view], count: 3, within: 5m}" in one
    back = await page.post(
        "/rules/rollback", {"guard": page.guard(), "number": "1", "base": "2", "note": "too many"}
    )
    assert back.headers["location"] == "/rules?applied=3"
    version = await RuleBook(store, "nl:").current()
    assert version is not None
    assert (version.text, version.note) == (text(3), "back to version 1: too many")
    trail = (await page.get("/trail")).text
    for words in ("signed in", "rules applied", "version 2", "a canary", "rules rolled back"):
        assert words in trail
    lines = [json.loads(line) for line in (tmp_path / "trail.jsonl").read_text().splitlines()]
    assert [(line["who"], line["what"]) for line in lines] == [
        ("ann", "signed in"), ("ann", "rules applied"), ("ann", "rules applied"), ("ann", "rules rolled back"),
    ]  # fmt: skip


async def test_without_a_record_nothing_is_changed(page: Page, store: Redis, tmp_path: Path) -> None:
    (tmp_path / "trail.jsonl").unlink()
    (tmp_path / "trail.jsonl").mkdir()
    refused = await apply(page, text(3), 0)
    assert refused.status_code == 422
    assert "changes are refused until then" in refused.text
    assert await RuleBook(store, "nl:").current() is None


async def test_of_two_operators_at_once_the_second_sees_both_texts_and_goes_on_from_there(
    page: Page, make_page: Any, valkey: str
) -> None:
    other: Page = make_page(valkey)
    await other.sign_in("bob")
    theirs = await other.post(
        "/rules/apply", {"guard": other.guard("bob"), "text": text(9), "base": "0", "note": "calmer"}
    )
    assert theirs.status_code == 303
    refused = await apply(page, text(2), 0)
    assert refused.status_code == 409
    for words in (
        "Somebody else was quicker",
        "bob",
        "calmer",
        "count: 9",
        "count: 2",
        'name="base" value="1"',
    ):
        assert words in refused.text
    assert "rules not applied" in (await page.get("/trail")).text
    assert (await apply(page, text(2), 1)).status_code == 303
    late = await page.post(
        "/rules/rollback", {"guard": page.guard(), "number": "1", "base": "1", "note": "x"}
    )
    assert late.status_code == 409


async def test_what_is_wrong_with_a_draft_is_said_as_one_types_and_nothing_is_applied(
    page: Page, store: Redis
) -> None:
    async def check(content: str) -> str:
        return (await page.post("/rules/check", {"guard": page.guard(), "text": content, "base": "0"})).text

    assert "Good." in await check(text(3))
    wrong = await check(text(3).replace("view", "glance"))
    assert 'data-line="3"' in wrong
    assert "unknown event type" in wrong
    assert "not YAML" in await check("rules: [")
    assert "&lt;script&gt;" in await check("'<script>': 1\n" + text(3))
    assert "fires on every event" in await check(text(1))
    assert "Good." not in await check("")
    refused = await apply(page, "rules: [", 0)
    assert refused.status_code == 422
    assert "nothing was changed" in refused.text
    no_note = await apply(page, text(3), 0, note=" ")
    assert "Say why" in no_note.text
    warned = await apply(page, text(1), 0)
    assert warned.status_code == 422
    assert "in spite of warnings" in warned.text
    assert await RuleBook(store, "nl:").current() is None
    assert (await apply(page, text(1), 0, anyway="yes")).status_code == 303


async def test_the_editor_says_when_somebody_else_has_applied_meanwhile(page: Page, store: Redis) -> None:
    await RuleBook(store, "nl:").set(text(4), base=0, author="bob", note="<i>mine</i>", now=1)
    said = (await page.post("/rules/check", {"guard": page.guard(), "text": text(3), "base": "0"})).text
    assert "has put version 1 in force" in said
    assert "&lt;i&gt;mine&lt;/i&gt;" in said


async def test_a_version_that_is_none_is_said(page: Page) -> None:
    found = await page.get("/rules/versions/7")
    assert found.status_code == 422
    assert "no version 7" in found.text
    assert (await page.get("/rules/versions/0")).status_code == 200


async def test_a_viewer_may_check_and_gets_no_button_to_apply(make_page: Any, valkey: str) -> None:
    page: Page = make_page(valkey)
    await page.sign_in("vic")
    editor = (await page.get("/rules/edit")).text
    assert "Apply as a new version" not in editor
    assert "You are a viewer" in editor
    checked = await page.post("/rules/check", {"guard": page.guard("vic"), "text": text(3), "base": "0"})
    assert "Good." in checked.text


async def test_a_shopper_who_does_not_exist_is_said_and_an_id_that_is_too_long_too(page: Page) -> None:
    found = await page.get("/shopper", params={"user": "nobody<b>"})
    assert found.status_code == 404
    assert "Nothing is known of “<bdi>nobody&lt;b&gt;</bdi>”" in found.text
    assert "too long" in (await page.get("/shopper", params={"user": "x" * 300})).text
    spaced = await page.get("/shopper", params={"user": " u1 "})
    assert spaced.headers["location"] == "/shopper?user=u1"


def activity(user: str, fired: bool) -> Activity:
    found = Activity()
    decoder = EventDecoder(event_type="search")
    now = int(time.time() * 1000)
    event = decoder.decode(
        json.dumps(
            {"event_id": "e1", "user_id": user, "type": "search", "ts": now, "query": MARKUP}
        ).encode(),
        now,
    )
    found.remember(event, 0, fingerprint("e1"), 24)
    found.enter(now, MARKUP[:40], 1250, 2, 53)
    if fired:
        found.seq, found.last_fired, found.fired = 1, now, {"a": [1, now]}
    return found


async def test_a_slate_that_expired_is_told_from_one_that_never_was(page: Page, store: Redis) -> None:
    keys = CheckpointStore(store, "nl:")
    await store.set(keys.state_key(1, "old"), activity("old", fired=True).encode())
    await store.set(keys.state_key(0, "new"), activity("new", fired=False).encode())
    old = (await page.get("/shopper?user=old")).text
    assert "The slate has expired, or is on its way." in old
    assert "No rule has fired for this shopper yet." in (await page.get("/shopper?user=new")).text


async def test_a_hostile_shopper_is_shown_as_text_from_events_to_items(page: Page, store: Redis) -> None:
    keys = CheckpointStore(store, "nl:")
    await store.set(keys.state_key(70, HOSTILE_USER), activity(HOSTILE_USER, fired=True).encode())
    await store.set(keys.offsets_key(70), b"x")  # more partitions than are configured
    slate = Slate(1, 1, "ab", HOSTILE_USER, int(time.time() * 1000), "llm",
                  [SlateCandidate("i\u202e<", 0.5, MARKUP, MARKUP, "dense")])  # fmt: skip
    trace = Trace(
        1, 1, "ab", HOSTILE_USER, slate.made_at, "served", "llm",
        {"rule": "a", "rules": "r", "event_id": MARKUP, "ts": 1, "made_at": slate.made_at},
        [{"event_id": "e1", "type": "view", "ts": 1, "text": MARKUP, "category": MARKUP}],
        {"version": "p", "text": f"line\n{MARKUP}", "model": MARKUP, "runtime": "r", "prompt_tokens": 1, "output_tokens": 2},
        f"{MARKUP}\u202e",
        [{"query": MARKUP, "kind": "k", "confidence": 0.5, "evidence": ["e1"], "weight": {}}],
        [{"query": MARKUP, "reason": MARKUP}],
        [{"item": "i\u202e<", "title": MARKUP, "ranks": {MARKUP: 1}, "parts": {"dense": 0.6, "likeness": -0.1}}],
        {"queue": 1.0}, MARKUP,
    )  # fmt: skip
    await store.set(f"nl:slate:{HOSTILE_USER}", msgspec.json.encode(slate))
    await store.set(f"nl:trace:{HOSTILE_USER}", msgspec.json.encode(trace))
    found = await page.get("/shopper", params={"user": HOSTILE_USER})
    assert found.status_code == 200
    assert "<img" not in found.text
    assert "\u202e" not in found.text
    assert found.text.count("&lt;img src=x") > 8
    assert "dense 0.6000" in found.text
    assert "\N{MINUS SIGN} likeness 0.1000" in found.text
    some = (await page.get("/shopper/some")).text
    assert "&lt;b onclick" in some
    shown = (await page.get("/discovery")).text
    assert "From a sample of 1 slates" in shown
    assert "i\\u202e&lt;" in shown


async def test_a_slate_whose_chain_expired_is_still_shown(page: Page, store: Redis) -> None:
    slate = Slate(1, 2, "ab", "u", 1, "popular", [SlateCandidate("i1", 0.5, "", "popular", "popular")])
    await store.set("nl:slate:u", msgspec.json.encode(slate))
    found = (await page.get("/shopper?user=u")).text
    assert "The chain of this slate has expired." in found
    assert "The gate keeps no state of this shopper." in found


async def test_pages_are_whole_while_nothing_runs_and_nothing_is_known(page: Page) -> None:
    expected = {
        "/": "The last hour is drawn once",
        "/rules": "No partition has a checkpoint yet",
        "/discovery": "There is no slate yet.",
        "/shopper/some": "No slate in Redis was found",
        "/trail": "signed in",
    }
    for path, words in expected.items():
        found = await page.get(path)
        assert found.status_code == 200, path
        assert words in found.text, path
    await page.app.state.console.watch.look(time.time() * 1000)
    now = (await page.get("/now/live")).text
    assert "No worker with the role gate runs." in now
    assert "No worker has been heard of" in now
