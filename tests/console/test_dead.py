"""``nearline dead`` on a real broker: counts, hostile content, and sending again after asking."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from console.main import app
from nearline import NearlineError
from stream.dead import Origin, dead_record
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.real

HOSTILE = '{"user_id": "u1", "query": "[bold]\u001b[2J\u202e\\u001b]0;x"}'.encode()


@pytest.fixture
def kafka(tansu: str, valkey: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A broker and a Valkey that the command is configured for, with three dead records."""
    for name, value in {
        "KAFKA__BROKERS": tansu,
        "KAFKA__PREFIX": topic_prefix,
        "REDIS__URL": valkey,
    }.items():
        monkeypatch.setenv(f"NEARLINE_STREAM__{name}", value)
    monkeypatch.setenv("NEARLINE_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("COLUMNS", "200")
    kafka = KafkaSettings(brokers=tansu, prefix=topic_prefix)
    create_topics(kafka)
    views, searches = str(kafka.topic_of("view")), str(kafka.topic_of("search"))
    records = [
        dead_record(HOSTILE, Origin(searches, 1, 4), "wrong_type", "[red]why\u001b", 1_700_000_000_000),
        dead_record(b'{"user_id": "u2"}', Origin(views, 0, 1), "missing_field", "x", 1_700_000_001_000),
        dead_record(b"x" * 70_000, Origin(views, 0, 2), "too_large", "x", 1_700_000_002_000),
    ]

    async def bury() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=tansu)
        await producer.start()
        try:
            for record in records:
                await producer.send_and_wait(kafka.dead_topic, record, partition=0)
        finally:
            await producer.stop()

    asyncio.run(bury())
    return kafka


@pytest.fixture
def nearline() -> Callable[..., Any]:
    def run(*arguments: str, answer: str = "") -> Any:
        return CliRunner().invoke(app, list(arguments), input=answer)

    return run


def test_list_counts_by_reason_and_topic_and_escapes_what_events_hold(
    kafka: KafkaSettings, nearline: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    found = nearline("dead", "list", "--json")
    data = json.loads(found.stdout)
    assert data["total"] == 3
    assert {(c["reason"], c["records"]) for c in data["counts"]} == {
        ("wrong_type", 1),
        ("missing_field", 1),
        ("too_large", 1),
    }
    assert [one["reason"] for one in data["newest"]] == ["too_large", "missing_field", "wrong_type"]
    assert [one["user"] for one in data["newest"]] == [None, "u2", None]
    from console.verbs.dead import list_dead

    list_dead()
    printed = capfd.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert "[bold]\\x1b[2J\\u202e" in printed


def test_list_takes_filters(kafka: KafkaSettings, nearline: Callable[..., Any]) -> None:
    def total(*arguments: str) -> int:
        return int(json.loads(nearline("dead", "list", "--json", *arguments).stdout)["total"])

    assert total("--reason", "wrong_type") == 1
    assert total("--reason", "wrong_type", "--reason", "too_large") == 2
    assert total("--topic", "views") == 2
    assert total("--topic", f"{kafka.prefix}views") == 2
    assert total("--user", "u2") == 1
    assert total("--since", "2023-11-14T22:13:21") == 2
    assert total("--until", "2023-11-14T22:13:21+00:00") == 1
    assert total("--since", "1h") == 0
    wrong = nearline("dead", "list", "--since", "soon")
    assert isinstance(wrong.exception, NearlineError)
    assert "--since 'soon' is no time" in str(wrong.exception)


def test_show_prints_the_whole_record_without_anything_a_terminal_acts_on(
    kafka: KafkaSettings, nearline: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(nearline("dead", "show", "0:0", "--json").stdout)
    assert data["value"].encode() == HOSTILE
    assert data["refused"] is None
    assert "cut" in json.loads(nearline("dead", "show", "0:2", "--json").stdout)["refused"]
    from console.verbs.dead import show

    show("0:0", as_json=False)
    printed = capfd.readouterr().out
    assert "\x1b[2J" not in printed
    assert "\u202e" not in printed
    assert "[bold]\\x1b[2J\\u202e" in printed
    assert "[red]why\\x1b" in printed
    for place in ("0:99", "9:0", "here"):
        assert isinstance(nearline("dead", "show", place).exception, NearlineError)


def test_redrive_asks_first_sends_once_and_refuses_what_was_cut(
    kafka: KafkaSettings, nearline: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert nearline("dead", "redrive", answer="n\n").exit_code == 1
    said = nearline("dead", "redrive", "--user", "u2", answer="y\n")
    assert "Send 1 events again?" in said.output
    assert said.exit_code == 0
    from console.verbs.dead import redrive

    capfd.readouterr()
    redrive(yes=True)
    printed = capfd.readouterr().out
    assert "1 refused: cut" in printed
    assert "1 were sent before" in printed
    assert "Sent 1 events again." in printed
    redrive(yes=True)
    assert "Nothing to send." in capfd.readouterr().out
    redrive(yes=True, place=["0:1"], again=True)
    assert "Sent 1 events again." in capfd.readouterr().out
