"""Tells whether a Kafka broker on loopback answers its API."""

from __future__ import annotations

import logging

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stream.embedded.ports import LOOPBACK, answers

__all__ = ["broker_is_ready"]


def broker_is_ready(port: int, *, node_id: int | None = None, brokers: int = 1) -> bool:
    """Ask the broker on ``127.0.0.1:port`` for its cluster.

    Args:
        port: the broker's port.
        node_id: this id must be among the members; None: any will do.
        brokers: at least so many members must be known.

    Returns:
        True once the broker answers so; False while it does not, whatever the reason.
    """
    if not answers(port):
        return False
    # The client warns at length about a broker that is still starting, which is what is asked here.
    client_log = logging.getLogger("kafka")
    level = client_log.level
    client_log.setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(bootstrap_servers=f"{LOOPBACK}:{port}", request_timeout_ms=2_000)
        try:
            members = {int(broker["broker_id"]) for broker in admin.describe_cluster()["brokers"]}
        finally:
            admin.close()
    except (KafkaError, OSError):
        return False
    finally:
        client_log.setLevel(level)
    return len(members) >= brokers and (node_id is None or node_id in members)
