"""A gate worker as a process, with a broker and a Redis that ask for more than an address."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer

from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import ChildSpec, Supervisor
from stream.kafka_clients import client_options
from stream.player import Player
from stream.topics import create_topics
from stream.triggers import decode_trigger

from .conftest import PASSWORD

if TYPE_CHECKING:
    from stream.settings import KafkaSettings, RedisSettings

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
START = 1_700_000_000_000
SHOPPERS = 40


def views() -> list[dict[str, Any]]:
    """Five views of each shopper, which the default rules take for a reason."""
    return [
        {
            "event_id": f"{user}-{number}", "user_id": f"user-{user}", "type": "view", "scene": "detail",
            "item_id": f"item-{number}", "ts": START + 1000 * number,
        }
        for number in range(5)
        for user in range(SHOPPERS)
    ]  # fmt: skip


def environment(about: dict[str, dict[str, Any]], secrets: Path) -> dict[str, str]:
    """Settings as variables; what is secret as files."""
    secrets.mkdir()
    found = {"NEARLINE_CONFIG": "", "NEARLINE_SECRETS": str(secrets)}
    for room, fields in about.items():
        for name, value in fields.items():
            if name in {"url", "password", "sasl_password"}:
                (secrets / f"stream__{room}__{name}").write_text(value.get_secret_value())
            else:
                text = json.dumps(value) if isinstance(value, list) else str(value)
                found[f"NEARLINE_STREAM__{room.upper()}__{name.upper()}"] = text
    return found


def stats(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/stats", timeout=2) as answer:
            return dict(json.load(answer).get("gate", {}))
    except (urllib.error.URLError, OSError, ValueError):
        return {}


@pytest.mark.parametrize("topology", ["tls_redis", "redis_cluster"])
def test_a_worker_makes_triggers_and_checkpoints_and_logs_no_secret(
    secured_kafka: KafkaSettings, topology: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    redis: RedisSettings = request.getfixturevalue(topology)
    kafka = secured_kafka.model_copy(update={"prefix": f"s{uuid.uuid4().hex[:8]}."})
    create_topics(kafka)
    port = free_ports(1)[0]
    changed = {
        "kafka": kafka.model_dump(exclude_defaults=True),
        "redis": redis.model_dump(exclude_defaults=True),
    }
    changed["redis"]["prefix"] = f"nl:{kafka.prefix}"
    env = {
        **environment(changed, tmp_path / "secrets"),
        "NEARLINE_STREAM__WEB__PORT": str(port),
        "NEARLINE_INDEX__CATALOG": str(tmp_path / "no-catalog"),
        "NEARLINE_RUN": str(tmp_path / "run"),
    }
    argv = [sys.executable, "-m", "console", "worker", "--roles", "gate"]
    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start(ChildSpec("worker", argv, env=env, cwd=ROOT, stop_grace_s=30))
        asyncio.run(played(kafka))
        deadline = time.monotonic() + 90
        while stats(port).get("accounting", {}).get("received") != 5 * SHOPPERS:
            supervisor.check()
            assert time.monotonic() < deadline, stats(port)
            time.sleep(0.1)
        supervisor.stop("worker")
        log = (tmp_path / "logs" / "worker.log").read_text()
    consumer = KafkaConsumer(
        kafka.triggers_topic, **client_options(kafka), auto_offset_reset="earliest", consumer_timeout_ms=3000
    )
    fired = {decode_trigger(record.value).user for record in consumer}
    consumer.close()
    assert fired == {f"user-{number}" for number in range(SHOPPERS)}
    assert PASSWORD not in log
    assert "Traceback" not in log


async def played(kafka: KafkaSettings) -> None:
    async with Player(kafka) as player:
        await player.play(views())


def test_doctor_tells_how_it_is_connected_and_no_secret(
    secured_kafka: KafkaSettings, tls_redis: RedisSettings, tmp_path: Path
) -> None:
    changed = {
        "kafka": secured_kafka.model_dump(exclude_defaults=True),
        "redis": tls_redis.model_dump(exclude_defaults=True),
    }
    env = {**os.environ, **environment(changed, tmp_path / "secrets"), "NEARLINE_RUN": str(tmp_path / "run")}
    argv = [sys.executable, "-m", "console", "doctor"]
    done = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert secured_kafka.brokers in told
    assert "rediss://" in told
    assert PASSWORD not in told
    assert "Traceback" not in told
