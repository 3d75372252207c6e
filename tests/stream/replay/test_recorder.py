"""Topics are recorded whole, from a time on, for some shoppers, and on from where a recording was cut short."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import UnsupportedVersionError
from aiokafka.structs import OffsetAndTimestamp
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from redis.asyncio import Redis

from stream.beyond import ALLOWANCE_MS
from stream.gate.rules.book import RuleBook
from stream.gate.rules.in_force import Boundary
from stream.gate.state.checkpoint import CheckpointStore
from stream.replay.capture import Capture, CaptureWriter
from stream.replay.errors import CaptureError
from stream.replay.recorder import Progress, Wanted, record, sampled
from stream.replay.rules_kept import RulesKept
from stream.settings import KafkaSettings
from stream.topics import create_topics
from tests.stream.replay.captures import START

if TYPE_CHECKING:
    from stream.embedded.kafka import KafkaCluster
    from stream.replay.manifest import Manifest

ROOT = Path(__file__).parents[3]
RULES = "version: 1\nrules:\n  - {id: views, when: {types: [view], count: 2, within: 1h}}\n"


async def fill(kafka: KafkaSettings, count: int, first: int = 0) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.brokers)
    await producer.start()
    sent: list[asyncio.Future[Any]] = []
    try:
        for n in range(first, first + count):
            kind = "search" if n % 4 == 0 else "view"
            value = {"event_id": f"e{n}", "user_id": f"u{n % 7}", "type": kind, "ts": START + n * 1000}
            value |= {"query": "tea"} if kind == "search" else {"item_id": "1"}
            sent.append(
                await producer.send(
                    str(kafka.topic_of(kind)),
                    json.dumps(value).encode(),
                    key=f"u{n % 7}".encode(),
                    timestamp_ms=START + n * 1000,
                )
            )
        if not first:
            change = b'{"op": "remove", "item_id": "1"}'
            sent.append(await producer.send(kafka.catalog_topic, change, key=b"1", timestamp_ms=START + 5))
        await asyncio.gather(*sent)
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
@pytest.mark.parametrize("error", [UnsupportedVersionError(), ValueError("no such question")])
def test_a_broker_that_knows_no_offsets_for_a_time_is_scanned_too(
    filled: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def unknown(self: Any, times: dict[Any, int]) -> dict[Any, Any]:
        raise error

    monkeypatch.setattr(AIOKafkaConsumer, "offsets_for_times", unknown)
    found = asyncio.run(record(filled, Wanted(since=START + 50_000), tmp_path / "c"))
    assert found.scanned
    assert ids(Capture(tmp_path / "c")) == list(range(50, 200))


@pytest.mark.real
def test_a_topic_is_left_where_the_time_asked_for_is_over_and_read_to_its_end_where_times_are_in_disorder(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(brokers=kafka.bootstrap, prefix=topic_prefix)
    later = [START + 10_000 + 2 * ALLOWANCE_MS + n for n in range(6_500)]

    async def fill_with(topic: str, times: list[int]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, linger_ms=20)
        await producer.start()
        for n, at in enumerate(times):
            value = json.dumps(
                {"event_id": f"e{n}", "user_id": "u", "type": "view", "item_id": "1", "ts": at}
            )
            await producer.send(topic, value.encode(), key=b"u", partition=0, timestamp_ms=at)
        await producer.stop()

    async def go(until: int, folder: Path, topic: str) -> tuple[int, Manifest]:
        read = 0

        def told(now: Progress) -> None:
            nonlocal read
            read = now.read

        found = await record(settings, Wanted(topics=(topic,), until=until), folder, progress=told)
        return read, found

    create_topics(settings)
    views, clicks = str(settings.topic_of("view")), str(settings.topic_of("click"))
    first = [START + n for n in range(100)]
    asyncio.run(fill_with(views, first + later))
    read, found = asyncio.run(go(START + 10_000, tmp_path / "views", views))
    assert found.records == 100
    assert 1_100 <= read < 6_600
    assert found.notes == []
    asyncio.run(fill_with(clicks, first + later[:10] + [START + 500] + later[10:] + [START + 600]))
    read, found = asyncio.run(go(START + 10_000, tmp_path / "clicks", clicks))
    assert (read, found.records) == (6_602, 102)
    assert found.notes == [f"Times of sending go back by more than an hour on {clicks}-0: read to the end."]


@pytest.mark.real
def test_what_the_broker_has_deleted_of_the_time_asked_for_is_told(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(brokers=kafka.bootstrap, prefix=topic_prefix)
    create_topics(settings)
    asyncio.run(fill(settings, 100))
    views = str(settings.topic_of("view"))
    consumer = KafkaConsumer(bootstrap_servers=settings.brokers)
    ends = consumer.end_offsets([TopicPartition(views, number) for number in range(4)])
    consumer.close()
    admin = KafkaAdminClient(bootstrap_servers=settings.brokers)
    admin.delete_records({tp: 3 for tp, end in ends.items() if end > 3})
    admin.close()
    found = asyncio.run(record(settings, Wanted(since=START - 1000), tmp_path / "c"))
    (note,) = found.notes
    assert note.startswith("The broker has deleted what was sent earlier than 2025-04-30 08:0")
    assert f"{views}-" in note
    assert Capture(tmp_path / "c").manifest.cautions()[1:] == [note]


@pytest.mark.real
def test_progress_tells_what_is_read_and_kept_and_how_many_partitions_are_left(
    filled: KafkaSettings, tmp_path: Path
) -> None:
    told: list[Progress] = []
    asyncio.run(record(filled, Wanted(users=frozenset({"u1"})), tmp_path / "c", progress=told.append))
    assert [now.read for now in told] == sorted(now.read for now in told)
    last = told[-1]
    assert (last.read, last.open) == (201, 0)
    assert last.kept == 1 + len([n for n in range(200) if n % 7 == 1])
    assert last.parts == 4 * (len(filled.event_topics) + 1)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from stream.replay.capture import CaptureWriter
from stream.replay.recorder import Wanted, record
from stream.settings import KafkaSettings

add = CaptureWriter.add

def killed(self, *rest):
    add(self, *rest)
    if sum(part.records for part in self.manifest.parts):
        os.kill(os.getpid(), signal.SIGKILL)
    self.flush()

CaptureWriter.add = killed
asyncio.run(record(KafkaSettings.model_validate_json(sys.argv[1]), Wanted(until=int(sys.argv[3])), Path(sys.argv[2])))
"""


@pytest.mark.real
def test_a_recording_that_was_killed_goes_on_and_holds_every_record_once(
    filled: KafkaSettings, tmp_path: Path
) -> None:
    folder, until = tmp_path / "c", START + 150_000
    argv = [sys.executable, "-c", KILLED, filled.model_dump_json(), str(folder), str(until)]
    killed = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, timeout=240)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not Capture(folder, partial=True).manifest.complete
    found = asyncio.run(record(filled, Wanted(until=until), folder))
    assert found.complete
    assert ids(Capture(folder)) == list(range(151))


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
@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(since=START + 10**9, until=START + 2 * 10**9),
        Wanted(until=START - 1),
        Wanted(topics=("views",), users=frozenset({"nobody"})),
    ],
)
def test_a_range_in_which_nothing_was_sent_is_told_with_the_way_out(
    tansu: str, topic_prefix: str, tmp_path: Path, wanted: Wanted
) -> None:
    kafka = KafkaSettings(brokers=tansu, prefix=topic_prefix)
    create_topics(kafka)
    asyncio.run(fill(kafka, 40))
    topics = tuple(topic_prefix + name for name in wanted.topics) if wanted.topics else None
    with pytest.raises(CaptureError, match="no record was sent from") as told:
        asyncio.run(record(kafka, wanted._replace(topics=topics), tmp_path / "c"))
    assert ("by these shoppers" in str(told.value)) == bool(wanted.users)
    assert "--since" in told.value.way_out
    with pytest.raises(CaptureError, match="not finished"):
        Capture(tmp_path / "c")


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
