from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.embedded.errors import EmbeddedError, PortInUseError
from stream.embedded.kafka import KafkaCluster, KafkaNode, server_properties
from stream.embedded.kafka_ready import broker_is_ready
from stream.embedded.ports import LOOPBACK, free_ports


def _properties(count: int) -> dict[str, str]:
    nodes = [KafkaNode(i, 9000 + i, 9100 + i) for i in range(1, count + 1)]
    lines = server_properties(nodes[0], nodes, Path("data")).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_one_node_keeps_one_copy_of_everything() -> None:
    properties = _properties(1)
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:9101"
    assert {value for key, value in properties.items() if "replication.factor" in key or "min.is" in key} == {
        "1"
    }


def test_three_nodes_keep_three_copies_and_wait_for_two() -> None:
    properties = _properties(3)
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:9101,2@127.0.0.1:9102,3@127.0.0.1:9103"
    assert {value for key, value in properties.items() if "replication.factor" in key} == {"3"}
    assert {value for key, value in properties.items() if "min.is" in key} == {"2"}


def test_every_listener_is_on_loopback() -> None:
    for listener in _properties(3)["listeners"].split(","):
        assert f"//{LOOPBACK}:" in listener


def test_a_folder_remembers_its_cluster_and_refuses_another_size(tmp_path: Path) -> None:
    first = KafkaCluster(tmp_path, nodes=3)
    again = KafkaCluster(tmp_path, nodes=3)
    assert (again.cluster_id, again.nodes) == (first.cluster_id, first.nodes)
    with pytest.raises(EmbeddedError, match="of 3 nodes; 1 were asked for"):
        KafkaCluster(tmp_path)


def test_two_nodes_and_a_wrong_number_of_ports_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="expected 1 or 3"):
        KafkaCluster(tmp_path, nodes=2)
    with pytest.raises(EmbeddedError, match="2 ports were given for 1"):
        KafkaCluster(tmp_path, ports=[9092, 9093])


def test_a_node_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="no Kafka node 4"):
        KafkaCluster(tmp_path).stop(4)


async def _create(bootstrap: str, topic: str, *, copies: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, copies)])
    finally:
        await admin.close()


async def _send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        values: list[bytes] = []
        deadline = time.monotonic() + 30
        while len(values) < count and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                values.extend(record.value for record in records)
        return values
    finally:
        await consumer.stop()


@pytest.mark.real
async def test_acknowledged_messages_survive_an_orderly_stop_and_a_kill(
    kafka: KafkaCluster, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}kept"
    bootstrap = kafka.bootstrap
    await _create(bootstrap, topic)
    await _send(bootstrap, topic, [b"one"])
    kafka.stop()
    assert not kafka.supervisor.children
    kafka.start()
    assert kafka.bootstrap == bootstrap
    await _send(bootstrap, topic, [b"two"])
    kafka.kill()
    assert not broker_is_ready(kafka.nodes[0].port)
    kafka.start()
    assert await _read(bootstrap, topic, 2) == [b"one", b"two"]


@pytest.mark.real
def test_kafka_listens_on_loopback_only(kafka: KafkaCluster) -> None:
    pid = kafka.supervisor.children["kafka-1"].pid
    listening = [
        c.laddr for c in psutil.Process(pid).net_connections(kind="inet") if c.status == psutil.CONN_LISTEN
    ]
    assert {address.port for address in listening} == {kafka.nodes[0].port, kafka.nodes[0].controller_port}
    # Java listens through IPv6 sockets, where loopback is written as a mapped address.
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {LOOPBACK}


@pytest.mark.real
def test_a_taken_broker_port_is_named_before_anything_starts(kafka: KafkaCluster, tmp_path: Path) -> None:
    second = KafkaCluster(tmp_path, ports=[kafka.nodes[0].port])
    with pytest.raises(PortInUseError, match=str(kafka.nodes[0].port)):
        second.start()
    assert not second.supervisor.children


@pytest.mark.real
def test_another_object_on_the_same_folder_finds_the_ports(kafka: KafkaCluster) -> None:
    note = json.loads((kafka.data_dir / "cluster.json").read_text())
    assert [node["port"] for node in note["nodes"]] == [kafka.nodes[0].port]
    assert free_ports(1)[0] != kafka.nodes[0].port


@pytest.mark.real
@pytest.mark.slow
async def test_three_nodes_go_on_without_one_of_them(
    kafka: KafkaCluster, tmp_path: Path, topic_prefix: str
) -> None:
    # The fixture is asked for its check that java and mvn are there.
    topic = f"{topic_prefix}copies"
    with KafkaCluster(tmp_path, nodes=3) as cluster:
        await _create(cluster.bootstrap, topic, copies=3)
        await _send(cluster.bootstrap, topic, [b"before"])
        cluster.kill(2)
        await _send(cluster.bootstrap, topic, [b"while one is dead"])
        cluster.start(2)
        await _send(cluster.bootstrap, topic, [b"after"])
        assert await _read(cluster.bootstrap, topic, 3) == [b"before", b"while one is dead", b"after"]
