"""Each message as a JSON Schema (draft 2020-12), made from the type that reads or writes it."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from stream.catalog.record import SCHEMA as CATALOG_SCHEMA
from stream.dead.record import DeadRecord
from stream.events import EVENT_TYPES, event_struct
from stream.gate.rules.ruleset import RuleSet
from stream.gate.state.ledger import LedgerEntry
from stream.gate.state.recent import Recent
from stream.metrics.heartbeat import Beat
from stream.metrics.minutes import Minute
from stream.slates import Outcome, Slate, Trace
from stream.triggers import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCHEMAS", "Contract", "schema_of"]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTE = re.compile(r"(\w+): (.*)")
_ROLE = re.compile(r":(?:class|mod|meth|data):")
_DURATION = r"^ *(\d+(\.\d+)? *(ms|s|m|h|d|w) *)+$"
_HOURS = r"^\s*\d{1,2}\s*-\s*\d{1,2}\s*$"
_WITHOUT_ITEM = ("search", "image_search")


class Contract(NamedTuple):
    """One message: its title, what it is, and how its schema is made."""

    title: str
    about: str
    make: Callable[[], dict[str, Any]]


def schema_of(name: str) -> dict[str, Any]:
    """The schema of a message of :data:`SCHEMAS`."""
    contract = SCHEMAS[name]
    made = {key: value for key, value in contract.make().items() if key != "$schema"}
    return {
        "$schema": _DRAFT,
        "$id": f"{name}.schema.json",
        **made,
        "title": contract.title,
        "description": contract.about,
    }


def _of_struct(kind: type) -> dict[str, Any]:
    """The schema of a struct, itself on top and what it is made of under ``$defs``, described by its docstrings."""
    whole = msgspec.json.schema(kind)
    inner = {name: _described(schema) for name, schema in whole["$defs"].items()}
    top = inner.pop(whole["$ref"].rpartition("/")[2])
    return {**top, **({"$defs": inner} if inner else {})}


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose docstring is taken apart: what it says of fields stands at the fields."""
    about, fields = _docstring(schema.pop("description", ""))
    if about:
        schema["description"] = about
    for name, text in fields.items():
        if name in schema.get("properties", {}):
            schema["properties"][name]["description"] = text
    arrays = {kind.__name__: kind for kind in (Recent, LedgerEntry)}
    if "prefixItems" in schema:  # an array's places have the names of the fields
        names = msgspec.structs.fields(arrays[schema["title"]])
        schema["prefixItems"] = [
            {"title": field.encode_name, **item}
            for field, item in zip(names, schema["prefixItems"], strict=True)
        ]
    return schema


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """What a docstring says in all, and of each attribute."""
    about, _, listed = inspect.cleandoc(text).partition("Attributes:\n")
    fields: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(listed).splitlines():
        told = _ATTRIBUTE.match(line)
        if told:
            name = told[1]
            fields[name] = told[2]
        elif name:
            fields[name] += " " + line.strip()
    return _plain(about), {name: _capital(_plain(told)) for name, told in fields.items()}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(text: str) -> str:
    return _ROLE.sub("", " ".join(text.replace("``", "`").split()))


def _event() -> dict[str, Any]:
    """Nine kinds in one: by type another field is needed."""
    schema = _of_struct(event_struct())
    schema.pop("description", None)
    for name, about in _EVENT_FIELDS.items():
        schema["properties"][name]["description"] = about
    needs_item = sorted(EVENT_TYPES.difference(_WITHOUT_ITEM))
    schema["allOf"] = [
        _needs(needs_item, "item_id", {"type": "string"}),
        _needs(["search"], "query", {"type": "string", "pattern": r"\S"}),
    ]
    return schema


def _needs(kinds: list[str], field: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {"type": {"enum": kinds}}, "required": ["type"]},
        "then": {"required": [field], "properties": {field: value}},
    }


_EVENT_FIELDS: Final = {
    "event_id": "Unique for the shopper; an event seen again under its id is a duplicate.",
    "user_id": "The shopper; also the record's key.",
    "type": "What they did.",
    "ts": "When, by their clock: UTC, milliseconds since 1970; not more than `stream.gate.future_s` after it was sent.",
    "item_id": "The item; every type but `search` and `image_search` needs it.",
    "query": "What was searched for; a `search` needs it.",
    "quantity": "How many, of an `order` line.",
    "amount": "What they cost together, of an `order` line, in the shop's currency.",
    "scene": "Where on the site; `recommendation` marks the slots that slates fill.",
    "session_id": "The visit.",
    "synthetic": "Whether the event was made by a simulator.",
}


def _slate_record() -> dict[str, Any]:
    """A chain, or the outcome of a trigger that led to no slate."""
    whole = _of_struct(Trace)
    inner = whole.pop("$defs", {})
    head = {name: whole["properties"][name] for name in ("schema", "version", "trigger", "user")}
    without = {
        "type": "object",
        "description": "A trigger that led to no slate: overtaken by a newer one, or dead.",
        "properties": {
            **head,
            "outcome": {"enum": [str(Outcome.SUPERSEDED), str(Outcome.DEAD)]},
            "by_version": {"type": "integer", "description": "Version of the slate that is served instead."},
            "note": {"type": "string", "description": "Why it is dead."},
        },
        "required": [*head, "outcome"],
        "not": {"required": ["candidates"]},
    }
    return {
        "oneOf": [{"$ref": "#/$defs/Trace"}, {"$ref": "#/$defs/WithoutSlate"}],
        "$defs": {**inner, "Trace": whole, "WithoutSlate": without},
    }


def _rules() -> dict[str, Any]:
    """What pydantic says of the model, and how people may write its times and single conditions."""
    schema = RuleSet.model_json_schema()
    inner = schema["$defs"]
    for kind, fields in (("Condition", ("within",)), ("Rule", ("cooldown", "min_gap"))):
        for field in fields:
            told = inner[kind]["properties"][field]
            told.update({"type": "string", "pattern": _DURATION})
            told.pop("default", None)
    when = inner["Rule"]["properties"]["when"]
    when.pop("$ref", None)
    when["anyOf"] = [{"$ref": "#/$defs/When"}, {"$ref": "#/$defs/Condition"}]
    inner["Rule"]["properties"]["hours"] = {
        "anyOf": [{"type": "string", "pattern": _HOURS}, {"type": "null"}],
        "description": inner["Rule"]["properties"]["hours"]["description"],
    }
    inner["Condition"]["properties"]["types"]["items"] = {"enum": sorted(EVENT_TYPES)}
    for one in inner.values():
        one["description"] = _plain(one.get("description", ""))
    return schema


def _envelope() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**text, "description": "The event's id, where `data` has none."},
            "source": text,
            "type": {
                **text,
                "description": "Its last part, after the last dot, is the event's type, where `data` has none.",
            },
            "subject": {**text, "description": "The shopper, where `data` has none."},
            "time": {
                "type": "string",
                "format": "date-time",
                "description": "The event's time, where `data` has none.",
            },
            "datacontenttype": {"const": "application/json"},
            "data": {"type": "object", "description": "The event."},
            "data_base64": {
                "type": "string",
                "description": "The event's JSON in base64, in place of `data`.",
            },
        },
        "required": ["specversion", "id", "source", "type"],
        "anyOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
    }


SCHEMAS: Final[dict[str, Contract]] = {
    "event": Contract("An event", "One thing a shopper did, on an event topic. Other fields are ignored.", _event),
    "cloud-event": Contract(
        "An event in a CloudEvents envelope",
        "Accepted on every event topic in place of the event itself (structured JSON mode, version 1.0).",
        _envelope,
    ),
    "trigger": Contract(
        "A trigger",
        "A shopper is worth a thought; on nearline.triggers.",
        lambda: _of_struct(Trigger),
    ),
    "slate": Contract(
        "A slate", "What a storefront reads from Redis, nl:slate:{user}.", lambda: _of_struct(Slate)
    ),
    "trace": Contract(
        "The chain of a slate",
        "How a slate came about, from the events to each item; what nl:trace:{user} holds.",
        lambda: _of_struct(Trace),
    ),
    "slate-record": Contract(
        "What became of a trigger", "A record of nearline.slates: one for every trigger.", _slate_record
    ),
    "dead-record": Contract(
        "A dead record",
        "What could not be used, with the reason and where it came from; on nearline.dead. Where the original is not "
        "UTF-8 it is base64 in `value_base64`; a longer one than the limit is cut and says so.",
        lambda: _of_struct(DeadRecord),
    ),
    "catalog-change": Contract(
        "A change of the catalogue", "One change of an item, on the catalog topic.", lambda: dict(CATALOG_SCHEMA)
    ),
    "rules": Contract("Trigger rules", "A rules file; YAML is read as the same.", _rules),
    "heartbeat": Contract(
        "The heartbeat of a worker",
        "What nl:worker:{name} holds while the worker lives.",
        lambda: _of_struct(Beat),
    ),
    "minute": Contract(
        "A worker's counts of a minute",
        "What the field WORKER:STARTED of the hash nl:minute:{at} holds, at being the minute's start in milliseconds. A "
        "minute is the sum of its fields; counts of many names are cut, the rest standing as `other`.",
        lambda: _of_struct(Minute),
    ),
}  # fmt: skip
"""Every contract by the name of its file."""
