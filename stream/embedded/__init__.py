"""A real broker and a real Valkey on one machine, started and ended by Nearline itself.

`EmbeddedStack` runs them; `KafkaCluster` runs Apache Kafka; `probe_broker` tells what a broker gets wrong.
"""

from stream.embedded.errors import (
    ChildDiedError,
    ChildNotReadyError,
    EmbeddedError,
    PartMissingError,
    PortInUseError,
    StackRunningError,
)
from stream.embedded.kafka import KafkaCluster
from stream.embedded.probe import Finding, ProbeReport, probe_broker, probe_broker_sync
from stream.embedded.stack import EmbeddedStack, StopReport, status, stop
from stream.embedded.state import StackState
from stream.embedded.supervisor import Child, ChildSpec, Supervisor

__all__ = [
    "Child",
    "ChildDiedError",
    "ChildNotReadyError",
    "ChildSpec",
    "EmbeddedError",
    "EmbeddedStack",
    "Finding",
    "KafkaCluster",
    "PartMissingError",
    "PortInUseError",
    "ProbeReport",
    "StackRunningError",
    "StackState",
    "StopReport",
    "Supervisor",
    "probe_broker",
    "probe_broker_sync",
    "status",
    "stop",
]
