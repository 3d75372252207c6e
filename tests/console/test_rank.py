from __future__ import annotations

import asyncio
import gzip
import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from console.errors import ConsoleError
from console.verbs import rank
from index.errors import CatalogError
from index.ranking.live import LIVE_FEATURES
from index.ranking.live_ranker import LIVE_RANKER, LiveRanker
from index.ranking.training import Learnt
from stream.datasets import DatasetError
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400_000


def write(path: Path, users: int) -> Path:
    random = Random(7)
    lines = [
        {
            "event_id": f"{user}-{day}-{place}",
            "user_id": f"u{user}",
            "type": "order",
            "ts": day * DAY,
            "item_id": f"i{random.randrange(60) + user % 2 * 60}",
        }
        for user in range(users)
        for day in range(user % 9, 150, 9)
        for place in range(3)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def run(*arguments: str, verb: str = "train") -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(rank.app, [verb, *arguments])
    return result.output, result.exception


def test_train_saves_a_ranking_that_opens_with_figures_of_the_last_month(tmp_path: Path) -> None:
    events = write(tmp_path / "events.jsonl", 50)
    output, error = run("--events", str(events), "--out", str(tmp_path / "ranking"))
    assert error is None, output
    learnt = Learnt.open(tmp_path / "ranking")
    assert learnt.manifest["shoppers"] == 50
    assert learnt.manifest["held_out"]["novel"]["shoppers"] > 0
    assert "NDCG@20" in output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no valid event of the type order"),
        ('{"event_id": "1", "user_id": "u", "type": "view", "ts": 1}\n', "no valid event of the type order"),
    ],
)
def test_a_file_without_orders_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(content, encoding="utf-8")
    _, error = run("--events", str(events), "--out", str(tmp_path / "ranking"))
    assert isinstance(error, CatalogError)
    assert message in str(error)
    assert not (tmp_path / "ranking").exists()


def test_too_few_shoppers_and_a_file_that_is_not_there_are_errors(tmp_path: Path) -> None:
    _, error = run("--events", str(write(tmp_path / "events.jsonl", 4)), "--out", str(tmp_path / "ranking"))
    assert isinstance(error, CatalogError)
    assert "Only 4 of 4 shoppers" in str(error)
    _, error = run("--events", str(tmp_path / "none.jsonl"))
    assert isinstance(error, ConsoleError)
    assert "There is no file" in str(error)


def slates_and_events(count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    random = Random(3)
    slates, events = [], []
    for n in range(count):
        shown = [[random.random() for _ in LIVE_FEATURES] for _ in range(12)]
        best = max(range(12), key=lambda place: shown[place][1])
        slates.append(
            {
                "user": f"u{n}",
                "version": 1,
                "made_at": n * DAY,
                "outcome": "served",
                "features": list(LIVE_FEATURES),
                "candidates": [{"item": f"i{place}", "features": row} for place, row in enumerate(shown)],
            }
        )
        event = {
            "event_id": f"e{n}",
            "user_id": f"u{n}",
            "type": "order",
            "ts": n * DAY + 1,
            "item_id": f"i{best}",
        }
        events.append(event)
    return slates, events


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_recorded_slates_and_what_followed_make_the_live_ranker(tmp_path: Path) -> None:
    slates, events = slates_and_events(80)
    output, error = run(
        "--slates", str(lines(tmp_path / "slates.jsonl.gz", slates)),
        "--events", str(lines(tmp_path / "events.jsonl", events)),
        "--out", str(tmp_path / "ranking"),
    )  # fmt: skip
    assert error is None, output
    ranker = LiveRanker.load(tmp_path / "ranking" / LIVE_RANKER)
    assert ranker.manifest["slates"] == 80
    assert ranker.manifest["files"] == {"slates": "slates.jsonl.gz", "events": "events.jsonl"}
    assert "80 slates with a response, of 80" in output


def test_slates_nobody_answered_are_too_few(tmp_path: Path) -> None:
    slates, _ = slates_and_events(80)
    _, error = run(
        "--slates", str(lines(tmp_path / "slates.jsonl", slates)),
        "--events", str(lines(tmp_path / "events.jsonl", [])),
        "--out", str(tmp_path / "ranking"),
    )  # fmt: skip
    assert isinstance(error, CatalogError)
    assert "Only 0 slates have a response" in str(error)
    assert not (tmp_path / "ranking").exists()


@pytest.mark.real
def test_the_topic_of_slates_is_written_to_a_file_that_trains(
    tansu: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__BROKERS", tansu)
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__PREFIX", topic_prefix)
    monkeypatch.setenv("NEARLINE_RUN", str(tmp_path / "run"))
    kafka = KafkaSettings(brokers=tansu, prefix=topic_prefix)
    create_topics(kafka)
    slates, events = slates_and_events(60)

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=tansu)
        await producer.start()
        try:
            for slate in slates:
                await producer.send_and_wait(kafka.slates_topic, json.dumps(slate).encode())
        finally:
            await producer.stop()

    asyncio.run(send())
    output, error = run(str(tmp_path / "slates.jsonl.gz"), verb="export")
    assert error is None, output
    assert "60 records" in output
    output, error = run(
        "--slates", str(tmp_path / "slates.jsonl.gz"),
        "--events", str(lines(tmp_path / "events.jsonl", events)),
        "--out", str(tmp_path / "ranking"),
    )  # fmt: skip
    assert error is None, output
    assert isinstance(run(str(tmp_path / "slates.txt"), verb="export")[1], DatasetError)
