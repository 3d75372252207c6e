"""Messages are as the contracts say, and every line of the log is one that a program can read."""

from __future__ import annotations

import json

import jsonschema
import pytest
import redis

from stream.contracts import schema_of
from tests.stream.observed.pipeline import EVENTS, HOSTILE, SECRET, Running

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


def test_real_messages_are_as_the_contracts_say(running: Running) -> None:
    kafka = running.kafka
    slate_outcomes = [json.loads(record.value)["outcome"] for record in running.records(kafka.slates_topic)]
    assert set(slate_outcomes) <= {"served", "superseded"}
    for topic, contract in (
        (kafka.triggers_topic, "trigger"),
        (kafka.slates_topic, "slate-record"),
        (kafka.dead_topic, "dead-record"),
    ):
        schema = jsonschema.Draft202012Validator(schema_of(contract))
        records = running.records(topic)
        assert records, topic
        for record in records:
            schema.validate(json.loads(record.value))
    event, wrapped = (jsonschema.Draft202012Validator(schema_of(name)) for name in ("event", "cloud-event"))
    for sent in EVENTS:
        event.validate(sent)
    wrapped.validate(HOSTILE[-1])
    assert not event.is_valid(HOSTILE[2])
    with redis.Redis.from_url(running.redis_url) as store:
        for kind in ("slate", "trace"):
            schema = jsonschema.Draft202012Validator(schema_of(kind))
            keys = list(store.scan_iter(f"{running.prefix}{kind}:*"))
            assert keys
            for key in keys:
                schema.validate(json.loads(store.get(key) or b""))


def test_every_line_of_the_log_is_json_and_names_the_triggers_it_is_about_and_no_password(
    running: Running,
) -> None:
    text = running.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines
    assert all(line["worker"].endswith(f"-{running.port}") for line in lines)
    named = {trigger for line in lines for trigger in line.get("triggers", ())}
    fired = {json.loads(record.value)["id"] for record in running.records(running.kafka.triggers_topic)}
    assert named
    assert named <= fired
    assert SECRET not in text
