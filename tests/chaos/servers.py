"""Apache Kafka and Valkey for a run, with connections that can be cut, and all that the run leaves there."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Self

import redis
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from stream.embedded.kafka import KafkaCluster, KafkaNode
from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.valkey import valkey_spec, valkey_url

from .proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["Servers"]


class _TwoDoors(KafkaCluster):
    """Nodes with a second listener each, which they announce by the port of the proxy before it."""

    def __init__(self, data_dir: Path, proxies: Sequence[Proxy], supervisor: Supervisor) -> None:
        super().__init__(data_dir, nodes=len(proxies), supervisor=supervisor)
        self._doors = {node.node_id: proxy for node, proxy in zip(self.nodes, proxies, strict=True)}

    def properties_of(self, node: KafkaNode) -> dict[str, str]:
        door, own = self._doors[node.node_id], f"PLAINTEXT://{LOOPBACK}:{node.port}"
        controller = f"CONTROLLER://{LOOPBACK}:{node.controller_port}"
        return {
            "listeners": f"{own},{controller},WORKERS://{LOOPBACK}:{door.target}",
            "advertised.listeners": f"{own},WORKERS://{LOOPBACK}:{door.port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,WORKERS:PLAINTEXT",
        }


class Servers:
    """One broker node or three, Valkey, and the proxies that workers reach them by; they serve many runs.

    With three nodes every topic has three copies, of which two acknowledge (``min.insync.replicas``).

    Valkey syncs every write before it answers (``appendfsync always``). With ``everysec`` it may answer
    before it has handed the write to the system, and kill -9 then takes an acknowledged checkpoint,
    and the epoch that fences, with it.

    Attributes:
        copies: of every topic, as many as there are nodes.
        kafka_proxies: one before each node.
        brokers: the nodes' addresses for who must not be cut off: the player and the checker's reader.
        worker_brokers: their addresses for workers, through ``kafka_proxies``.
        redis_url: Valkey's address for the driver.
        worker_redis_url: its address for workers, through ``redis_proxy``.
    """

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        self._valkey_port, self._redis_port, *doors = free_ports(2 + 2 * nodes)
        self.copies = nodes
        self.supervisor = Supervisor(folder / "logs")
        self.kafka_proxies = [Proxy(*doors[2 * n : 2 * n + 2]) for n in range(nodes)]
        self.redis_proxy = Proxy(self._redis_port, self._valkey_port)
        self.kafka = _TwoDoors(folder / "kafka", self.kafka_proxies, self.supervisor)
        self._valkey = valkey_spec(self._valkey_port, folder / "valkey", append_only=True)
        self.brokers = self.kafka.bootstrap
        self.worker_brokers = ",".join(f"{LOOPBACK}:{proxy.port}" for proxy in self.kafka_proxies)
        self.redis_url = valkey_url(self._valkey_port)
        self.worker_redis_url = valkey_url(self._redis_port)

    def __enter__(self) -> Self:
        self._open = contextlib.ExitStack()
        self._open.enter_context(self.supervisor)
        for proxy in self.kafka_proxies:
            self._open.enter_context(proxy)
        self._open.enter_context(self.redis_proxy)
        try:
            self.supervisor.start(self._valkey)
            self.kafka.start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def kill_valkey(self) -> None:
        """SIGKILL, data stays."""
        self.supervisor.kill(self._valkey.name)

    def start_valkey(self) -> None:
        """Start on the data that is there; return when it answers."""
        self.supervisor.start(self._valkey)

    def cut_clients(self) -> int:
        """Have Valkey close every connection but ours; return how many."""
        with self.redis() as client:
            return int(client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))

    def redis(self) -> redis.Redis:
        """A client of the driver's own."""
        return redis.Redis.from_url(self.redis_url, socket_timeout=10)

    def leaders(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """The node that leads each partition of ``topics``; -1 where none does."""
        return {place: int(found["leader_id"]) for place, found in self._described(topics).items()}

    def whole(self, topics: Sequence[str]) -> bool:
        """Whether every copy of ``topics`` is in sync, so that any one node may be lost."""
        return all(len(found["isr_nodes"]) == self.copies for found in self._described(topics).values())

    def _described(self, topics: Sequence[str]) -> dict[tuple[str, int], dict[str, Any]]:
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.brokers.split(","))) as admin:
            return {
                (topic["name"], partition["partition_index"]): partition
                for topic in admin.describe_topics(list(topics))
                for partition in topic["partitions"]
            }

    def ends(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """Offset after the last record of every partition of ``topics``."""
        with contextlib.closing(self._consumer()) as consumer:
            return {tuple(tp): end for tp, end in consumer.end_offsets(_partitions(consumer, topics)).items()}

    def records(self, topics: Sequence[str], timeout_s: float = 60.0) -> list[Any]:
        """Every record of ``topics``, each partition in its order."""
        with contextlib.closing(self._consumer()) as consumer:
            partitions = _partitions(consumer, topics)
            ends = consumer.end_offsets(partitions)
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            found: list[Any] = []
            deadline = time.monotonic() + timeout_s
            while any(consumer.position(tp) < end for tp, end in ends.items()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the topics were not read within {timeout_s} s: {topics}")
                for batch in consumer.poll(timeout_ms=500).values():
                    found += batch
            return found

    def forget(self, topics: Sequence[str]) -> None:
        """Delete what a run left."""
        admin = KafkaAdminClient(bootstrap_servers=self.brokers.split(","))
        try:
            admin.delete_topics(list(topics))
        finally:
            admin.close()
        with self.redis() as client:
            client.flushdb()

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=self.brokers.split(","), group_id=None, enable_auto_commit=False
        )


def _partitions(consumer: KafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    return [TopicPartition(t, n) for t in topics for n in sorted(consumer.partitions_for_topic(t) or ())]
