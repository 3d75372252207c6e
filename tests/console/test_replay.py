"""``nearline record``, ``replay``, ``replay diff`` and ``cassette`` from a topic to a difference."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from console.main import app
from console.settings import load_settings
from console.verbs import record
from nearline import NearlineError
from stream.player import Player
from stream.replay.calls import Call, Mode, Model
from stream.replay.cassette import Cassette
from stream.replay.errors import CallMissingError, OtherModelError
from stream.replay.manifest import Asked
from stream.settings import KafkaSettings
from stream.topics import create_topics
from tests.stream.replay import shop
from tests.stream.replay.captures import manifest_of, write_capture

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
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
    assert "Triggers" in good("replay", "diff", "two", ".nearline/runs/three", "--html", "page.html")
    assert "</html>" in (folder / "page.html").read_text()
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
        (["replay", "week", "--keep"], "are for a replay on the wire"),
        (["replay", "week", "--topic-prefix", "mine."], "are for a replay on the wire"),
        (["replay", "week", "--wire", "--topic-prefix", ""], "production's own names: topics ''"),
        (["replay", "week", "--wire", "--redis-prefix", "nl:"], "production's own names: keys 'nl:'"),
        (["replay", "week", "--wire"], "No Redis answers"),
        (["worker", "--replay", "nowhere.json"], "not the plan of a replay"),
        (["replay", "diff", "a", "b", "--horizon", "soon"], "--horizon"),
        (["replay", "diff", "a", "b", "--html", "none/page.html"], "folder does not exist"),
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


def cut_short(capture: Path) -> None:
    path = capture / "views" / "0-0000.parquet"
    path.write_bytes(path.read_bytes()[:-9])


def altered(capture: Path) -> None:
    path = capture / "orders" / "1-0000.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])


def of_another_version(capture: Path) -> None:
    path = capture / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 7'))


def unfinished(capture: Path) -> None:
    path = capture / "manifest.json"
    path.write_text(path.read_text().replace('"complete": true', '"complete": false'))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_short, r"views/0-0000\.parquet is not what was recorded: \d+ bytes of"),
        (altered, r"orders/1-0000\.parquet is not what was recorded: its hash is another"),
        (of_another_version, "schema version 7, and this program reads version 1"),
        (unfinished, "was not finished"),
    ],
)
def test_a_capture_that_is_not_as_recorded_is_refused_by_name_and_leaves_no_run(
    folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    write_capture(folder / "week", shop.history(300))
    damage(folder / "week")
    found = nearline("replay", "week", "--rules", "two.yaml", "--only-triggers")
    assert isinstance(found.exception, NearlineError), found.output
    assert re.search(said, str(found.exception))
    assert found.exception.way_out
    assert list((folder / ".nearline").glob("runs/*")) == []


def test_a_cassette_of_another_model_is_refused_and_both_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_capture(folder / "week", shop.history(60))
    shop.build(folder)
    monkeypatch.setenv("NEARLINE_AGENTS__RUNTIME", "server")
    monkeypatch.setenv("NEARLINE_AGENTS__SERVER__MODEL", "ours")
    with Cassette(folder / "c", Mode.RECORD) as cassette:
        model = Model("llm", "server", "theirs", "name:theirs")
        cassette.put([(Call(model, "p-1", {}, "views: tea"), b'{"generation":null}')])
    for mode in ("replay", "strict"):
        found = nearline(
            "replay", "week", "--rules", "two.yaml", "--index", "catalog", "--cassette", "c", "--mode", mode
        )
        assert isinstance(found.exception, OtherModelError)
        assert "theirs" in str(found.exception)
        assert "ours" in str(found.exception)
        assert "record" in found.exception.way_out


@pytest.mark.real
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_replay_leaves_no_run_and_the_next_starts_over(
    folder: Path, number: signal.Signals, code: int
) -> None:
    write_capture(folder / "week", shop.history(300))
    command = [sys.executable, "-m", "console", *["replay", "week", "--rules", "two.yaml", "--only-triggers"]]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, "--speed", "600x"], env=env, stderr=subprocess.PIPE)
    aside = folder / ".nearline" / "runs" / ".week.partial"
    while not (aside / "acts.parquet").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    time.sleep(0.2)  # into the replay, whose pace takes half a minute
    process.send_signal(number)
    process.communicate()
    assert process.returncode == code
    assert not (folder / ".nearline" / "runs" / "week").exists()
    assert aside.exists() == (number is signal.SIGKILL)
    assert good(*command[3:], "--json")["events"] == 300
    assert not aside.exists()


def test_the_last_hour_is_the_same_hour_when_a_recording_goes_on(folder: Path) -> None:
    settings = load_settings()
    now = time.time() * 1000
    first = record._wanted(settings, folder / "c", "views", ("1h", None), "u1, u2", 0.5, "--last")
    assert first.since is not None
    assert now - 3_600_000 - 1 <= first.since <= time.time() * 1000 - 3_600_000
    assert (first.topics, first.users, first.sample) == (("views",), frozenset({"u1", "u2"}), 0.5)
    manifest = manifest_of()
    manifest.asked = Asked(["views"], first.since - 5_000, first.since + 1, ["u1", "u2"], 0.5)
    manifest.save(folder)
    again = record._wanted(settings, folder, "views", ("1h", "2m"), "u2,u1", 0.5, "--last")
    assert (again.since, again.until) == (first.since - 5_000, first.since + 1)


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
