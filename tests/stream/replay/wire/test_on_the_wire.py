"""What real workers make of a capture is what a replay in place makes of it, whatever happens to them meanwhile."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from kafka.admin import KafkaAdminClient
from redis import Redis

from stream.replay.calls import Mode
from stream.replay.errors import CallMissingError
from stream.replay.replaying import Setup, Wish, replay
from stream.replay.run import rows_of
from stream.replay.wire.on_the_wire import OnTheWire
from stream.replay.wire.publisher import Publisher
from tests.stream.replay import shop
from tests.stream.replay.wire.shop import ROOT, RULES, WIRE, capture_of, record_cassette, setup_of

if TYPE_CHECKING:
    from pathlib import Path

    from stream.embedded.kafka import KafkaCluster
    from stream.replay.in_place import Progress

pytestmark = pytest.mark.real


class Scene(NamedTuple):
    folder: Path
    setup: Setup
    wish: Wish


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, kafka: KafkaCluster, valkey_server: str) -> Scene:
    folder = tmp_path_factory.mktemp("wire")
    shop.build(folder)
    setup = setup_of(folder, kafka.bootstrap, valkey_server)
    capture_of(folder / "capture")
    with pytest.MonkeyPatch.context() as patch:
        cassette = record_cassette(setup, folder / "capture", folder, patch)
    return Scene(
        folder,
        setup,
        Wish(folder / "capture", folder / "run", cassette=cassette, mode=Mode.STRICT, chains=True),
    )


def left(scene: Scene) -> tuple[list[str], list[bytes]]:
    """Topics and keys of replays that are still there."""
    admin = KafkaAdminClient(bootstrap_servers=scene.setup.stream.kafka.brokers)
    topics = [name for name in admin.list_topics() if name.startswith("replay-")]
    admin.close()
    with Redis.from_url(scene.setup.stream.redis.url.get_secret_value()) as redis:
        return topics, list(redis.scan_iter("nlreplay:*"))


def test_a_replay_through_three_workers_one_of_them_killed_is_the_one_in_place_byte_for_byte(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, setup, wish = scene
    first = asyncio.run(replay(setup, dataclasses.replace(wish, run=folder / "first")))
    second = asyncio.run(replay(setup, dataclasses.replace(wish, run=folder / "second")))
    assert first.hashes == second.hashes
    assert first.triggers > 40
    assert {"llm"} <= first.rungs.keys()

    on_the_wire = OnTheWire(setup, dataclasses.replace(wish, run=folder / "wire", speed=1e6), WIRE)
    killed: list[Progress] = []
    gone = asyncio.Event()
    flush = Publisher._flush

    async def held_at_half(self: Publisher, held: dict[Any, Any]) -> None:
        """In the middle the events wait until a worker was killed, however slow the machine is."""
        await flush(self, held)
        if sum(sum(topics.values()) for topics in self._sent.values()) >= first.events // 2:
            await gone.wait()

    def kill_one(now: Progress) -> None:
        if not killed and now.triggers >= 5 and on_the_wire.workers is not None:
            killed.append(now)
            os.killpg(on_the_wire.workers.pids["worker-2"], signal.SIGKILL)
            gone.set()

    monkeypatch.setattr(Publisher, "_flush", held_at_half)
    third = asyncio.run(on_the_wire.run(kill_one))
    assert killed[0].triggers < first.triggers
    assert third.told.notes == ["Workers that were killed and started again: 1."]
    assert third.hashes == first.hashes
    assert (third.events, third.accounting, third.rungs) == (first.events, first.accounting, first.rungs)
    assert third.misses == 0
    assert third.hits > 0
    for table, columns in (
        ("triggers", ("place", "partition", "trigger")),
        ("demands", ("place", "rung", "prompt", "output", "demands", "rejected", "note", "model")),
        ("slates", ("place", "slate", "categories", "unseen", "new", "chain")),
        ("items", ("item", "title", "category")),
    ):
        assert list(rows_of(folder / "wire", table, columns)) == list(
            rows_of(folder / "first", table, columns)
        )
    acts = ("user", "ts", "type", "item")
    assert sorted(rows_of(folder / "wire", "acts", acts)) == sorted(rows_of(folder / "first", "acts", acts))
    assert left(scene) == ([], [])
    assert not (folder / ".wire.wire").exists()


def test_what_a_strict_cassette_lacks_ends_the_replay_and_is_shown(scene: Scene) -> None:
    one = dataclasses.replace(WIRE, workers=1)
    setup = scene.setup
    agents = setup.agents.model_copy(update={"temperature": setup.agents.temperature + 0.1})
    wish = dataclasses.replace(scene.wish, run=scene.folder / "missing")
    with pytest.raises(CallMissingError, match="does not have a call: llm call of server next") as told:
        asyncio.run(OnTheWire(Setup(setup.stream, agents, setup.index), wish, one).run())
    assert "--mode replay" in told.value.way_out
    assert not wish.run.exists()
    assert left(scene) == ([], [])


def interrupted(scene: Scene, rules: Path, number: signal.Signals) -> int:
    """The exit code of a replay by the command that is sent a signal while its worker starts."""
    folder, stream = scene.folder, scene.setup.stream
    settings = {
        "NEARLINE_STREAM__KAFKA__BROKERS": stream.kafka.brokers,
        "NEARLINE_STREAM__KAFKA__PREFIX": stream.kafka.prefix,
        "NEARLINE_STREAM__REDIS__URL": stream.redis.url.get_secret_value(),
        "NEARLINE_STREAM__REDIS__PREFIX": stream.redis.prefix,
        "NEARLINE_INDEX__CATALOG": str(scene.setup.index.catalog),
        "NEARLINE_CONFIG": "",
        "NEARLINE_RUN": str(folder / "nothing-runs"),
    }
    words = f"replay {scene.wish.capture} --wire --workers 1 --only-triggers --name few --runs {folder} --rules {rules}"
    command = [sys.executable, "-m", "console", *words.split()]
    log = folder / ".few.wire" / "logs" / "worker-1.log"
    log.unlink(missing_ok=True)
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stderr=subprocess.PIPE)
    while not log.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate()
    return process.returncode


def test_an_interrupted_replay_leaves_nothing_and_what_a_killed_one_left_is_removed_by_the_next(
    scene: Scene,
) -> None:
    folder, setup, wish = scene
    rules = folder / "rules.yaml"
    rules.write_text(RULES % ("two", 2))
    wish = dataclasses.replace(
        wish, rules=rules, users=frozenset({"u1", "u5", "nobody"}), slates=False, run=folder / "few"
    )
    expected = asyncio.run(replay(setup, dataclasses.replace(wish, run=folder / "few-in-place")))
    assert interrupted(scene, rules, signal.SIGINT) == 130
    assert left(scene) == ([], [])
    assert interrupted(scene, rules, signal.SIGKILL) == -signal.SIGKILL
    topics, _ = left(scene)
    assert len(topics) > 9

    run = asyncio.run(OnTheWire(setup, wish, dataclasses.replace(WIRE, workers=1)).run())
    assert run.hashes == expected.hashes
    assert (run.triggers, run.accounting, run.told.rules) == (
        expected.triggers,
        expected.accounting,
        expected.told.rules,
    )
    assert run.triggers > 10
    assert run.told.notes == expected.told.notes == ["There is no event of nobody."]
    assert left(scene) == ([], [])
