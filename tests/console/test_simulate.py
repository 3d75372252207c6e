"""``nearline rules simulate`` over a file: report, comparison, plot, firings, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from console.main import app
from nearline import NearlineError
from stream.gate.rules.book import RuleBook
from stream.player import Player
from stream.settings import KafkaSettings
from stream.topics import create_topics

if TYPE_CHECKING:
    from pathlib import Path

RULES = "version: 1\nrules:\n  - {id: views, when: {types: [view], count: %d, within: 1h}}\n"
START = 1_746_000_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEARLINE_INDEX__CATALOG", str(tmp_path / "no-catalog"))
    monkeypatch.setenv("NEARLINE_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("NEARLINE_STREAM__REDIS__URL", "redis://127.0.0.1:1/0")
    (tmp_path / "new.yaml").write_text(RULES % 2)
    (tmp_path / "old.yaml").write_text(RULES % 3)
    events = [
        {"event_id": f"e{n}", "user_id": f"u{n % 2}", "type": "view", "ts": START + n * 1000, "item_id": "1"}
        for n in range(12)
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    return tmp_path


def simulate(folder: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["rules", "simulate", str(folder / "new.yaml"), *arguments])


def test_the_report_is_json_with_change_and_cost(folder: Path) -> None:
    found = simulate(
        folder, "--from", str(folder / "events.jsonl"), "--against", str(folder / "old.yaml"), "--json",
        "--seconds-per-call", "2", "--together", "0", "--plot", str(folder / "p.png"),
        "--triggers", str(folder / "t.jsonl"),
    )  # fmt: skip
    assert found.exit_code == 0, found.exception
    report = json.loads(found.stdout)
    assert report["accounting"]["applied"] == 12
    assert report["per_rule"][0]["firings"] == 6
    whole = report["changes"][0]
    assert (whole["rule"], whole["before"], whole["after"]) == ("*", 4, 6)
    assert report["cost"]["rates"]["seconds_per_call"] == 2
    assert "given" in report["cost"]["rates"]["source"]
    assert any("no catalogue" in note for note in report["notes"])
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    firings = [json.loads(line) for line in (folder / "t.jsonl").read_text().splitlines()]
    assert [(f["rule"], f["user"], f["event_id"]) for f in firings[:2]] == [
        ("views", "u0", "e2"),
        ("views", "u1", "e3"),
    ]


def test_the_tables_name_rules_change_and_what_is_assumed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from console.verbs.simulate import simulate as verb

    verb(folder / "new.yaml", source=str(folder / "events.jsonl"), against=str(folder / "old.yaml"))
    printed = capfd.readouterr().out
    for expected in (
        "12 events of 2 shoppers",
        "Firings",
        "Against",
        "Cost",
        "calls of the model",
        "bench/u2q_local.py",
    ):
        assert expected in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Where do the events come from"),
        (["--from", "x.jsonl", "--since", "1h"], "Where do the events come from"),
        (["--since", "yesterday"], "no duration"),
        (["--since", "1h", "--events", "5"], "--events goes with --from"),
        (["--from", "nowhere.jsonl"], "no such file"),
        (["--from", "nowhere"], "no dataset named"),
        (["--from", "events.jsonl", "--against", "current"], "No Redis answers"),
        (["--from", "events.jsonl", "--against", "nowhere.yaml"], "nowhere.yaml"),
        (["--from", "events.jsonl", "--plot", "a.doc"], "not a kind of picture"),
        (["--from", "events.jsonl", "--triggers", "events.jsonl/a.jsonl"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(folder)
    found = simulate(folder, *arguments)
    assert isinstance(found.exception, NearlineError)
    assert said in str(found.exception)
    assert found.exception.way_out


@pytest.mark.real
def test_the_brokers_events_are_held_against_the_rules_in_force(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tansu: str, valkey: str, topic_prefix: str
) -> None:
    kafka = KafkaSettings(brokers=tansu, prefix=topic_prefix)
    create_topics(kafka)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]

    async def prepare() -> None:
        async with Player(kafka) as player:
            await player.play(events)
        redis = Redis.from_url(valkey)
        book = RuleBook(redis, "nl:")
        await book.set((folder / "old.yaml").read_text(), base=0, author="tester", note="three", now=1)
        await redis.aclose()

    asyncio.run(prepare())
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__BROKERS", tansu)
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__PREFIX", topic_prefix)
    monkeypatch.setenv("NEARLINE_STREAM__REDIS__URL", valkey)
    for since in ("1h", "all"):
        found = simulate(folder, "--since", since, "--against", "current", "--json")
        assert found.exit_code == 0, found.exception
        report = json.loads(found.stdout)
        whole = report["changes"][0]
        assert (report["accounting"]["applied"], whole["before"], whole["after"]) == (12, 4, 6)
