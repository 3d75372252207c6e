"""The stream's settings: topics by type, the prefix, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stream.events import EVENT_TYPES
from stream.settings import EventTopic, GateSettings, KafkaSettings, RedisSettings, StreamSettings


def test_every_type_of_event_has_a_topic_of_its_own_by_default() -> None:
    kafka = KafkaSettings()
    assert len({kafka.topic_of(kind) for kind in EVENT_TYPES}) == len(EVENT_TYPES)
    assert kafka.topic_of("view") == "views"
    assert kafka.topic_of("search") == "searches"


def test_the_prefix_stands_before_every_topic() -> None:
    kafka = KafkaSettings(prefix="shop-a.")
    names = [*kafka.event_topic_names(), kafka.triggers_topic, kafka.slates_topic, kafka.dead_topic]
    assert all(name.startswith("shop-a.") for name in names)
    assert kafka.topic_of("order") == "shop-a.orders"


def test_a_type_without_a_topic_of_its_own_goes_to_the_first_that_takes_any() -> None:
    kafka = KafkaSettings(
        event_topics=[EventTopic(topic="v", type="view"), EventTopic(topic="all"), EventTopic(topic="more")]
    )
    assert (kafka.topic_of("view"), kafka.topic_of("order")) == ("v", "all")
    assert KafkaSettings(event_topics=[EventTopic(topic="v", type="view")]).topic_of("order") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"kafka": {"event_topics": [{"topic": "t", "type": "levitate"}]}},
        {"kafka": {"event_topics": []}},
        {"kafka": {"event_topics": [{"topic": ""}]}},
        {"kafka": {"prefix": "a b"}},
        {"kafka": {"partitions": 0}},
        {"kafka": {"sesion_timeout_s": 6}},
        {"redis": {"prefix": "a{b}"}},
        {"gate": {"recent_events": 3}},
        {"gate": {"lost_state": "whatever"}},
        {"gate": {"checkpoint_s": 0}},
        {"web": {"port": 70_000}},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StreamSettings.model_validate(wrong)


def test_secrets_are_not_in_the_words_of_the_settings() -> None:
    settings = RedisSettings.model_validate({"url": "redis://me:hunter2@host/0"})
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


def test_waiting_for_a_topic_that_cannot_be_read_is_longer_than_the_usual_wait() -> None:
    gate = GateSettings()
    assert gate.merge_limit_ms > 10 * gate.merge_wait_ms
