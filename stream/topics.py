"""Topics on the broker: which there are, their creation, and the check that they fit together.

A shopper's events must meet in one partition number on every event topic, so all event topics have
the same number of partitions and are keyed by user with Kafka's murmur2 partitioner, which
kafka-python, aiokafka and the Java client share (librdkafka needs `partitioner=murmur2_random`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from stream.errors import TopicMismatchError
from stream.kafka_clients import broker_unavailable, sync_options

if TYPE_CHECKING:
    from stream.settings import KafkaSettings

__all__ = ["create_topics", "partition_counts"]


def create_topics(kafka: KafkaSettings) -> list[str]:
    """Create what is missing of the event, trigger, slate and dead topics; return what was created.

    Raises:
        BrokerUnavailableError: no broker answers at the configured address.
        TopicMismatchError: event topics that exist differ in their number of partitions.
    """
    wanted = [
        *kafka.event_topic_names(),
        kafka.triggers_topic,
        kafka.slates_topic,
        kafka.dead_topic,
    ]
    try:
        admin = KafkaAdminClient(**sync_options(kafka), request_timeout_ms=15_000)
    except KafkaError as error:
        raise broker_unavailable(kafka, error) from error
    try:
        existing = set(admin.list_topics())
        partitions = kafka.partitions
        known = partition_counts(kafka, [t for t in kafka.event_topic_names() if t in existing], admin)
        if len(set(known.values())) > 1:
            counts = ", ".join(f"{topic} {count}" for topic, count in sorted(known.items()))
            raise TopicMismatchError(
                f"The event topics have different numbers of partitions: {counts}.",
                way_out="Give all event topics the same number; a shopper's events must share a partition.",
            )
        if known:
            partitions = next(iter(known.values()))
        created = []
        for name in dict.fromkeys(wanted):
            if name in existing:
                continue
            try:
                admin.create_topics([NewTopic(name, partitions, kafka.replication)])
                created.append(name)
            except TopicAlreadyExistsError:
                continue  # another worker was quicker
    except KafkaError as error:
        raise broker_unavailable(kafka, error) from error
    else:
        return created
    finally:
        admin.close()


def partition_counts(
    kafka: KafkaSettings, topics: list[str], admin: KafkaAdminClient | None = None
) -> dict[str, int]:
    """Number of partitions of each of these topics that exists."""
    if not topics:
        return {}
    own = admin is None
    client = admin or KafkaAdminClient(**sync_options(kafka))
    try:
        return {
            entry["name"] if "name" in entry else entry["topic"]: len(entry["partitions"])
            for entry in client.describe_topics(topics)
            if entry["partitions"]
        }
    finally:
        if own:
            client.close()
