"""The AsyncAPI document (3.0) of all topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nearline import __version__
from stream.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["asyncapi_document"]

_JSON: Final = "application/json"
_SCHEMA: Final = "application/schema+json;version=draft-2020-12"
_CLOUD: Final = "application/cloudevents+json"
_TRACED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "traceparent": {
            "type": "string",
            "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
            "description": "W3C Trace Context; read and carried on where tracing is on.",
        },
        "tracestate": {"type": "string", "description": "W3C Trace Context."},
    },
}
_KEYS: Final = {
    "user": {"type": "string", "description": "The shopper: all of theirs lie in one partition."},
    "item": {"type": "string", "description": "The item's id: its changes keep their order."},
}


def asyncapi_document(kafka: KafkaSettings | None = None) -> dict[str, Any]:
    """The document for the topics of ``kafka``; for those of the default settings if not given."""
    kafka = kafka or KafkaSettings()
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}

    def topic(name: str, address: str, about: str, messages: list[str], way: str, summary: str) -> None:
        channels[name] = {
            "address": address,
            "description": about,
            "messages": {one: {"$ref": f"#/components/messages/{one}"} for one in messages},
            "bindings": {"kafka": {"topic": address, "bindingVersion": "0.5.0"}},
        }
        verb = "read" if way == "receive" else "write"
        operations[f"{verb}-{name}"] = {
            "action": way,
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": summary,
            "messages": [{"$ref": f"#/channels/{name}/messages/{one}"} for one in messages],
        }

    for entry in kafka.event_topics:
        kind = f"Events of type {entry.type}" if entry.type else "Events that say their type"
        topic(
            f"events-{entry.topic}",
            kafka.prefix + entry.topic,
            f"{kind}. All event topics have the same number of partitions and are keyed by shopper.",
            ["event", "cloud-event"],
            "receive",
            "The gate reads events.",
        )
    topic(
        "catalog",
        kafka.catalog_topic,
        "Changes of items.",
        ["catalog-change"],
        "receive",
        "Infer workers keep the catalogue up to date.",
    )
    topic(
        "triggers",
        kafka.triggers_topic,
        "Shoppers worth a thought, each with a snapshot of their activity. Read at least once; the id tells repeats.",
        ["trigger"],
        "send",
        "The gate sends triggers; infer workers read them.",
    )
    topic(
        "slates",
        kafka.slates_topic,
        "The record: what became of every trigger, slates with their whole chain.",
        ["slate-record"],
        "send",
        "Infer workers send it.",
    )
    topic(
        "dead",
        kafka.dead_topic,
        "What could not be used, with the reason and where it came from.",
        ["dead-record"],
        "send",
        "All workers send it; `nearline dead` reads it.",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nearline",
            "version": __version__,
            "description": "From shoppers' events to slates. Names of topics are configuration (`stream.kafka`); "
            "these are the defaults.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "servers": {"kafka": {"host": kafka.brokers.split(",")[0], "protocol": "kafka"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": _messages()},
    }


def _messages() -> Mapping[str, Any]:
    return {
        "event": _message("event", "user", traced=True),
        "cloud-event": {**_message("cloud-event", "user", traced=True), "contentType": _CLOUD},
        "catalog-change": _message("catalog-change", "item"),
        "trigger": _message("trigger", "user", traced=True),
        "slate-record": _message("slate-record", "user", traced=True),
        "dead-record": _message("dead-record", None),
    }


def _message(name: str, key: str | None, *, traced: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "payload": {"schemaFormat": _SCHEMA, "schema": {"$ref": f"./{name}.schema.json"}},
        "contentType": _JSON,
    }
    if traced:
        found["headers"] = _TRACED
    if key is not None:
        found["bindings"] = {"kafka": {"key": _KEYS[key], "bindingVersion": "0.5.0"}}
    return found
