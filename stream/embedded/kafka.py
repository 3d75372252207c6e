"""Apache Kafka on loopback: real brokers in KRaft mode, one node or three, from Maven's jars.

Every node is broker and controller at once. What is promised of delivery is tested against this.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import uuid
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from stream.embedded.errors import EmbeddedError
from stream.embedded.kafka_jars import KAFKA_VERSION, java_binary, kafka_jars
from stream.embedded.kafka_ready import broker_is_ready
from stream.embedded.ports import LOOPBACK, free_ports, require_free
from stream.embedded.supervisor import ChildSpec, Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["KafkaCluster", "KafkaNode", "server_properties"]

_READY_TIMEOUT_S = 90.0
_FORMAT_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class KafkaNode:
    """One combined broker and controller: its id and its two ports on loopback."""

    node_id: int
    port: int
    controller_port: int

    @property
    def name(self) -> str:
        """Name of the child that runs the node."""
        return f"kafka-{self.node_id}"


def server_properties(
    node: KafkaNode, nodes: Sequence[KafkaNode], data_dir: Path, more: Mapping[str, str] | None = None
) -> str:
    """Write a node's ``server.properties``; what ``more`` says comes before ours.

    Topics are copied to every node and, with three, acknowledged by two; with one node everything
    is single. Flushing is Kafka's default: written data survives the death of the process.
    """
    copies = len(nodes)
    acknowledging = 2 if copies >= 3 else 1
    settings = {
        "process.roles": "broker,controller",
        "node.id": node.node_id,
        "controller.quorum.voters": ",".join(f"{n.node_id}@{LOOPBACK}:{n.controller_port}" for n in nodes),
        "listeners": f"PLAINTEXT://{LOOPBACK}:{node.port},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{node.port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data_dir.resolve(),
        "default.replication.factor": copies,
        "min.insync.replicas": acknowledging,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": acknowledging,
        # Fifty partitions each by default, of which one machine needs few: they cost start-up time.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": acknowledging,
        "share.coordinator.state.topic.num.partitions": 1,
        # Three seconds by default, so that many members may come at once; here one comes.
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        # Preallocated: 128 MB by default, out of a heap of 512.
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        **(more or {}),
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


class KafkaCluster:
    """One or three Apache Kafka nodes on loopback whose data lives in ``data_dir``.

    Start again on the same ``data_dir`` to find the same data on the same ports, after `stop`, `kill`
    or the death of the supervisor. Usable as a context manager. The first use on a machine fetches
    the jars (see `stream.embedded.kafka_jars`).

    Args:
        data_dir: data, properties and logs of all nodes; created.
        nodes: 1 or 3.
        ports: the brokers' ports, one a node; None: those of the last start on ``data_dir``, else free ones.
        version: of Apache Kafka.
        heap_mb: Java heap of a node, MiB.
        jars: folder of the jars; fetched into the cache when None.
        supervisor: runs the nodes; one of its own when None.

    Attributes:
        properties: of Apache Kafka, for all nodes, before our own; read at each start.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        nodes: int = 1,
        ports: Sequence[int] | None = None,
        version: str = KAFKA_VERSION,
        heap_mb: int = 512,
        jars: Path | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        if nodes not in {1, 3}:
            msg = f"A Kafka cluster of {nodes} nodes is not supported: expected 1 or 3."
            raise EmbeddedError(msg, way_out="Two nodes cannot agree when one is down; take one or three.")
        if ports is not None and len(ports) != nodes:
            msg = f"{len(ports)} ports were given for {nodes} Kafka nodes."
            raise EmbeddedError(msg, way_out="Give one port a node, or none.")
        self.data_dir = data_dir
        self.version = version
        self.heap_mb = heap_mb
        self._jars = jars
        self.properties: dict[str, str] = {}
        self.supervisor = supervisor or Supervisor(data_dir / "logs")
        self.cluster_id, self.nodes = self._identity(nodes, ports)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """Addresses for clients: ``127.0.0.1:PORT``, comma-separated for several nodes."""
        return ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)

    def start(self, *node_ids: int) -> None:
        """Start the nodes with these ids, or all, and return when they answer.

        Raises:
            PartMissingError: java or mvn is missing.
            PortInUseError: one of the ports is taken.
            ChildDiedError: a node ended while starting; its last log lines are in the message.
            ChildNotReadyError: a node does not answer within 90 s.
        """
        chosen = self._chosen(node_ids)
        self.supervisor.start(*self.specs(*(node.node_id for node in chosen)))

    def specs(self, *node_ids: int) -> list[ChildSpec]:
        """Write the properties, format what is new, and describe the children (for `Supervisor.start`)."""
        java = java_binary()
        jars = (self._jars or kafka_jars(self.version)).resolve()
        specs = []
        chosen = self._chosen(node_ids)
        for node in chosen:
            require_free(node.port, purpose="Kafka broker")
            require_free(node.controller_port, purpose="Kafka controller")
            home = self.data_dir / node.name
            home.mkdir(parents=True, exist_ok=True)
            properties = home / "server.properties"
            properties.write_text(
                server_properties(node, self.nodes, home / "data", self.properties_of(node))
            )
            command = [
                *(java, f"-Xmx{self.heap_mb}m", "-XX:+UseSerialGC", "-XX:-UsePerfData"),
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
                *("-cp", f"{jars}/*"),
            ]
            if not (home / "data" / "meta.properties").exists():
                self._format(command, properties)
            # One of three cannot answer before another has come; so each waits only for itself.
            ready = partial(broker_is_ready, node.port, node_id=node.node_id)
            specs.append(
                ChildSpec(
                    node.name,
                    [*command, "kafka.Kafka", str(properties.resolve())],
                    ready=ready,
                    ready_timeout_s=_READY_TIMEOUT_S,
                    stop_grace_s=15,
                )
            )
        return specs

    def properties_of(self, node: KafkaNode) -> Mapping[str, str]:  # noqa: ARG002  # for those who differ by node
        """What a node's file says before our own."""
        return self.properties

    def stop(self, *node_ids: int) -> None:
        """Stop the nodes with these ids, or all, in an orderly way; data stays. Stopped ones stay stopped."""
        if running := self._running(node_ids):
            self.supervisor.stop(*running)

    def kill(self, *node_ids: int) -> None:
        """Kill the nodes with these ids, or all, with SIGKILL; data stays as the crash left it."""
        if running := self._running(node_ids):
            self.supervisor.kill(*running)

    def _chosen(self, node_ids: Sequence[int]) -> list[KafkaNode]:
        unknown = set(node_ids) - {node.node_id for node in self.nodes}
        if unknown:
            msg = f"There is no Kafka node {min(unknown)}; nodes are 1 to {len(self.nodes)}."
            raise EmbeddedError(msg)
        return [node for node in self.nodes if not node_ids or node.node_id in node_ids]

    def _running(self, node_ids: Sequence[int]) -> list[str]:
        return [node.name for node in self._chosen(node_ids) if node.name in self.supervisor.children]

    def _identity(self, count: int, ports: Sequence[int] | None) -> tuple[str, list[KafkaNode]]:
        """Take up the cluster that ``data_dir`` holds, or make a new one, and note it there."""
        note = self.data_dir / "cluster.json"
        if note.exists():
            known = json.loads(note.read_text())
            cluster_id, nodes = str(known["cluster_id"]), [KafkaNode(**node) for node in known["nodes"]]
            if len(nodes) != count:
                msg = f"{self.data_dir} holds a Kafka cluster of {len(nodes)} nodes; {count} were asked for."
                raise EmbeddedError(msg, way_out="Ask for as many, or give another folder.")
            if ports is not None:
                nodes = [
                    KafkaNode(node.node_id, port, node.controller_port)
                    for node, port in zip(nodes, ports, strict=True)
                ]
        else:
            cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            found = free_ports(2 * count)
            brokers = list(ports) if ports is not None else found[:count]
            nodes = [KafkaNode(i + 1, brokers[i], found[count + i]) for i in range(count)]
        self.data_dir.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"cluster_id": cluster_id, "nodes": [asdict(node) for node in nodes]}))
        return cluster_id, nodes

    def _format(self, command: list[str], properties: Path) -> None:
        # What a format that was cut off left behind would make the next one fail.
        shutil.rmtree(properties.parent / "data", ignore_errors=True)
        # With "=", because an id may begin with a dash.
        cluster = f"--cluster-id={self.cluster_id}"
        argv = [*command, "kafka.tools.StorageTool", "format", cluster, "-c", str(properties)]
        done = subprocess.run(  # noqa: S603  # java on our own jars
            argv, capture_output=True, text=True, check=False, timeout=_FORMAT_TIMEOUT_S
        )
        if done.returncode != 0:
            msg = f"Kafka could not format {properties.parent / 'data'}: {(done.stdout + done.stderr).strip()[-600:]}"
            raise EmbeddedError(msg, way_out="Empty that folder, or give another.")
