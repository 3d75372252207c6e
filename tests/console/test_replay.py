"""``nearline record``, ``replay``, ``replay diff`` and ``cassette`` from a topic to a difference."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from console.main import app
from nearline import NearlineError
from stream.player import Player
from stream.replay.calls import Call, Mode, Model
from stream.replay.cassette import Cassette
from stream.replay.errors import CallMissingError
from stream.settings import KafkaSettings
from stream.topics import create_topics
from tests.stream.replay import shop
from tests.stream.replay.captures import write_capture

if TYPE_CHECKING:
    from pathlib import Path

RULES = "version: 1\nrules:\n  - {id: views, when: {types: [view], count: %d, within: 12h}}\n"


def nearline(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def good(*arguments: object) -> Any:
    found = nearline(*arguments)
    assert found.exit_code == 0, found.exception
    return json.loads(found.stdout) if "--json" in arguments else found.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEARLINE_INDEX__CATALOG", str(tmp_path / "no-catalog"))
    monkeypatch.setenv("NEARLINE_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("NEARLINE_STREAM__REDIS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__BROKERS", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(RULES % 2)
    (tmp_path / "three.yaml").write_text(RULES % 3)
    return tmp_path


def test_two_rule_files_are_tried_on_a_capture_and_compared(folder: Path) -> None:
    write_capture(folder / "week", shop.history(300))
    for rules in ("two", "three"):
        run = good("replay", "week", "--rules", f"{rules}.yaml", "--name", rules, "--only-triggers", "--json")
        assert run["triggers"] > 0
    found = good("replay", "diff", "two", "three", "--json")
    assert found["rules"][0]["lost"] + found["rules"][0]["gained"] > 0
    assert found["sides"][0]["name"] == "two"
    assert "Triggers" in good("replay", "diff", "two", ".nearline/runs/three")
    again = good("replay", "week", "--rules", "two.yaml", "--name", "again", "--only-triggers")
    assert "300 events" in again
    assert "byte for byte" in good("replay", "diff", "two", "again")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "nowhere"], "holds no capture"),
        (["replay", "week", "--rules", "nowhere.yaml"], "cannot be read"),
        (["replay", "week"], "no-catalog"),
        (["replay", "week", "--mode", "strict"], "needs a cassette"),
        (["replay", "week", "--model", "m", "--no-model"], "contradict"),
        (["replay", "week", "--speed", "fast"], "--speed"),
        (["replay", "week", "--only-triggers", "--users", "nobody"], "no event to replay"),
        (["replay", "diff", "a", "b"], "holds no run"),
        (["record", "--out", "new", "--since", "1h", "--last", "1h"], "say the same"),
        (["record", "--out", "new", "--since", "yesterday"], "no time"),
        (["record", "--out", "new", "--topics", "vews", "--no-rules"], "no event topic"),
        (["record", "--out", "new", "--no-rules"], "No Kafka broker answers"),
        (["record", "--out", "new"], "No Redis answers"),
        (["cassette", "list", "nowhere"], "There is no cassette"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(folder: Path, arguments: list[str], said: str) -> None:
    write_capture(folder / "week", shop.history(20))
    found = nearline(*arguments)
    assert isinstance(found.exception, NearlineError), found.output
    assert said in str(found.exception)
    assert found.exception.way_out
    assert not (folder / ".nearline" / "runs" / "week").exists()


def test_a_cassette_is_listed_shown_and_compacted(folder: Path) -> None:
    calls = [
        Call(Model("llm", "local", name, f"sha256:{name}"), "p-1", {"seed": 1}, "views: tea") for name in "ab"
    ]
    with Cassette(folder / "c", Mode.RECORD) as cassette:
        cassette.put([(call, b'{"generation":null}') for call in calls])
        cassette.put([(Call(Model("embedding", "local", "e", "sha256:e"), "", {}, "tea"), b"\0\0\x80?")])
    assert [one["calls"] for one in good("cassette", "list", "c", "--json")] == [1, 1, 1]
    assert "sha256:a" in good("cassette", "list", "c")
    (shown,) = good("cassette", "show", "c", calls[0].key.hex()[:12], "--json")
    assert (shown["input"], shown["prompt"], shown["parameters"]) == ("views: tea", "p-1", {"seed": 1})
    assert "answer: [1.0]" in good("cassette", "show", "c")
    assert "1 calls forgotten" in good("cassette", "compact", "c", "--drop", "sha256:a")
    assert "no call whose address" in str(nearline("cassette", "show", "c", calls[0].key.hex()).exception)


@pytest.mark.real
def test_a_topic_is_recorded_and_replayed_to_the_same_slates_with_the_real_models(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tansu: str, valkey: str, topic_prefix: str
) -> None:
    from index import build_catalog
    from index.encoders.local import SentenceTransformerEncoder

    shop.build(folder)  # for its items
    build_catalog(folder / "items.jsonl", folder / "real", SentenceTransformerEncoder())
    kafka = KafkaSettings(brokers=tansu, prefix=topic_prefix)
    create_topics(kafka)

    async def play() -> None:
        async with Player(kafka) as player:
            await player.play(shop.history(60))

    asyncio.run(play())
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__BROKERS", tansu)
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__PREFIX", topic_prefix)
    monkeypatch.setenv("NEARLINE_STREAM__REDIS__URL", valkey)
    manifest = good("record", "--out", "week", "--last", "1h", "--json")
    assert (manifest["records"], manifest["complete"]) == (60, True)
    assert manifest["rules"]["file"] == "rules.json"
    common = ("replay", "week", "--rules", "two.yaml", "--index", "real", "--cassette", "c", "--json")
    first = good(*common, "--name", "first", "--mode", "record")
    assert first["rungs"]["llm"] > 0
    assert first["model_calls"] == first["triggers"]
    second = good(*common, "--name", "second", "--mode", "strict")
    third = good(*common, "--name", "third", "--mode", "strict")
    assert first["hashes"] == second["hashes"] == third["hashes"]
    assert (second["model_calls"], second["texts_encoded"], second["misses"]) == (0, 0, 0)
    missing = nearline(
        *common, "--name", "other", "--mode", "strict", "--users", "u1", "--rules", "three.yaml"
    )
    assert isinstance(missing.exception, CallMissingError)
    assert "llm call of local" in str(missing.exception)
    code = good(
        "replay", "week", "--rules", "two.yaml", "--index", "real", "--no-model", "--name", "code", "--json"
    )
    assert set(code["rungs"]) <= {"preference", "popular"}
    told = good("replay", "diff", "first", "code", "--json")
    assert told["same"]["triggers"]
    assert not told["same"]["demands"]
