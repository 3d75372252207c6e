"""Topics on a real broker: created once, and refused where they do not fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from stream.errors import BrokerUnavailableError, TopicMismatchError
from stream.settings import KafkaSettings
from stream.topics import create_topics, partition_counts

if TYPE_CHECKING:
    from stream.embedded.kafka import KafkaCluster


@pytest.fixture(params=["kafka", "tansu"])
def settings(request: pytest.FixtureRequest, topic_prefix: str) -> KafkaSettings:
    server: KafkaCluster | str = request.getfixturevalue(request.param)
    bootstrap = server if isinstance(server, str) else server.bootstrap
    return KafkaSettings(brokers=bootstrap, prefix=topic_prefix, partitions=3)


def make(settings: KafkaSettings, **partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=settings.brokers)
    try:
        admin.create_topics(
            [NewTopic(settings.prefix + name, count, 1) for name, count in partitions.items()]
        )
    finally:
        admin.close()


@pytest.mark.real
def test_what_is_missing_is_created_once(settings: KafkaSettings) -> None:
    created = create_topics(settings)
    ours = {settings.triggers_topic, settings.slates_topic, settings.dead_topic, settings.catalog_topic}
    assert sorted(created) == sorted([*settings.event_topic_names(), *ours])
    assert create_topics(settings) == []
    names = settings.event_topic_names()
    assert partition_counts(settings, names) == dict.fromkeys(names, 3)


@pytest.mark.real
def test_new_topics_get_the_number_of_partitions_that_the_event_topics_have(settings: KafkaSettings) -> None:
    make(settings, views=5)
    create_topics(settings)
    names = settings.event_topic_names()
    assert partition_counts(settings, names) == dict.fromkeys(names, 5)


@pytest.mark.real
def test_event_topics_of_different_numbers_of_partitions_are_refused_with_their_numbers(
    settings: KafkaSettings,
) -> None:
    make(settings, views=2, orders=4)
    with pytest.raises(TopicMismatchError) as caught:
        create_topics(settings)
    assert f"{settings.prefix}orders 4" in caught.value.message
    assert f"{settings.prefix}views 2" in caught.value.message


def test_a_broker_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.topics._BOOTSTRAP_MS", 500)
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
        create_topics(KafkaSettings(brokers="127.0.0.1:1"))
