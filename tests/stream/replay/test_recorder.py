"""Topics are recorded whole, from a time on, for some shoppers, and on from where a recording was cut short."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import OffsetAndTimestamp
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from stream.gate.rules.book import RuleBook
from stream.gate.rules.in_force import Boundary
from stream.gate.state.checkpoint import CheckpointStore
from stream.replay.capture import Capture, CaptureWriter
from stream.replay.errors import CaptureError
from stream.replay.recorder import Wanted, record, sampled
from stream.replay.rules_kept import RulesKept
from stream.settings import KafkaSettings
from stream.topics import create_topics
from tests.stream.replay.captures import START

if TYPE_CHECKING:
    from pathlib import Path

    from stream.embedded.kafka import KafkaCluster

RULES = "version: 1\nrules:\n  - {id: views, when: {types: [view], count: 2, within: 1h}}\n"


async def fill(kafka: KafkaSettings, count: int, first: int = 0) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.brokers)
    await producer.start()
    try:
        for n in range(first, first + count):
            kind = "search" if n % 4 == 0 else "view"
            value = {"event_id": f"e{n}", "user_id": f"u{n % 7}", "type": kind, "ts": START + n * 1000}
            value |= {"query": "tea"} if kind == "search" else {"item_id": "1"}
            await producer.send(
                str(kafka.topic_of(kind)),
                json.dumps(value).encode(),
                key=f"u{n % 7}".encode(),
                timestamp_ms=START + n * 1000,
            )
        if not first:
            await producer.send(
                kafka.catalog_topic, b'{"op": "remove", "item_id": "1"}', key=b"1", timestamp_ms=START + 5
            )
        await producer.flush()
    finally:
        await producer.stop()


@pytest.fixture(params=["tansu", "kafka"])
def filled(request: pytest.FixtureRequest, topic_prefix: str) -> KafkaSettings:
    if request.param == "tansu":
        brokers = request.getfixturevalue("tansu")
    else:
        cluster: KafkaCluster = request.getfixturevalue("kafka")
        brokers = cluster.bootstrap
    kafka = KafkaSettings(brokers=brokers, prefix=topic_prefix)
    create_topics(kafka)
    asyncio.run(fill(kafka, 200))
    return kafka


def ids(capture: Capture) -> list[int]:
    """The events in the capture, by the numbers in their ids."""
    return sorted(
        int(json.loads(r.value or b"")["event_id"][1:])
        for parts in capture.parts().values()
        for part in parts
        for batch in capture.read(part)
        for r in batch
    )


@pytest.mark.real
def test_all_or_from_one_time_to_another_is_recorded_without_loss(
    filled: KafkaSettings, tmp_path: Path
) -> None:
    asyncio.run(record(filled, Wanted(), tmp_path / "all"))
    whole = Capture(tmp_path / "all")
    assert ids(whole) == list(range(200))
    assert [part.records for part in whole.catalog_parts() if part.records] == [1]
    assert (whole.manifest.records, whole.manifest.earliest, whole.manifest.latest) == (
        201,
        START,
        START + 199_000,
    )
    asyncio.run(record(filled, Wanted(since=START + 50_000, until=START + 120_000), tmp_path / "some"))
    assert ids(Capture(tmp_path / "some")) == list(range(50, 121))


@pytest.mark.real
def test_chosen_and_sampled_shoppers_are_recorded_with_all_they_did(
    filled: KafkaSettings, tmp_path: Path
) -> None:
    asyncio.run(record(filled, Wanted(users=frozenset({"u1", "u5", "nobody"})), tmp_path / "two"))
    assert ids(Capture(tmp_path / "two")) == [n for n in range(200) if n % 7 in {1, 5}]
    asyncio.run(record(filled, Wanted(sample=0.4), tmp_path / "some"))
    expected = {n % 7 for n in range(7) if sampled(f"u{n}".encode(), 0.4)}
    assert ids(Capture(tmp_path / "some")) == [n for n in range(200) if n % 7 in expected]


@pytest.mark.real
def test_a_broker_whose_offsets_for_a_time_are_wrong_is_scanned_and_the_capture_says_so(
    filled: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wrong(self: Any, times: dict[Any, int]) -> dict[Any, Any]:
        return dict.fromkeys(times, OffsetAndTimestamp(30, START))

    monkeypatch.setattr(AIOKafkaConsumer, "offsets_for_times", wrong)
    found = asyncio.run(record(filled, Wanted(since=START + 50_000), tmp_path / "c"))
    assert found.scanned
    assert ids(Capture(tmp_path / "c")) == list(range(50, 200))


@pytest.mark.real
def test_an_interrupted_recording_goes_on_and_ends_as_if_it_had_not_been(
    filled: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "c"
    add = CaptureWriter.add

    def interrupted(self: CaptureWriter, topic: str, *rest: Any) -> None:
        add(self, topic, *rest)
        self.flush()
        raise KeyboardInterrupt

    monkeypatch.setattr(CaptureWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(record(filled, Wanted(), folder))
    monkeypatch.undo()
    first = Capture(folder, partial=True)
    assert not first.manifest.complete
    assert 0 < first.manifest.records < 201
    with pytest.raises(CaptureError, match="another recording: other sample"):
        asyncio.run(record(filled, Wanted(sample=0.5), folder))
    asyncio.run(fill(filled, 20, first=200))  # sent after the moment of asking, with times long ago
    asyncio.run(record(filled, Wanted(), folder))
    assert set(ids(Capture(folder))) >= set(range(200))
    with pytest.raises(CaptureError, match="finished recording"):
        asyncio.run(record(filled, Wanted(), folder))


@pytest.mark.real
def test_versions_of_the_rules_and_their_boundaries_go_along(
    filled: KafkaSettings, tmp_path: Path, valkey: str
) -> None:
    async def go() -> None:
        redis = Redis.from_url(valkey)
        book, store = RuleBook(redis, "nl:"), CheckpointStore(redis, "nl:")
        version = await book.set(RULES, base=0, author="a", note="n", now=1)
        boundary = Boundary(0, 1, version.digest, {"views": 3}, 5)
        await redis.hset(store.boundaries_key(2), "0", json.dumps({
            "generation": 0, "version": 1, "digest": version.digest, "offsets": {"views": 3}, "at": 5}))  # fmt: skip
        found = await record(filled, Wanted(), tmp_path / "c", redis=(redis, "nl:"))
        await redis.aclose()
        kept = RulesKept.load(tmp_path / "c", found.rules)
        assert kept.versions == [version]
        assert kept.texts == {version.digest: RULES}
        assert kept.boundaries == {"2": [boundary]}

    asyncio.run(go())
    (tmp_path / "c" / "rules.json").write_bytes(b"{}")
    with pytest.raises(CaptureError, match=r"rules\.json is not what was recorded"):
        RulesKept.load(tmp_path / "c", Capture(tmp_path / "c").manifest.rules)


@pytest.mark.real
def test_topics_that_do_not_exist_are_told(tansu: str, tmp_path: Path) -> None:
    kafka = KafkaSettings(brokers=tansu, prefix="nowhere-")
    with pytest.raises(CaptureError, match="exists at"):
        asyncio.run(record(kafka, Wanted(), tmp_path / "c"))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(topics=("vews",)), "vews: no event topic"),
        (Wanted(since=2, until=1), "later than"),
        (Wanted(sample=0.0), "a share above 0"),
    ],
)
def test_what_cannot_be_recorded_is_said_before_a_broker_is_asked(
    wanted: Wanted, said: str, tmp_path: Path
) -> None:
    with pytest.raises(CaptureError, match=said):
        asyncio.run(record(KafkaSettings(brokers="127.0.0.1:1"), wanted, tmp_path / "c"))


@given(st.binary(min_size=1), st.floats(0.001, 0.5))
def test_a_larger_sample_contains_the_smaller_one(user: bytes, share: float) -> None:
    if sampled(user, share):
        assert sampled(user, share * 2)
    assert sampled(user, 1.0)
