"""Real servers that ask for TLS, users and more; each starts when a test first asks for it."""

from __future__ import annotations

import shutil
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
import redis
from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion

from stream.embedded.errors import PartMissingError
from stream.embedded.kafka import KafkaCluster
from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import ChildSpec, Supervisor
from stream.settings import KafkaSettings, RedisSettings

from .certificates import Certificates, make_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Of the servers below only.
PASSWORD = "tests-only-s3cret"
WORKER_RIGHTS = "+@all -@admin -@dangerous +info"


class Sentinels(NamedTuple):
    """How to reach the servers; the one that leads at first is the child ``leader``."""

    settings: RedisSettings
    supervisor: Supervisor


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def redis_server() -> str:
    found = shutil.which("redis-server")
    if found is None:
        pytest.fail("No redis-server on this machine (Debian: apt-get install redis-server).")
    return found


def _answers(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex((LOOPBACK, port)) == 0


def redis_spec(name: str, binary: str, port: int, folder: Path, *options: str) -> ChildSpec:
    """A Redis with these options; ``--port`` is among them where it is not to be ``port``."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = [binary, "--bind", LOOPBACK, "--dir", str(folder), "--save", "", "--daemonize", "no"]
    argv += ["--port", str(port)] if "--port" not in options else []
    return ChildSpec(
        name, [*argv, *options], ready=lambda: _answers(port), ready_timeout_s=30, stop_grace_s=5
    )


@pytest.fixture(scope="session")
def tls_redis(
    redis_server: str, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisSettings]:
    """TLS, a certificate asked of the client too, the default user off and a user for workers."""
    folder, port = tmp_path_factory.mktemp("tls-redis"), free_ports(1)[0]
    rights = folder / "users.acl"
    rights.write_text(f"user default off\nuser worker on >{PASSWORD} ~nl:* &* {WORKER_RIGHTS}\n")
    options = [
        *("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "yes"),
        *("--tls-cert-file", str(certificates.certificate), "--tls-key-file", str(certificates.key)),
        *("--tls-ca-cert-file", str(certificates.authority), "--aclfile", str(rights)),
        *("--appendonly", "yes", "--appendfsync", "always"),
    ]
    with Supervisor(folder / "logs") as supervisor:
        supervisor.start(redis_spec("tls-redis", redis_server, port, folder / "data", *options))
        yield RedisSettings.model_validate(
            {
                "url": f"rediss://{LOOPBACK}:{port}/0",
                "username": "worker",
                "password": PASSWORD,
                "tls_cafile": certificates.authority,
                "tls_certfile": certificates.certificate,
                "tls_keyfile": certificates.key,
            }
        )


@pytest.fixture(scope="session")
def redis_cluster(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisSettings]:
    """Three masters on this machine."""
    folder = tmp_path_factory.mktemp("cluster")
    found = free_ports(6)
    ports, buses = found[:3], found[3:]
    with Supervisor(folder / "logs") as supervisor:
        for port, bus in zip(ports, buses, strict=True):
            options = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                str(bus),
                "--cluster-node-timeout",
                "5000",
            ]
            supervisor.start(redis_spec(f"node-{port}", redis_server, port, folder / str(port), *options))
        first = redis.Redis(port=ports[0])
        share = 16384 // 3
        for number, port in enumerate(ports):
            last = 16383 if number == 2 else (number + 1) * share - 1
            with redis.Redis(port=port) as node:
                node.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            if number:
                first.execute_command("CLUSTER", "MEET", LOOPBACK, port, buses[number])  # type: ignore[no-untyped-call]
        first.close()
        deadline = time.monotonic() + 60
        while not all(_agreed(port) for port in ports):
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.1)
        yield RedisSettings.model_validate(
            {
                "url": f"redis://{LOOPBACK}:{ports[0]}",
                "topology": "cluster",
                "nodes": [f"{LOOPBACK}:{port}" for port in ports[1:]],
            }
        )


def _agreed(port: int) -> bool:
    with redis.Redis(port=port) as node:
        info = str(node.execute_command("CLUSTER", "INFO"))
    return "cluster_state:ok" in info and "cluster_known_nodes:3" in info


@pytest.fixture(scope="session")
def secured_kafka(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaSettings]:
    """Apache Kafka that takes SCRAM-SHA-512 and PLAIN over TLS."""
    cluster = KafkaCluster(tmp_path_factory.mktemp("secured-kafka"))
    node, port = cluster.nodes[0], free_ports(1)[0]
    login = "org.apache.kafka.common.security"
    cluster.properties = {
        "listeners": f"PLAINTEXT://{LOOPBACK}:{node.port},SASL_SSL://{LOOPBACK}:{port},"
        f"CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{node.port},SASL_SSL://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{login}.plain.PlainLoginModule required user_plain="{PASSWORD}";',
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.authority),
    }
    try:
        cluster.start()
    except PartMissingError as error:
        pytest.fail(f"the tests of secured connections need it: {error}")
    try:
        _add_scram_user(cluster.bootstrap)
        yield KafkaSettings.model_validate(
            {
                "brokers": f"{LOOPBACK}:{port}",
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_username": "scram",
                "sasl_password": PASSWORD,
                "ssl_cafile": certificates.authority,
            }
        )
    finally:
        cluster.stop()


def _add_scram_user(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        told = admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion("scram", "SCRAM-SHA-512", PASSWORD)]
        )
    finally:
        admin.close()
    assert told == {"scram": None}, told


@pytest.fixture
def sentinels(redis_server: str, tmp_path: Path) -> Iterator[Sentinels]:
    """One server that leads, one that follows, and three sentinels that agree by two."""
    servers, ports = free_ports(2), free_ports(3)
    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start(
            redis_spec(
                "leader", redis_server, servers[0], tmp_path / "leader", "--repl-diskless-sync-delay", "0"
            )
        )
        follow = ["--replicaof", f"{LOOPBACK} {servers[0]}"]
        supervisor.start(redis_spec("follower", redis_server, servers[1], tmp_path / "follower", *follow))
        for port in ports:
            home = tmp_path / f"sentinel-{port}"
            home.mkdir()
            (home / "sentinel.conf").write_text(
                f"port {port}\nbind {LOOPBACK}\ndir {home}\n"
                f"sentinel monitor shop {LOOPBACK} {servers[0]} 2\n"
                "sentinel down-after-milliseconds shop 2000\nsentinel failover-timeout shop 20000\n"
            )
            argv = [redis_server, str(home / "sentinel.conf"), "--sentinel"]
            supervisor.start(ChildSpec(f"sentinel-{port}", argv, ready=lambda port=port: _answers(port)))  # type: ignore[misc]
        deadline = time.monotonic() + 60
        while not all(_sees_all(port) for port in ports):
            assert time.monotonic() < deadline, "the sentinels did not find one another"
            time.sleep(0.1)
        settings = RedisSettings.model_validate(
            {
                "url": f"redis://{LOOPBACK}:{ports[0]}/0",
                "topology": "sentinel",
                "nodes": [f"{LOOPBACK}:{port}" for port in ports[1:]],
                "sentinel_service": "shop",
                "timeout_s": 2,
            }
        )
        yield Sentinels(settings, supervisor)


def _sees_all(port: int) -> bool:
    with redis.Redis(port=port) as one:
        leader, followers = one.sentinel_master("shop"), one.sentinel_slaves("shop")
    following = [state["master-link-status"] == "ok" for state in followers]
    return following == [True] and int(leader["num-other-sentinels"]) == 2
