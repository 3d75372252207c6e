"""Topics on the broker: which there are, their creation, and the check that they fit together.

A shopper's events must meet in one partition number on every event topic, so all event topics have
the same number of partitions and are keyed by user with Kafka's murmur2 partitioner, which
kafka-python, aiokafka and the Java client share (librdkafka needs `partitioner=murmur2_random`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from stream.errors import BrokerUnavailableError, TopicMismatchError
from stream.kafka_clients import broker_unavailable, client_options

if TYPE_CHECKING:
    from stream.settings import KafkaSettings

__all__ = ["create_topics", "partition_counts"]

_VISIBLE_S = 15.0
_LOOK_AGAIN_S = 0.1
_BOOTSTRAP_MS = 5_000


def create_topics(kafka: KafkaSettings) -> list[str]:
    """Create what is missing of the event, catalog, trigger, slate and dead topics; return what was created.

    Raises:
        BrokerUnavailableError: no broker answers at the configured address.
        TopicMismatchError: event topics that exist differ in their number of partitions.
    """
    try:
        admin = KafkaAdminClient(
            **client_options(kafka), request_timeout_ms=15_000, bootstrap_timeout_ms=_BOOTSTRAP_MS
        )
    except KafkaError as error:
        raise broker_unavailable(kafka, error) from error
    created: list[str] = []
    deadline = time.monotonic() + _VISIBLE_S
    try:
        while True:
            try:
                _create(kafka, admin, created)
            except KafkaError as error:
                # A node that just died is named by the others for a while, and the client may ask that one.
                if not error.retriable or time.monotonic() > deadline:
                    raise broker_unavailable(kafka, error) from error
                time.sleep(_LOOK_AGAIN_S)
            else:
                return created
    finally:
        admin.close()


def _create(kafka: KafkaSettings, admin: KafkaAdminClient, created: list[str]) -> None:
    """Create what is missing, and note its names in ``created``."""
    events = kafka.event_topic_names()
    existing = set(admin.list_topics())
    known = partition_counts(kafka, [topic for topic in events if topic in existing], admin)
    partitions = _common(known) or kafka.partitions
    for name in dict.fromkeys(
        [*events, kafka.catalog_topic, kafka.triggers_topic, kafka.slates_topic, kafka.dead_topic]
    ):
        if name in existing:
            continue
        try:
            admin.create_topics([NewTopic(name, partitions, kafka.replication)])
            created.append(name)
        except TopicAlreadyExistsError:
            continue  # another worker was quicker
    if len(known) < len(kafka.event_topics):
        _common(_visible(kafka, events, admin))


def _common(known: dict[str, int]) -> int | None:
    """The number of partitions that all of these topics have; None where there are none."""
    if len(set(known.values())) > 1:
        counts = ", ".join(f"{topic} {count}" for topic, count in sorted(known.items()))
        raise TopicMismatchError(
            f"The event topics have different numbers of partitions: {counts}.",
            way_out="Give all event topics the same number; a shopper's events must share a partition.",
        )
    return next(iter(known.values()), None)


def _visible(kafka: KafkaSettings, topics: list[str], admin: KafkaAdminClient) -> dict[str, int]:
    """Partitions of topics just created, once every one is known: a broker says so a moment later."""
    deadline = time.monotonic() + _VISIBLE_S
    while len(known := partition_counts(kafka, topics, admin)) < len(set(topics)):
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(set(topics) - known.keys()))
            raise BrokerUnavailableError(
                f"The broker at {kafka.brokers} took the new topics and does not show them: {missing}.",
                way_out="Look into the broker's log; a topic needs a leader for each of its partitions.",
            )
        time.sleep(_LOOK_AGAIN_S)
    return known


def partition_counts(
    kafka: KafkaSettings, topics: list[str], admin: KafkaAdminClient | None = None
) -> dict[str, int]:
    """Number of partitions of each of these topics that exists."""
    if not topics:
        return {}
    own = admin is None
    client = admin or KafkaAdminClient(**client_options(kafka))
    try:
        return {
            entry["name"] if "name" in entry else entry["topic"]: len(entry["partitions"])
            for entry in client.describe_topics(topics)
            if entry["partitions"]
        }
    finally:
        if own:
            client.close()
