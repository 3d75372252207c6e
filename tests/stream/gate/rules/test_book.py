"""The book of rules in a real Valkey: versions, compare-and-set, and how a worker follows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stream.errors import CheckpointError, RulesConflictError, RulesError
from stream.gate.rules.book import RuleBook
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.in_force import begin
from stream.gate.rules.live import LiveRules
from stream.gate.rules.ruleset import DEFAULT_RULES, parse_rules

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.real


def text(count: int) -> str:
    return f"# why {count}\nrules:\n  - id: a\n    when: {{types: [view], count: {count}, within: 5m}}\n"


@pytest.fixture
def book(redis: Redis) -> RuleBook:
    return RuleBook(redis, "nl:")


async def test_versions_are_kept_with_author_time_note_and_text(book: RuleBook) -> None:
    assert await book.current() is None
    assert (await book.number(), await book.history()) == (0, [])
    first = await book.set(text(2), base=0, author="ann", note="begin", now=7)
    second = await book.set(text(3), base=1, author=" bob ", note="more", now=8)
    assert (first.number, first.author, first.at, first.note, first.base) == (1, "ann", 7, "begin", 0)
    assert (second.number, second.author, second.base, second.text) == (2, "bob", 1, text(3))
    assert second.digest == parse_rules(text(3), "x").digest
    assert await book.current() == second
    assert await book.version(1) == first
    assert await book.history() == [second, first]
    with pytest.raises(RulesError, match="no version 3"):
        await book.version(3)


async def test_who_began_from_an_earlier_version_is_told_about_the_first(book: RuleBook) -> None:
    first = await book.set(text(2), base=0, author="ann", note="fewer views", now=1_700_000_000_000)
    with pytest.raises(RulesConflictError) as caught:
        await book.set(text(3), base=0, author="bob", note="more", now=8)
    assert caught.value.current == first
    said = str(caught.value)
    assert 'version 1 is in force: by ann, 2023-11-14 22:13:20 UTC, "fewer views"' in said
    assert "--base 1" in said
    assert await book.current() == first
    assert (await book.set(text(3), base=1, author="bob", note="more", now=8)).number == 2
    with pytest.raises(RulesConflictError, match="You began from version 7"):
        await book.set(text(3), base=7, author="bob", note="more", now=8)


async def test_of_many_who_write_at_once_exactly_one_succeeds(book: RuleBook) -> None:
    results = await asyncio.gather(
        *(book.set(text(n + 1), base=0, author=f"a{n}", note="n", now=n) for n in range(20)),
        return_exceptions=True,
    )
    written = [result for result in results if not isinstance(result, BaseException)]
    assert len(written) == 1
    assert all(isinstance(r, RulesConflictError) for r in results if isinstance(r, BaseException))
    assert await book.history() == written


async def test_an_answer_that_was_lost_and_asked_for_again_is_no_conflict(
    book: RuleBook, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = redis.eval

    async def twice(*args: object) -> object:
        await evaluate(*args)  # type: ignore[arg-type]
        return await evaluate(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(redis, "eval", twice)
    assert (await book.set(text(2), base=0, author="ann", note="n", now=7)).number == 1
    assert await book.number() == 1


@pytest.mark.parametrize(
    ("rules", "author", "note", "said"),
    [
        ("rules: 7\n", "ann", "why", "the rules, line 1"),
        (text(2), " ", "why", "author"),
        (text(2), "ann", "", "note"),
        (text(2), "ann", "two\nlines", "note"),
        (text(2), "ann", "x" * 501, "note"),
        (text(2) + "#" * 1_000_001, "ann", "why", "1000000"),
    ],
)
async def test_what_is_wrong_is_not_written(
    book: RuleBook, rules: str, author: str, note: str, said: str
) -> None:
    with pytest.raises(RulesError, match=said):
        await book.set(rules, base=0, author=author, note=note, now=7)
    assert await book.history() == []


def test_the_keys_of_the_book_share_a_slot(book: RuleBook) -> None:
    from redis.cluster import key_slot

    assert len({key_slot(key.encode()) for key in book.keys}) == 1


async def test_a_worker_follows_the_book_and_its_file_counts_while_it_is_empty(book: RuleBook) -> None:
    live = LiveRules(book, DEFAULT_RULES.read_text(), "default")
    await live.start()
    assert (live.newest, live.newest.number) == (live.seed, 0)
    assert not await live.refresh()
    version = await book.set(text(2), base=0, author="ann", note="n", now=7)
    assert await live.refresh()
    assert live.newest.version == f"1:{version.digest}"
    assert not await live.refresh()
    assert (await live.of(begin(live.newest))) is live.newest


async def test_rules_of_a_checkpoint_are_found_by_whoever_comes_after(book: RuleBook) -> None:
    await LiveRules(book, text(9), "file").start()
    await book.set(text(2), base=0, author="ann", note="n", now=7)
    other = LiveRules(book, text(5), "another file")
    await other.start()
    for count, number in ((9, 0), (2, 1)):
        rules = parse_rules(text(count), "x")
        found = await other.of(begin(CompiledRules(rules, number)))
        assert (found.digest, found.number) == (rules.digest, number)
    with pytest.raises(CheckpointError, match="book"):
        await other.of(begin(CompiledRules(parse_rules(text(77), "x"))))


async def test_a_version_that_a_worker_cannot_read_is_refused_and_the_rules_stay(
    book: RuleBook, redis: Redis
) -> None:
    live = LiveRules(book, text(9), "file")
    await book.set(text(2), base=0, author="ann", note="n", now=7)
    await live.start()
    in_force = live.newest
    version = await book.set(text(3), base=1, author="ann", note="n", now=7)
    damaged = (
        f'{{"number":2,"author":"a","at":1,"note":"","digest":"{version.digest}","base":1,"text":"rules: 8"}}'
    )
    await redis.hset(book.keys[1], "2", damaged)
    assert not await live.refresh()
    assert live.refused is not None
    assert live.refused[0] == 2
    assert live.newest is in_force
    await book.set(text(4), base=2, author="ann", note="n", now=7)
    assert await live.refresh()
    assert (live.newest.number, live.refused) == (3, None)


async def test_a_book_that_lost_its_versions_changes_nothing_while_a_worker_runs(
    book: RuleBook, redis: Redis
) -> None:
    await book.set(text(2), base=0, author="ann", note="n", now=7)
    live = LiveRules(book, text(9), "file")
    await live.start()
    await redis.delete(*book.keys)
    assert not await live.refresh()
    assert live.newest.number == 1
    assert live.refused == (0, "the book of rules has lost its versions; those in force stay")
