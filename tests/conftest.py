"""Real servers shared by a whole test session: each starts when a test first asks for it.

``tansu``   bootstrap address of a Tansu broker; give topics unique names (``topic_prefix``).
``valkey``  URL of a Valkey, emptied before each test that asks for it.
``kafka``   a running `KafkaCluster` of one Apache Kafka node; its ``bootstrap`` is the address. Give topics
            unique names. A test that kills or stops it must start it again.

Where java or mvn is missing, tests of Apache Kafka are skipped; under CI=true they fail.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import hypothesis
import pytest
import redis

from stream.embedded.errors import PartMissingError
from stream.embedded.kafka import KafkaCluster
from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.tansu import tansu_spec
from stream.embedded.valkey import valkey_spec, valkey_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does, before anything loads OpenMP

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("nearline", deadline=None)
hypothesis.settings.load_profile("nearline")

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


def missing_part(what: str) -> None:
    """Fail under CI, where every part must be there; skip on a machine that lacks one."""
    if IN_CI:
        pytest.fail(f"CI must have it: {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def server_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def tansu(server_dir: Path) -> Iterator[str]:
    port = free_ports(1)[0]
    with Supervisor(server_dir / "tansu-logs") as supervisor:
        supervisor.start(tansu_spec(port))
        yield f"{LOOPBACK}:{port}"
        supervisor.check()


@pytest.fixture(scope="session")
def valkey_server(server_dir: Path) -> Iterator[str]:
    port = free_ports(1)[0]
    with Supervisor(server_dir / "valkey-logs") as supervisor:
        supervisor.start(valkey_spec(port, server_dir / "valkey"))
        yield valkey_url(port)
        supervisor.check()


@pytest.fixture
def valkey(valkey_server: str) -> str:
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def kafka(server_dir: Path) -> Iterator[KafkaCluster]:
    cluster = KafkaCluster(server_dir / "kafka")
    try:
        cluster.start()
    except PartMissingError as error:
        missing_part(str(error))
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test's topics, groups or keys have."""
    return f"t{uuid.uuid4().hex[:10]}."
